package backup

import (
	"archive/tar"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"strings"
)

// A backup is a tar archive, followed by its SHA-256 as 32 bytes: a truncated or modified
// file is detected before any of it is used.
const (
	manifestFile = "backup.json"
	keysetFile   = "root.keyset"
	configEnd    = ".json" // of a stream
	dataEnd      = ".snapshot"
)

// ErrDamaged means that a file is not a complete backup.
var ErrDamaged = errors.New("the file is not a complete backup: it was truncated or modified")

// archive writes a backup.
type archive struct {
	to  io.Writer
	sum hash.Hash
	tar *tar.Writer
}

func newArchive(w io.Writer) *archive {
	sum := sha256.New()
	return &archive{to: w, sum: sum, tar: tar.NewWriter(io.MultiWriter(w, sum))}
}

func (a *archive) write(name string, data []byte) error {
	return a.copy(name, int64(len(data)), strings.NewReader(string(data)))
}

func (a *archive) writeJSON(name string, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return a.write(name, data)
}

func (a *archive) writeStream(name string, s *snapshot) (int64, error) {
	if err := a.write(name+configEnd, s.config); err != nil {
		return 0, err
	}
	return s.size, a.copy(name+dataEnd, s.size, s.data)
}

func (a *archive) copy(name string, size int64, from io.Reader) error {
	if err := a.tar.WriteHeader(&tar.Header{Name: name, Size: size, Mode: 0o600, Format: tar.FormatPAX}); err != nil {
		return err
	}
	n, err := io.Copy(a.tar, from)
	if err == nil && n != size {
		err = io.ErrUnexpectedEOF
	}
	return err
}

// close completes the archive.
func (a *archive) close() error {
	if err := a.tar.Close(); err != nil {
		return err
	}
	_, err := a.to.Write(a.sum.Sum(nil))
	return err
}

// Check reads a whole backup and returns its manifest. It returns ErrDamaged when the file
// is truncated or modified. It calls progress with the number of bytes read.
func Check(file io.ReadSeeker, progress func(bytes, total int64)) (Manifest, error) {
	end, err := file.Seek(-sha256.Size, io.SeekEnd)
	if err != nil {
		return Manifest{}, fmt.Errorf("%w (%w)", ErrDamaged, err)
	}
	want, err := io.ReadAll(file)
	if err != nil {
		return Manifest{}, err
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return Manifest{}, err
	}
	sum, read := sha256.New(), int64(0)
	if _, err := io.Copy(sum, io.TeeReader(io.LimitReader(file, end), counter(func(n int) {
		read += int64(n)
		progress(read, end)
	}))); err != nil {
		return Manifest{}, err
	}
	if string(sum.Sum(nil)) != string(want) {
		return Manifest{}, ErrDamaged
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return Manifest{}, err
	}
	var m Manifest
	entries := tar.NewReader(io.LimitReader(file, end))
	first, err := entries.Next()
	if err != nil || first.Name != manifestFile {
		return m, fmt.Errorf("%w: it does not start with %s", ErrDamaged, manifestFile)
	}
	if err := json.NewDecoder(entries).Decode(&m); err != nil {
		return m, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	if m.Format != Format {
		return m, fmt.Errorf("the backup has format %d, and this version of the program reads format %d", m.Format, Format)
	}
	return m, nil
}

type counter func(int)

func (c counter) Write(p []byte) (int, error) { c(len(p)); return len(p), nil }
