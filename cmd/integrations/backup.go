package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/seed677028b5/integrations/backup"
	"github.com/seed677028b5/integrations/commands"
	"github.com/seed677028b5/integrations/eventstore"
	"github.com/seed677028b5/integrations/internal/durablefile"
	"github.com/seed677028b5/integrations/vault"
)

// backupCommand writes all that the service keeps in JetStream to a file.
type backupCommand struct {
	File           string `arg:"" help:"File to write; it must not exist yet." type:"path"`
	WithRootKeyset bool   `help:"Put the root keyset into the file. Whoever has the file can then open every secret."`
	JSON           bool   `name:"json" help:"Write JSON."`
	storeFlags     `embed:""`
}

// backedUp is what --json writes.
type backedUp struct {
	File       string          `json:"file"`
	Bytes      int64           `json:"bytes"`
	RootKeyset bool            `json:"root_keyset"`
	Streams    []backup.Stream `json:"streams"`
}

func (c backupCommand) Run(s streams) (err error) {
	if _, err := os.Lstat(c.File); !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s exists already", c.File)
	}
	b, events, _, err := attachLog(s, c.storeFlags)
	if err != nil {
		return err
	}
	defer b.close()
	if err := c.whole(s, events); err != nil {
		return err
	}
	from := backup.Source{NATS: b.nc, Events: events, Lease: commands.BackupLease, Version: version(), Now: clock, Progress: streamProgress(s.err)}
	if c.WithRootKeyset {
		from.RootKeyset = c.rootKeysetText
	}
	// The file has its name once it is whole and on disk.
	folder := filepath.Dir(c.File)
	tmp, err := os.CreateTemp(folder, "."+filepath.Base(c.File)+".*")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name()) //nolint:errcheck // it is there only when this failed
	done, err := backup.Write(s.ctx, from, tmp, folder)
	if err := errors.Join(err, tmp.Sync(), tmp.Close()); err != nil {
		return err
	}
	if err := durablefile.Rename(tmp.Name(), c.File); err != nil {
		return err
	}
	info, err := os.Stat(c.File)
	if err != nil {
		return err
	}
	if c.JSON {
		return json.NewEncoder(s.out).Encode(backedUp{File: c.File, Bytes: info.Size(), RootKeyset: c.WithRootKeyset, Streams: done})
	}
	_, err = fmt.Fprintf(s.out, "%s: %d bytes, %d streams\n", c.File, info.Size(), len(done))
	if err == nil && !c.WithRootKeyset {
		_, err = fmt.Fprintln(s.out, "the root keyset is not in it: keep a copy of it elsewhere, or no secret can be opened after a restore")
	}
	return err
}

// whole refuses a log that lost events: a backup of it would look like all there is.
func (c backupCommand) whole(s streams, events *eventstore.Store) error {
	mark, err := c.readMark()
	if err != nil {
		return err
	}
	found, err := events.Inspect(s.ctx, eventstore.Scrubbed{}, mark)
	if err != nil {
		return err
	}
	return found.Err()
}

func (f storeFlags) rootKeysetText() ([]byte, error) {
	if f.RootKeyset != "" {
		return []byte(f.RootKeyset), nil
	}
	text, err := os.ReadFile(f.path("root.keyset"))
	if err != nil {
		return nil, fmt.Errorf("read the root keyset: %w", err)
	}
	return text, nil
}

// restoreCommand restores a backup where nothing is yet.
type restoreCommand struct {
	File       string `arg:"" help:"File that backup wrote." type:"existingfile"`
	Again      bool   `help:"Delete first what a restore left that was cut short."`
	JSON       bool   `name:"json" help:"Write JSON."`
	storeFlags `embed:""`
}

// restoredTo is what --json writes.
type restoredTo struct {
	Backup  backup.Manifest `json:"backup"`
	Streams []backup.Stream `json:"streams"`
}

func (c restoreCommand) Run(s streams) (err error) {
	file, err := os.Open(c.File)
	if err != nil {
		return err
	}
	defer file.Close() //nolint:errcheck // it is only read
	tell := streamProgress(s.err)
	manifest, err := backup.Check(file, func(bytes, total int64) { tell("the file", bytes, total) })
	if err != nil {
		return fmt.Errorf("%s: %w", c.File, err)
	}
	if err := c.vacant(manifest); err != nil {
		return err
	}
	if err := os.MkdirAll(c.Data, 0o700); err != nil {
		return err
	}
	remove := c.made()
	b, err := connect(c.storeFlags, s.log)
	if err != nil {
		return err
	}
	defer func() {
		b.close()
		if err != nil && c.NATSURL == "" {
			err = errors.Join(err, remove())
		}
	}()
	to := backup.Target{NATS: b.nc, Replicas: c.Replicas, Again: c.Again, Now: clock, Progress: tell, Secrets: func(ctx context.Context) error {
		_, err := vault.Open(ctx, b.nc, c.rootKeys(), c.Replicas)
		return err
	}}
	if c.RootKeyset == "" {
		to.Keyset = c.keepKeyset
	}
	done, err := backup.Read(s.ctx, file, to)
	if err != nil {
		return err
	}
	if c.JSON {
		return json.NewEncoder(s.out).Encode(restoredTo{Backup: manifest, Streams: done})
	}
	_, err = fmt.Fprintf(s.out, "restored %d streams of %s; the read model is built at the next start\n", len(done), manifest.CreatedAt.Format(time.RFC3339))
	return err
}

// vacant refuses a data folder that is in use, or that lacks the root keyset.
func (c restoreCommand) vacant(m backup.Manifest) error {
	patterns := []string{"log.mark", "read-*"}
	if c.NATSURL == "" && !c.Again {
		patterns = append(patterns, "nats")
	}
	for _, pattern := range patterns {
		found, err := filepath.Glob(c.path(pattern))
		if err != nil {
			return err
		}
		if len(found) > 0 {
			return fmt.Errorf("%s is there already: restore into a folder that no service has used", found[0])
		}
	}
	if _, err := os.Stat(c.path("root.keyset")); err != nil && c.RootKeyset == "" && !m.RootKeyset {
		return fmt.Errorf("the root keyset is not in the backup: put it at %s first", c.path("root.keyset"))
	}
	return nil
}

// made returns what removes again what a restore that failed made in the data folder
// since now, so that it can be tried again.
func (c restoreCommand) made() (remove func() error) {
	var made []string
	for _, name := range []string{"nats", "root.keyset"} {
		if _, err := os.Lstat(c.path(name)); errors.Is(err, fs.ErrNotExist) {
			made = append(made, c.path(name))
		}
	}
	return func() error {
		var failed error
		for _, path := range made {
			failed = errors.Join(failed, os.RemoveAll(path))
		}
		return failed
	}
}

// keepKeyset keeps the root keyset of a backup, unless there is one already.
func (c restoreCommand) keepKeyset(text []byte) error {
	if _, err := os.Stat(c.path("root.keyset")); err == nil {
		return nil
	}
	return durablefile.Write(c.path("root.keyset"), text, 0o400)
}

// streamProgress shows how far a backup or a restore is, at most once a second for
// each stream.
func streamProgress(to io.Writer) backup.Progress {
	last, stream := time.Time{}, ""
	return func(name string, bytes, total int64) {
		now := time.Now()
		if name == stream && now.Sub(last) < time.Second {
			return
		}
		last, stream = now, name
		_, _ = fmt.Fprintf(to, "%s: %d of %d bytes\n", name, bytes, total)
	}
}
