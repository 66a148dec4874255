package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// makePrivate makes the data folder and has nobody but its owner read what is in it
// or will be: databases and logs are made by libraries, each with modes of its own.
func makePrivate(folder string) error {
	syscall.Umask(0o077)
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return fmt.Errorf("make data folder: %w", err)
	}
	root, err := os.OpenRoot(folder) // which no link leads out of
	if err != nil {
		return fmt.Errorf("open data folder: %w", err)
	}
	defer func() { _ = root.Close() }()
	err = fs.WalkDir(root.FS(), ".", func(path string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrPermission) { // someone else's, such as lost+found
			return fs.SkipDir
		}
		if err != nil {
			return err
		}
		if entry.Type()&fs.ModeSymlink != 0 || path == "." { // how open the folder itself is, its owner has decided
			return nil
		}
		info, err := entry.Info()
		if err == nil && info.Mode().Perm()&0o077 != 0 {
			err = root.Chmod(path, info.Mode().Perm()&^0o077)
		}
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) { // gone meanwhile, or someone else's
			return nil
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("make what is in the data folder private: %w", err)
	}
	return nil
}

// private returns where this service keeps secrets, besides its environment: no
// program that it starts may read there.
func (c serveCommand) private() []string {
	all := []string{c.Data}
	for _, file := range []string{c.MCPStdioProfiles, c.NATSCreds} {
		if file != "" {
			all = append(all, file)
		}
	}
	return all
}
