package sqlite

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"

	"github.com/ncruces/go-sqlite3"
	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/projections"
)

func TestTheLogBeginsAgainWhileThereAreAlwaysChangesAndReaders(t *testing.T) {
	const page = 8192
	path := filepath.Join(t.TempDir(), "read.db")
	s, err := Open(t.Context(), path, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	s.copying.due, s.copying.most = 50, 200

	// Two readers: each ends a read only when the other has begun one.
	reading, stop := context.WithCancel(t.Context())
	connections := newPool(location(path, readOnly), 2)
	begun := [2]chan struct{}{make(chan struct{}, 1), make(chan struct{}, 1)}
	var readers sync.WaitGroup
	for me := range begun {
		readers.Go(func() {
			read := func(c *connection) error {
				return c.atOnce(func() error {
					if err := c.each(getPositions, nil, func(*sqlite3.Stmt) error { return nil }); err != nil {
						return err
					}
					select {
					case begun[me] <- struct{}{}:
					default:
					}
					select {
					case <-begun[1-me]:
					case <-reading.Done():
					}
					return nil
				})
			}
			for reading.Err() == nil {
				if err := connections.use(reading, read); err != nil && reading.Err() == nil {
					t.Error(err)
					return
				}
			}
		})
	}
	t.Cleanup(func() {
		stop()
		readers.Wait()
		require.NoError(t, connections.close())
	})

	const changes = 600
	written := 0
	for n := range changes {
		name := "crm-" + strconv.Itoa(n)
		require.NoError(t, s.Apply(t.Context(), projections.Batch{
			Documents: []projections.Document{{Position: uint64(n + 1), Integration: domain.Integration{ID: domain.NewID("acme", name), Workspace: "acme", Name: name, Version: 1}}},
			Reached:   projections.Positions{Integrations: uint64(n + 1)},
		}))
		written += 5 // pages at least
	}
	log, err := os.Stat(path + "-wal")
	require.NoError(t, err)
	require.Less(t, log.Size(), int64(written*page/2), "it did not begin again")
	all, err := s.Answers(t.Context(), "acme", projections.Query{Limit: 1})
	require.NoError(t, err)
	require.Equal(t, changes, all.Total)
}
