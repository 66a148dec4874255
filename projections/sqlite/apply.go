package sqlite

import (
	"context"
	"slices"

	"github.com/ncruces/go-sqlite3"

	"github.com/seed677028b5/integrations/projections"
	"github.com/seed677028b5/integrations/representation"
)

const putDocument = `
INSERT INTO integrations (workspace, id, position, incarnation, deleted, enabled, protocol, name, created_at, updated_at, version, every, search, answer, document)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (workspace, id) DO UPDATE SET
	position = excluded.position, incarnation = excluded.incarnation, deleted = excluded.deleted, enabled = excluded.enabled,
	protocol = excluded.protocol, name = excluded.name, created_at = excluded.created_at, updated_at = excluded.updated_at,
	version = excluded.version, every = excluded.every, search = excluded.search, answer = excluded.answer, document = excluded.document
WHERE excluded.position > integrations.position`

const putProbe = `
INSERT INTO probes (workspace, id, incarnation, position, at, answer, seen) VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (workspace, id) DO UPDATE SET
	incarnation = excluded.incarnation, position = excluded.position, at = excluded.at, answer = excluded.answer, seen = excluded.seen
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
	if err := s.checkFile(); err != nil {
		return s.unavailable(ctx, err)
	}
	return s.change(ctx, func(c *connection) error {
		var at projections.Positions
		if err := c.each(getPositions, nil, func(found *sqlite3.Stmt) error {
			at = positionsOf(found)
			return nil
		}); err != nil {
			return err
		}
		if err := b.CanFollow(at); err != nil {
			return err
		}
		if err := s.applyDocuments(c, documents); err != nil {
			return err
		}
		for _, p := range b.Probes {
			answer, err := representation.EncodeProbe(*p.Shown())
			if err != nil {
				return err
			}
			seen, err := projections.EncodeProbe(p.LastProbe)
			if err != nil {
				return err
			}
			if err := c.run(putProbe, string(p.Workspace), string(p.ID), p.Incarnation, p.Position, projections.Micros(p.At), answer, seen); err != nil {
				return err
			}
		}
		if err := applyAuthorizations(c, b.Authorizations); err != nil {
			return err
		}
		if err := applyApprovals(c, b.Approvals); err != nil {
			return err
		}
		for _, p := range b.Parked {
			if err := c.run(putParked, string(p.Workspace), string(p.ID), p.Position, p.Reason, projections.Micros(p.At)); err != nil {
				return err
			}
		}
		return c.run(putPositions, b.Reached.Integrations, b.Reached.Probes, b.Reached.Approvals)
	})
}

// applyDocuments writes documents, and counts them unless Index will.
func (s *Store) applyDocuments(c *connection, documents []projections.Document) error {
	changed := counts{}
	for _, d := range documents {
		i := d.Integration
		if s.counted {
			later, err := changed.replace(c, d)
			if err != nil {
				return err
			}
			if later {
				continue
			}
		}
		if err := c.run(putDocument, string(i.Workspace), string(i.ID), d.Position, i.Incarnation, i.Deleted, i.Enabled,
			string(i.Protocol), i.Name, projections.Micros(i.CreatedAt), projections.Micros(i.UpdatedAt), i.Version, projections.IntervalOf(i), projections.SearchText(i),
			notNull(d.Encoded.Answer), d.Encoded.Document); err != nil {
			return err
		}
	}
	return changed.store(c)
}

// notNull returns an empty value for nil, which would be NULL.
func notNull(data []byte) []byte {
	if data == nil {
		return []byte{}
	}
	return data
}
