package sqlite_test

import (
	"log/slog"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/projections"
	"github.com/seed677028b5/integrations/projections/projectiontest"
	"github.com/seed677028b5/integrations/projections/sqlite"
)

func TestStore(t *testing.T) {
	projectiontest.Run(t, func(t *testing.T) projections.Store {
		return open(t, filepath.Join(t.TempDir(), "read model #1?.db"))
	})
}

func TestGenerations(t *testing.T) {
	projectiontest.RunGenerations(t, func(t *testing.T) (one, other projections.Generations) {
		folder := t.TempDir()
		return generations(folder), generations(folder)
	})
}

func generations(folder string) *sqlite.Generations {
	return &sqlite.Generations{Folder: folder, Log: slog.New(slog.DiscardHandler)}
}

func open(t testing.TB, path string) *sqlite.Store {
	t.Helper()
	s, err := sqlite.Open(t.Context(), path, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}
