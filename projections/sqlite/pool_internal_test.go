package sqlite

import (
	"context"
	"errors"
	"path/filepath"
	"testing"

	"github.com/ncruces/go-sqlite3"
	"github.com/stretchr/testify/require"
)

func TestAConnectionComesBackWithoutATransaction(t *testing.T) {
	p := newPool(location(filepath.Join(t.TempDir(), "x.db"), logged...), 1)
	require.NoError(t, p.use(t.Context(), func(c *connection) error { return c.Exec(`CREATE TABLE a (b); INSERT INTO a VALUES (1)`) }))
	settled := func(c *connection) error {
		require.True(t, c.GetAutocommit())
		return c.change(func() error { return c.run(`UPDATE a SET b = b + 1`) })
	}
	for _, begin := range []string{`BEGIN`, `BEGIN IMMEDIATE`} {
		failed := errors.New("failed")
		require.ErrorIs(t, p.use(t.Context(), func(c *connection) error {
			require.NoError(t, c.run(begin))
			require.NoError(t, c.run(`UPDATE a SET b = 1000`))
			return failed
		}), failed)
		require.NoError(t, p.use(t.Context(), settled))
	}
	// SQLite can be interrupted by a caller that goes away after it has begun a transaction.
	for range 2000 {
		for _, within := range []func(*connection, func() error) error{(*connection).atOnce, (*connection).change} {
			ctx, cancel := context.WithCancel(t.Context())
			go cancel()
			_ = p.use(ctx, func(c *connection) error {
				return within(c, func() error { return c.each(`SELECT * FROM a`, nil, func(*sqlite3.Stmt) error { return nil }) })
			})
			require.NoError(t, p.use(t.Context(), func(c *connection) error {
				require.True(t, c.GetAutocommit())
				return nil
			}))
		}
	}
	require.NoError(t, p.use(t.Context(), settled))
	require.NoError(t, p.use(t.Context(), func(c *connection) error {
		return c.each(`SELECT b FROM a`, nil, func(row *sqlite3.Stmt) error {
			require.Equal(t, 4, row.ColumnInt(0))
			return nil
		})
	}))
	require.NoError(t, p.close())
}
