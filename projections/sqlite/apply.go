package sqlite

import (
	"context"
	"database/sql"
	"slices"

	"github.com/seed677028b5/integrations/projections"
	"github.com/seed677028b5/integrations/representation"
)

const putDocument = `
INSERT INTO integrations (workspace, id, position, incarnation, deleted, enabled, protocol, name, created_at, updated_at, version, search, answer, document)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (workspace, id) DO UPDATE SET
	position = excluded.position, incarnation = excluded.incarnation, deleted = excluded.deleted, enabled = excluded.enabled,
	protocol = excluded.protocol, name = excluded.name, created_at = excluded.created_at, updated_at = excluded.updated_at,
	version = excluded.version, search = excluded.search, answer = excluded.answer, document = excluded.document
WHERE excluded.position > integrations.position`

const putProbe = `
INSERT INTO probes (workspace, id, incarnation, position, answer, seen) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (workspace, id) DO UPDATE SET
	incarnation = excluded.incarnation, position = excluded.position, answer = excluded.answer, seen = excluded.seen
WHERE (excluded.incarnation, excluded.position) > (probes.incarnation, probes.position)`

const putParked = `
INSERT INTO parked (workspace, id, position, reason, at) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (workspace, id) DO UPDATE SET position = excluded.position, reason = excluded.reason, at = excluded.at
WHERE excluded.position > parked.position`

const putAuthorization = `
INSERT INTO authorizations (workspace, integration, key, place, position, listed, incarnation, state, subject, account, issuer, client, binding, created_at, document)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (workspace, place) DO UPDATE SET
	position = excluded.position, listed = excluded.listed, incarnation = excluded.incarnation, state = excluded.state, subject = excluded.subject,
	account = excluded.account, issuer = excluded.issuer, client = excluded.client, binding = excluded.binding, created_at = excluded.created_at,
	document = excluded.document
WHERE excluded.position > authorizations.position`

const putPositions = `UPDATE positions SET integrations = max(integrations, ?), probes = max(probes, ?), approvals = max(approvals, ?)`

const getPositions = `SELECT integrations, probes, approvals FROM positions`

// Apply implements projections.Store, in one transaction.
func (s *Store) Apply(ctx context.Context, b projections.Batch) error {
	documents := slices.Clone(b.Documents)
	if err := projections.EncodeAll(documents); err != nil {
		return err
	}
	// Prepared before the transaction holds the one connection that writes.
	var put [7]*sql.Stmt
	for n, text := range []string{putDocument, putProbe, putParked, putPositions, getPositions, putAuthorization, putApproval} {
		var err error
		if put[n], err = s.write.get(ctx, text); err != nil {
			return s.unavailable(ctx, err)
		}
	}
	if err := s.checkFile(); err != nil {
		return s.unavailable(ctx, err)
	}
	return s.change(ctx, func(tx *sql.Tx) error {
		var at projections.Positions
		if err := tx.StmtContext(ctx, put[4]).QueryRowContext(ctx).Scan(&at.Integrations, &at.Probes, &at.Approvals); err != nil {
			return err
		}
		if err := b.CanFollow(at); err != nil {
			return err
		}
		document := tx.StmtContext(ctx, put[0])
		for _, d := range documents {
			i := d.Integration
			if _, err := document.ExecContext(ctx, string(i.Workspace), string(i.ID), int64(d.Position), int64(i.Incarnation), i.Deleted, i.Enabled,
				string(i.Protocol), i.Name, projections.Micros(i.CreatedAt), projections.Micros(i.UpdatedAt), int64(i.Version), projections.SearchText(i),
				notNull(d.Encoded.Answer), d.Encoded.Document); err != nil {
				return err
			}
		}
		probe := tx.StmtContext(ctx, put[1])
		for _, p := range b.Probes {
			answer, err := representation.EncodeProbe(*p.Shown())
			if err != nil {
				return err
			}
			seen, err := projections.EncodeProbe(p.LastProbe)
			if err != nil {
				return err
			}
			if _, err := probe.ExecContext(ctx, string(p.Workspace), string(p.ID), int64(p.Incarnation), int64(p.Position), answer, seen); err != nil {
				return err
			}
		}
		if err := applyAuthorizations(ctx, tx.StmtContext(ctx, put[5]), b.Authorizations); err != nil {
			return err
		}
		if err := applyApprovals(ctx, tx.StmtContext(ctx, put[6]), b.Approvals); err != nil {
			return err
		}
		parked := tx.StmtContext(ctx, put[2])
		for _, p := range b.Parked {
			if _, err := parked.ExecContext(ctx, string(p.Workspace), string(p.ID), int64(p.Position), p.Reason, projections.Micros(p.At)); err != nil {
				return err
			}
		}
		_, err := tx.StmtContext(ctx, put[3]).ExecContext(ctx, int64(b.Reached.Integrations), int64(b.Reached.Probes), int64(b.Reached.Approvals))
		return err
	})
}

// notNull returns an empty value for nil, which would be NULL.
func notNull(data []byte) []byte {
	if data == nil {
		return []byte{}
	}
	return data
}
