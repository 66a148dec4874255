package backup

import (
	"context"
	"errors"
	"os"
	"path/filepath"

	"github.com/seed677028b5/integrations/internal/durablefile"
)

// WriteFile writes a backup to a new file, and returns its streams and its size in
// bytes. The file has its name once it is complete and on disk.
func WriteFile(ctx context.Context, from Source, path string) (streams []Stream, size int64, err error) {
	folder := filepath.Dir(path)
	tmp, err := os.CreateTemp(folder, "."+filepath.Base(path)+".*")
	if err != nil {
		return nil, 0, err
	}
	defer os.Remove(tmp.Name()) //nolint:errcheck // it exists only after a failure
	streams, err = Write(ctx, from, tmp, folder)
	if err := errors.Join(err, tmp.Sync(), tmp.Close()); err != nil {
		return nil, 0, err
	}
	if err := durablefile.Rename(tmp.Name(), path); err != nil {
		return nil, 0, err
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, 0, err
	}
	return streams, info.Size(), nil
}
