package sqlite

import (
	"context"

	"github.com/ncruces/go-sqlite3"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/projections"
)

// The table counts has how many integrations there are of each workspace, enabled or not, of
// each protocol, so that a total reads six rows at most. Apply keeps it, in the transaction of
// each change. (Triggers would too, but for each statement that fires one SQLite first copies every
// page that it changes.) While a new file is filled it is empty: Index counts what was written.

// counted is what an integration is counted by.
type counted struct {
	workspace domain.Workspace
	enabled   bool
	protocol  domain.Protocol
}

// counts has by how much numbers of integrations change.
type counts map[counted]int

const getCounted = `SELECT position, deleted, enabled, protocol FROM integrations WHERE workspace = ? AND id = ?`

// replace counts the replacement of what is stored of an integration. It reports whether that is
// of d's position or later, so that nothing is replaced.
func (n counts) replace(c *connection, d projections.Document) (later bool, err error) {
	i := d.Integration
	if err := c.each(getCounted, []any{string(i.Workspace), string(i.ID)}, func(stored *sqlite3.Stmt) error {
		later = uint64(stored.ColumnInt64(0)) >= d.Position
		if !later && !stored.ColumnBool(1) {
			n[counted{i.Workspace, stored.ColumnBool(2), domain.Protocol(stored.ColumnText(3))}]--
		}
		return nil
	}); err != nil {
		return false, err
	}
	if !later && !i.Deleted {
		n[counted{i.Workspace, i.Enabled, i.Protocol}]++
	}
	return later, nil
}

const addCount = `INSERT INTO counts VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET number = number + excluded.number`

// store adds what was counted to the table.
func (n counts) store(c *connection) error {
	for group, by := range n {
		if by == 0 {
			continue
		}
		if err := c.run(addCount, string(group.workspace), group.enabled, string(group.protocol), by); err != nil {
			return err
		}
	}
	return nil
}

const countAll = `
DELETE FROM counts;
INSERT INTO counts SELECT workspace, enabled, protocol, count(*) FROM integrations WHERE deleted = 0 GROUP BY workspace, enabled, protocol;
`

// Workspaces implements projections.Store.
func (s *Store) Workspaces(ctx context.Context, after domain.Workspace, limit int) ([]projections.WorkspaceSize, error) {
	stmt, err := s.read.get(ctx, `SELECT workspace, sum(number) FROM counts WHERE workspace > ? GROUP BY workspace HAVING sum(number) > 0 ORDER BY workspace LIMIT ?`)
	if err != nil {
		return nil, s.unavailable(ctx, err)
	}
	rows, err := stmt.QueryContext(ctx, string(after), limit)
	if err != nil {
		return nil, s.unavailable(ctx, err)
	}
	defer rows.Close()
	var all []projections.WorkspaceSize
	for rows.Next() {
		var one projections.WorkspaceSize
		if err := rows.Scan(&one.Workspace, &one.Integrations); err != nil {
			return nil, s.unavailable(ctx, err)
		}
		all = append(all, one)
	}
	return all, s.unavailable(ctx, rows.Err())
}
