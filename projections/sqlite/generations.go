package sqlite

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/seed677028b5/integrations/internal/durablefile"
	"github.com/seed677028b5/integrations/projections"
)

// Generations stores each generation in a file of a folder, read-<n>.db, and the number of the
// live one in read.generation. Any number of processes may use the folder. Each locks a file
// beside the generations that it uses; the locks end with the process.
type Generations struct {
	Folder string
	Log    *slog.Logger
}

const (
	pointerFile  = "read.generation"
	buildingFile = "read.building"
	lockSuffix   = ".lock"
)

func (g *Generations) file(n uint64) string {
	return filepath.Join(g.Folder, "read-"+strconv.FormatUint(n, 10)+".db")
}

// Live implements projections.Generations.
func (g *Generations) Live(context.Context) (uint64, error) {
	text, err := os.ReadFile(filepath.Join(g.Folder, pointerFile))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return 0, nil
	case err != nil:
		return 0, projections.Unavailable(err)
	}
	n, err := strconv.ParseUint(strings.TrimSpace(string(text)), 10, 64)
	if err != nil { // it is written atomically, so another program wrote it
		g.Log.Warn("the file with the live generation of the read model is unreadable", slog.Any("err", err))
		return 0, nil
	}
	return n, nil
}

// Open implements projections.Generations.
func (g *Generations) Open(ctx context.Context, n uint64) (projections.Store, error) {
	path := g.file(n)
	lock, err := durablefile.LockShared(path + lockSuffix)
	if err != nil {
		return nil, projections.Unavailable(err)
	}
	file, err := os.Stat(path)
	if err == nil && file.IsDir() {
		err = fmt.Errorf("%s is a folder", path)
	} else if !errors.Is(err, fs.ErrNotExist) {
		err = nil // any other problem shows when it is opened
	}
	if err != nil {
		_ = lock.Close()
		return nil, projections.Unavailable(fmt.Errorf("%w: %w", projections.ErrUnusable, err))
	}
	s, err := Open(ctx, path, g.Log)
	if err != nil {
		_ = lock.Close()
		return nil, err
	}
	return &locked{Store: s, lock: lock}, nil
}

// Create implements projections.Generations.
func (g *Generations) Create(ctx context.Context) (uint64, projections.Store, error) {
	building, err := durablefile.Lock(filepath.Join(g.Folder, buildingFile))
	if errors.Is(err, durablefile.ErrLocked) {
		return 0, nil, projections.ErrBuilding
	}
	if err != nil {
		return 0, nil, projections.Unavailable(err)
	}
	n, err := g.deleteLeftovers(ctx)
	if err != nil {
		_ = building.Close()
		return 0, nil, err
	}
	s, err := begin(ctx, g.file(n), g.Log)
	if err != nil {
		_ = building.Close()
		return 0, nil, projections.Unavailable(fmt.Errorf("begin %s: %w", g.file(n), err))
	}
	return n, &locked{Store: s, lock: building}, nil
}

// deleteLeftovers deletes what interrupted builds left, and returns the number of the next generation.
func (g *Generations) deleteLeftovers(ctx context.Context) (uint64, error) {
	live, err := g.Live(ctx)
	if err != nil {
		return 0, err
	}
	all, err := g.all()
	if err != nil {
		return 0, err
	}
	next := live + 1
	for _, n := range all {
		next = max(next, n+1)
		if n > live {
			if err := g.drop(n); err != nil {
				return 0, projections.Unavailable(err)
			}
		}
	}
	return next, nil
}

// Promote implements projections.Generations.
func (g *Generations) Promote(_ context.Context, n uint64) error {
	if err := replace(filepath.Join(g.Folder, pointerFile), strconv.FormatUint(n, 10)+"\n"); err != nil {
		return projections.Unavailable(err)
	}
	return nil
}

// replace writes a file atomically.
func replace(path, text string) error {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) //nolint:errcheck // it only exists when the rename failed
	_, err = f.WriteString(text)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	folder, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}

// Sweep implements projections.Generations.
func (g *Generations) Sweep(ctx context.Context) error {
	live, err := g.Live(ctx)
	if err != nil {
		return err
	}
	all, err := g.all()
	if err != nil {
		return err
	}
	var failed error
	for _, n := range all {
		if n < live {
			failed = errors.Join(failed, g.drop(n))
		}
	}
	old, _ := filepath.Glob(filepath.Join(g.Folder, "read.db*")) // from before there were generations
	for _, name := range old {
		failed = errors.Join(failed, os.Remove(name))
	}
	return failed
}

// Close implements projections.Generations. There is nothing to close.
func (*Generations) Close() error { return nil }

// all returns the numbers of the generations that have files, sorted.
func (g *Generations) all() ([]uint64, error) {
	entries, err := os.ReadDir(g.Folder)
	if err != nil {
		return nil, projections.Unavailable(err)
	}
	var all []uint64
	for _, e := range entries {
		name, isOurs := strings.CutPrefix(e.Name(), "read-")
		number, _, isFile := strings.Cut(name, ".db")
		if n, err := strconv.ParseUint(number, 10, 64); isOurs && isFile && err == nil && !slices.Contains(all, n) {
			all = append(all, n)
		}
	}
	return all, nil
}

// drop deletes the files of a generation, unless a process has it open. It keeps a folder of
// that name, which is not of this service.
func (g *Generations) drop(n uint64) error {
	path := g.file(n)
	if file, err := os.Stat(path); err == nil && file.IsDir() {
		return nil
	}
	lock, err := durablefile.Lock(path + lockSuffix)
	if errors.Is(err, durablefile.ErrLocked) {
		return nil
	}
	if err != nil {
		return err
	}
	defer lock.Close() //nolint:errcheck // nothing was written to it
	for _, with := range []string{"", "-wal", "-shm", "-journal", damagedMark, lockSuffix} {
		if err := os.Remove(path + with); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// locked is a store that holds a lock until it is closed.
type locked struct {
	*Store
	lock *os.File
}

// Close implements projections.Store.
func (l *locked) Close() error {
	err := l.Store.Close()
	_ = l.lock.Close() // nothing was written to it
	return err
}
