package sqlite

import (
	"context"
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
	s, err := open(ctx, path, log, schema, unlogged...)
	if err == nil {
		s.counted = false
	}
	return s, err
}

// Index implements projections.Store. Afterwards the file is on disk, and is written as those that
// are read.
func (s *Store) Index(ctx context.Context) error {
	if err := s.change(ctx, func(c *connection) error { return c.Exec(indexes + countAll) }); err != nil {
		return err
	}
	if err := s.writer.use(ctx, func(c *connection) error {
		for _, pragma := range append([]string{"wal_checkpoint(truncate)", usualCache}, logged...) {
			if err := c.Exec(`PRAGMA ` + pragma); err != nil {
				return err
			}
		}
		s.counted = true
		return nil
	}); err != nil {
		return s.unavailable(ctx, err)
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
