package subscriber_test

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"testing"

	"github.com/nats-io/nats.go"
	_ "github.com/ncruces/go-sqlite3/driver"
	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/subscriber"
)

// countChanges counts the changes of each integration in a database. It keeps
// its position in the same transaction as the counts, so each change counts once,
// wherever the program is cut off.
func countChanges(ctx context.Context, nc *nats.Conn, db *sql.DB) error {
	var position uint64
	if err := db.QueryRowContext(ctx, `SELECT position FROM progress`).Scan(&position); err != nil {
		return err
	}
	events, err := subscriber.Open(ctx, nc, subscriber.Config{After: position, Concurrency: 1})
	if err != nil {
		return err
	}
	return events.Run(ctx, subscriber.Changes(""), func(ctx context.Context, e subscriber.Event) error {
		tx, err := db.BeginTx(ctx, nil)
		if err != nil {
			return err
		}
		defer tx.Rollback() //nolint:errcheck // after a commit it does nothing
		moved, err := tx.ExecContext(ctx, `UPDATE progress SET position = ? WHERE position < ?`, e.Position, e.Position)
		if err != nil {
			return err
		}
		if rows, err := moved.RowsAffected(); err != nil || rows == 0 {
			return err // counted before
		}
		if _, err := tx.ExecContext(ctx, `INSERT INTO changes VALUES (?, 1) ON CONFLICT (id) DO UPDATE SET count = count + 1`, e.Integration); err != nil {
			return err
		}
		return tx.Commit()
	})
}

func TestAProgramThatStoresItsPositionWithItsDataCountsEachChangeOnce(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED: it takes seconds; run without -short")
	}
	l := newLog(t)
	want := map[string]int{}
	for n := range 300 {
		name := fmt.Sprint("crm-", n%5)
		l.change("acme", name)
		want[string(domain.NewID("acme", name))]++
	}
	db, err := sql.Open("sqlite3", "file:"+filepath.Join(t.TempDir(), "counts.db"))
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close()) }()
	_, err = db.ExecContext(t.Context(), `CREATE TABLE progress (position INTEGER); INSERT INTO progress VALUES (0);
		CREATE TABLE changes (id TEXT PRIMARY KEY, count INTEGER)`)
	require.NoError(t, err)

	total := func() (total int) {
		require.NoError(t, db.QueryRowContext(t.Context(), `SELECT coalesce(sum(count), 0) FROM changes`).Scan(&total))
		return total
	}
	for cutOffAt := 0; total() < 300; { // it is cut off again and again, anywhere
		cutOffAt = min(300, cutOffAt+1+rand.IntN(60))
		ctx, end := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- countChanges(ctx, l.nc, db) }()
		for total() < cutOffAt {
			require.Empty(t, ended, "it counts until it is cut off")
		}
		end()
		if err := <-ended; err != nil {
			require.Error(t, ctx.Err(), "it ends when it is cut off: %v", err)
		}
	}
	got := map[string]int{}
	rows, err := db.QueryContext(t.Context(), `SELECT id, count FROM changes`)
	require.NoError(t, err)
	defer rows.Close()
	for rows.Next() {
		var id string
		var count int
		require.NoError(t, rows.Scan(&id, &count))
		got[id] = count
	}
	require.NoError(t, rows.Err())
	require.Equal(t, want, got)
}
