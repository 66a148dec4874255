package sqlite

import (
	"context"
	"time"

	"github.com/ncruces/go-sqlite3"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/projections"
)

// schedulePart is how many rows one read of the schedule returns: less than a millisecond of work.
const schedulePart = 100

const enabledPart = `SELECT workspace, name, id, enabled, every FROM integrations INDEXED BY integrations_by_name
WHERE deleted = 0 AND (workspace, name, id) > (?, ?, ?) ORDER BY workspace, name, id LIMIT ?`

const probedPart = `SELECT workspace, id, at FROM probes WHERE (workspace, id) > (?, ?) ORDER BY workspace, id LIMIT ?`

// Schedule implements projections.Store.
func (s *Store) Schedule(ctx context.Context, enabled func(domain.Ref, int), probed func(domain.Ref, time.Time)) error {
	var last domain.Ref
	var name []byte // a million texts would be most of the garbage of a start
	if err := s.parts(ctx, enabledPart, func() []any { return []any{string(last.Workspace), string(name), string(last.ID)} }, func(found *sqlite3.Stmt) {
		last, name = refOf(found, 2, last.Workspace), append(name[:0], found.ColumnRawText(1)...)
		if found.ColumnBool(3) {
			enabled(last, found.ColumnInt(4))
		}
	}); err != nil {
		return err
	}
	last = domain.Ref{}
	return s.parts(ctx, probedPart, func() []any { return []any{string(last.Workspace), string(last.ID)} }, func(found *sqlite3.Stmt) {
		last = refOf(found, 1, last.Workspace)
		probed(last, projections.FromMicros(found.ColumnInt64(2)))
	})
}

// parts calls row for all rows of a query, in parts that each begin after the last row.
func (s *Store) parts(ctx context.Context, query string, after func() []any, row func(*sqlite3.Stmt)) error {
	for rows := schedulePart; rows == schedulePart; {
		rows = 0
		if err := s.readers.use(ctx, func(r *connection) error {
			return r.each(query, append(after(), schedulePart), func(found *sqlite3.Stmt) error {
				rows++
				row(found)
				return nil
			})
		}); err != nil {
			return s.unavailable(ctx, err)
		}
	}
	return nil
}

// refOf returns the integration whose workspace is in the first column. The text of the workspace
// is shared with that of the row before.
func refOf(found *sqlite3.Stmt, id int, before domain.Workspace) domain.Ref {
	if string(found.ColumnRawText(0)) != string(before) {
		before = domain.Workspace(found.ColumnText(0))
	}
	return domain.Ref{Workspace: before, ID: domain.ID(found.ColumnText(id))}
}
