package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/seed677028b5/integrations/projections"
)

// unlogged are the pragmas for the connection that fills a new file. Nobody reads the file before
// Index, and what is left of it after a crash is deleted. So nothing is written twice or synced.
var unlogged = []string{pageSize, "journal_mode(memory)", "synchronous(off)", "cache_size(-64000)"}

// begin creates the file at path, without the indexes for lists.
func begin(ctx context.Context, path string, log *slog.Logger) (*Store, error) {
	return open(ctx, path, log, schema, unlogged...)
}

// Index implements projections.Store. Afterwards the file is on disk, and is written as those that
// are read.
func (s *Store) Index(ctx context.Context) error {
	if err := s.change(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, indexes); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, countAll)
		return err
	}); err != nil {
		return err
	}
	for _, pragma := range append([]string{"wal_checkpoint(truncate)", usualCache}, logged...) {
		if _, err := s.writer.ExecContext(ctx, `PRAGMA `+pragma); err != nil {
			return s.unavailable(ctx, err)
		}
	}
	if err := syncFile(s.path); err != nil {
		return projections.Unavailable(err)
	}
	return nil
}

// syncFile waits until a file and its name are on disk.
func syncFile(path string) error {
	for _, name := range []string{path, filepath.Dir(path)} {
		f, err := os.Open(name) //nolint:gosec // our own file
		if err != nil {
			return err
		}
		if err := errors.Join(f.Sync(), f.Close()); err != nil {
			return err
		}
	}
	return nil
}
