package sqlite_test

import (
	"bytes"
	"database/sql"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	_ "github.com/ncruces/go-sqlite3/driver"
	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/projections"
	"github.com/seed677028b5/integrations/projections/sqlite"
)

func TestAReopenedFileHasItsData(t *testing.T) {
	path := filepath.Join(t.TempDir(), "read.db")
	reach(t, path, 7)
	positions, err := open(t, path).Positions(t.Context())
	require.NoError(t, err)
	require.Equal(t, projections.Positions{Integrations: 7}, positions)
}

func TestAnUnusableFileIsReportedAsUnusable(t *testing.T) {
	for what, damage := range map[string]func(*testing.T, string){
		"not a database": func(t *testing.T, path string) {
			require.NoError(t, os.WriteFile(path, bytes.Repeat([]byte("not a database. "), 1000), 0o600))
		},
		"cut short": func(t *testing.T, path string) {
			require.NoError(t, os.Truncate(path, 5000))
		},
		"overwritten": func(t *testing.T, path string) {
			file, err := os.ReadFile(path)
			require.NoError(t, err)
			for at := 100; at < len(file); at++ {
				file[at] = 0xa5
			}
			require.NoError(t, os.WriteFile(path, file, 0o600))
		},
		"of a later version": func(t *testing.T, path string) {
			execute(t, path, `PRAGMA user_version = 1000`)
		},
		"another program's": func(t *testing.T, path string) {
			require.NoError(t, os.Remove(path))
			execute(t, path, `CREATE TABLE theirs (x)`)
		},
		"without its tables": func(t *testing.T, path string) {
			execute(t, path, `PRAGMA writable_schema = on; DELETE FROM sqlite_schema WHERE name = 'positions'`)
		},
	} {
		t.Run(what, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "read.db")
			reach(t, path, 7)
			damage(t, path)
			_, err := sqlite.Open(t.Context(), path, slog.New(slog.DiscardHandler))
			require.ErrorIs(t, err, projections.ErrUnusable)
			require.Equal(t, domain.Unavailable, domain.KindOf(err))
		})
	}
}

func TestAFileThatWasFoundDamagedInUseIsNotOpenedAgain(t *testing.T) {
	for what, damage := range map[string]func(*testing.T, string){
		"pages": func(t *testing.T, path string) {
			file, err := os.ReadFile(path)
			require.NoError(t, err)
			for at := len(file) / 3; at < len(file); at++ {
				file[at] = 0xa5
			}
			require.NoError(t, os.WriteFile(path, file, 0o600))
		},
		"a document": func(t *testing.T, path string) {
			execute(t, path, `UPDATE integrations SET document = x'ff'`)
		},
	} {
		t.Run(what, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "read.db")
			s := open(t, path)
			var batch projections.Batch
			for n := range 600 {
				name := "crm-" + strconv.Itoa(n)
				batch.Documents = append(batch.Documents, projections.Document{Position: 7, Integration: domain.Integration{
					ID: domain.NewID("acme", name), Workspace: "acme", Name: name, Version: 1,
				}})
			}
			batch.Reached.Integrations = 7
			require.NoError(t, s.Apply(t.Context(), batch))
			require.NoError(t, s.Close())
			damage(t, path)

			var log bytes.Buffer
			s, err := sqlite.Open(t.Context(), path, slog.New(slog.NewTextHandler(&log, nil)))
			require.NoError(t, err, "the damage isn't detected at the start")
			require.NoError(t, s.Ping(t.Context()))
			_, err = s.List(t.Context(), "acme", projections.Query{Limit: 200})
			require.Equal(t, domain.Unavailable, domain.KindOf(err))
			require.Equal(t, domain.Unavailable, domain.KindOf(s.Ping(t.Context())), "the service is not ready any more")
			require.Contains(t, log.String(), "another is built from the log")
			require.NoError(t, s.Close())
			_, err = sqlite.Open(t.Context(), path, slog.New(slog.DiscardHandler))
			require.ErrorIs(t, err, projections.ErrUnusable)
		})
	}
}

func TestAMissingFolderIsUnavailable(t *testing.T) {
	_, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "nowhere", "read.db"), slog.New(slog.DiscardHandler))
	require.Equal(t, domain.Unavailable, domain.KindOf(err))
}

// reach creates a file that has reached a position, and closes it.
func reach(t *testing.T, path string, position uint64) {
	t.Helper()
	s, err := sqlite.Open(t.Context(), path, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	require.NoError(t, s.Apply(t.Context(), projections.Batch{Reached: projections.Positions{Integrations: position}}))
	require.NoError(t, s.Close())
}

func execute(t *testing.T, path, statement string) {
	t.Helper()
	db, err := sql.Open("sqlite3", path)
	require.NoError(t, err)
	_, err = db.ExecContext(t.Context(), statement)
	require.NoError(t, err)
	require.NoError(t, db.Close())
}
