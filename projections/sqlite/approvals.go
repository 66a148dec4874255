package sqlite

import (
	"context"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/projections"
)

const putApproval = `
INSERT INTO approvals (workspace, id, integration, position, state, asker, requested_at, document) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (workspace, id) DO UPDATE SET
	integration = excluded.integration, position = excluded.position, state = excluded.state, asker = excluded.asker,
	requested_at = excluded.requested_at, document = excluded.document
WHERE excluded.position > approvals.position`

func applyApprovals(c *connection, all []projections.ApprovalDocument) error {
	for _, d := range all {
		a := d.Approval
		document, err := projections.EncodeApproval(a)
		if err != nil {
			return err
		}
		if err := c.run(putApproval, string(a.Workspace), a.ID, string(a.Integration), d.Position, string(a.State), a.Key,
			projections.Micros(a.RequestedAt), document); err != nil {
			return err
		}
	}
	return nil
}

// Approvals implements projections.Store.
func (s *Store) Approvals(ctx context.Context, w domain.Workspace, q projections.ApprovalQuery) (projections.ApprovalPage, error) {
	text, args := `SELECT document FROM approvals INDEXED BY approvals_by_requested_at WHERE workspace = ?`, []any{string(w)}
	if q.State != "" {
		text, args = `SELECT document FROM approvals INDEXED BY approvals_by_state WHERE workspace = ? AND state = ?`, append(args, string(q.State))
	}
	if q.Integration != "" {
		text, args = text+` AND integration = ?`, append(args, string(q.Integration))
	}
	if q.Key != "" {
		text, args = text+` AND asker = ?`, append(args, q.Key)
	}
	if q.After != nil {
		text, args = text+` AND (requested_at, id) < (?, ?)`, append(args, q.After.At, q.After.ID)
	}
	stmt, err := s.read.get(ctx, text+` ORDER BY requested_at DESC, id DESC LIMIT ?`)
	if err != nil {
		return projections.ApprovalPage{}, s.unavailable(ctx, err)
	}
	rows, err := stmt.QueryContext(ctx, append(args, q.Limit+1)...)
	if err != nil {
		return projections.ApprovalPage{}, s.unavailable(ctx, err)
	}
	defer rows.Close()
	found := []domain.Approval{}
	for rows.Next() {
		var document []byte
		if err := rows.Scan(&document); err != nil {
			return projections.ApprovalPage{}, s.unavailable(ctx, err)
		}
		a, err := projections.DecodeApproval(document)
		if err != nil {
			s.markDamaged(ctx, err)
			return projections.ApprovalPage{}, projections.Unavailable(err)
		}
		found = append(found, a)
	}
	if err := rows.Err(); err != nil {
		return projections.ApprovalPage{}, s.unavailable(ctx, err)
	}
	return projections.NewApprovalPage(q, found), nil
}
