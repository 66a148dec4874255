package sqlite

import (
	"context"
	"database/sql"

	"github.com/seed677028b5/integrations/projections"
)

const putDocument = `
INSERT INTO integrations (workspace, id, position, incarnation, deleted, enabled, protocol, name, created_at, updated_at, search, document)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (workspace, id) DO UPDATE SET
	position = excluded.position, incarnation = excluded.incarnation, deleted = excluded.deleted, enabled = excluded.enabled,
	protocol = excluded.protocol, name = excluded.name, created_at = excluded.created_at, updated_at = excluded.updated_at,
	search = excluded.search, document = excluded.document
WHERE excluded.position > integrations.position`

const putProbe = `
INSERT INTO probes (workspace, id, incarnation, position, seen) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (workspace, id) DO UPDATE SET
	incarnation = excluded.incarnation, position = excluded.position, seen = excluded.seen
WHERE (excluded.incarnation, excluded.position) > (probes.incarnation, probes.position)`

const putParked = `
INSERT INTO parked (workspace, id, position, reason, at) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (workspace, id) DO UPDATE SET position = excluded.position, reason = excluded.reason, at = excluded.at
WHERE excluded.position > parked.position`

const putPositions = `UPDATE positions SET integrations = max(integrations, ?), probes = max(probes, ?)`

const getPositions = `SELECT integrations, probes FROM positions`

// Apply implements projections.Store, in one transaction.
func (s *Store) Apply(ctx context.Context, b projections.Batch) error {
	documents, err := encode(b.Documents)
	if err != nil {
		return err
	}
	// Prepared before the transaction holds the one connection that writes.
	var put [5]*sql.Stmt
	for n, text := range []string{putDocument, putProbe, putParked, putPositions, getPositions} {
		if put[n], err = s.write.get(ctx, text); err != nil {
			return s.unavailable(ctx, err)
		}
	}
	if err := s.checkFile(); err != nil {
		return s.unavailable(ctx, err)
	}
	return s.change(ctx, func(tx *sql.Tx) error {
		var at projections.Positions
		if err := tx.StmtContext(ctx, put[4]).QueryRowContext(ctx).Scan(&at.Integrations, &at.Probes); err != nil {
			return err
		}
		if err := b.CanFollow(at); err != nil {
			return err
		}
		document := tx.StmtContext(ctx, put[0])
		for n, d := range b.Documents {
			i := d.Integration
			if _, err := document.ExecContext(ctx, string(i.Workspace), string(i.ID), int64(d.Position), int64(i.Incarnation), i.Deleted, i.Enabled,
				string(i.Protocol), i.Name, projections.Micros(i.CreatedAt), projections.Micros(i.UpdatedAt), projections.SearchText(i), documents[n]); err != nil {
				return err
			}
		}
		probe := tx.StmtContext(ctx, put[1])
		for _, p := range b.Probes {
			seen, err := projections.EncodeProbe(p.LastProbe)
			if err != nil {
				return err
			}
			if _, err := probe.ExecContext(ctx, string(p.Workspace), string(p.ID), int64(p.Incarnation), int64(p.Position), seen); err != nil {
				return err
			}
		}
		parked := tx.StmtContext(ctx, put[2])
		for _, p := range b.Parked {
			if _, err := parked.ExecContext(ctx, string(p.Workspace), string(p.ID), int64(p.Position), p.Reason, projections.Micros(p.At)); err != nil {
				return err
			}
		}
		_, err := tx.StmtContext(ctx, put[3]).ExecContext(ctx, int64(b.Reached.Integrations), int64(b.Reached.Probes))
		return err
	})
}

// encode returns the stored form of each document, before the transaction starts.
func encode(documents []projections.Document) ([][]byte, error) {
	encoded := make([][]byte, len(documents))
	for n, d := range documents {
		var err error
		if encoded[n], err = projections.Encode(d.Integration); err != nil {
			return nil, err
		}
	}
	return encoded, nil
}
