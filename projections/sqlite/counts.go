package sqlite

import (
	"context"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/projections"
)

// The table counts has how many integrations there are of each workspace, enabled or not, of
// each protocol, so that a total reads six rows at most. Triggers keep it, in the transaction of
// each change. While a new file is filled they don't exist yet: Index counts what was written,
// and creates them.
const countTriggers = `
CREATE TRIGGER IF NOT EXISTS count_inserted AFTER INSERT ON integrations WHEN new.deleted = 0 BEGIN
	INSERT INTO counts VALUES (new.workspace, new.enabled, new.protocol, 1) ON CONFLICT DO UPDATE SET number = number + 1;
END;
CREATE TRIGGER IF NOT EXISTS count_updated AFTER UPDATE ON integrations
WHEN (old.deleted, old.enabled, old.protocol) <> (new.deleted, new.enabled, new.protocol) BEGIN
	UPDATE counts SET number = number - 1
	WHERE old.deleted = 0 AND workspace = old.workspace AND enabled = old.enabled AND protocol = old.protocol;
	INSERT INTO counts SELECT new.workspace, new.enabled, new.protocol, 1 WHERE new.deleted = 0
	ON CONFLICT DO UPDATE SET number = number + 1;
END;
`

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
