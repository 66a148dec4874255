// Package objects keeps objects by name, in a folder or in an S3 bucket.
//
// Its one promise: an object that was put is whole, and is never replaced by another one.
package objects

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/seed677028b5/integrations/internal/durablefile"
)

// Store keeps objects. A name has parts of letters, digits, dots and dashes, separated by slashes.
type Store interface {
	// Names returns the names in a folder, "" for the top one. A folder below it has a slash at the end
	// of its name; what is in there is left out.
	Names(ctx context.Context, folder string) ([]string, error)
	// Put keeps an object. The error is ErrExists when there is another one with this name, which
	// stays.
	Put(ctx context.Context, name string, data []byte) error
	// Get returns an object.
	Get(ctx context.Context, name string) ([]byte, error)
}

// ErrExists means that there is another object with this name already.
var ErrExists = errors.New("there is another object with this name already")

// MaxSize bounds the bytes of an object that is read.
const MaxSize = 256 << 20

// Open returns the store at a place: the path of a folder, or s3://BUCKET/PREFIX. It connects to
// nothing.
func Open(place string) (Store, error) {
	if IsBucket(place) {
		return openBucket(place)
	}
	if place == "" || strings.Contains(place, "://") {
		return nil, errors.New("this must be the path of a folder, or s3://BUCKET/PREFIX")
	}
	return folder(place), nil
}

// folder is a store in a folder, which Put creates.
type folder string

// Names implements Store.
func (f folder) Names(_ context.Context, of string) ([]string, error) {
	entries, err := os.ReadDir(filepath.Join(string(f), filepath.FromSlash(of)))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	var names []string
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") { // it was not finished
			continue
		}
		name := strings.TrimPrefix(of+"/"+e.Name(), "/")
		if e.IsDir() {
			name += "/"
		}
		names = append(names, name)
	}
	return names, err
}

// Put implements Store.
func (f folder) Put(ctx context.Context, name string, data []byte) error {
	path := filepath.Join(string(f), filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	err := durablefile.Create(path, data, 0o400)
	if errors.Is(err, os.ErrExist) {
		err = unlessSame(ctx, f, name, data)
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

// unlessSame returns ErrExists unless the object that is there is the one to put: it was put before,
// and the answer was lost.
func unlessSame(ctx context.Context, s Store, name string, data []byte) error {
	kept, err := s.Get(ctx, name)
	if err == nil && !bytes.Equal(kept, data) {
		err = ErrExists
	}
	return err
}

// Get implements Store.
func (f folder) Get(_ context.Context, name string) ([]byte, error) {
	path := filepath.Join(string(f), filepath.FromSlash(name))
	info, err := os.Stat(path)
	switch {
	case err == nil && !info.Mode().IsRegular():
		err = fmt.Errorf("%s is not a regular file", path)
	case err == nil && info.Size() > MaxSize:
		err = fmt.Errorf("%s has more than %d MiB", path, MaxSize>>20)
	}
	if err != nil {
		return nil, err
	}
	return os.ReadFile(path) //nolint:gosec // an operator names the folder
}
