package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"github.com/seed677028b5/integrations/backup"
	"github.com/seed677028b5/integrations/commands"
	"github.com/seed677028b5/integrations/eventstore"
	"github.com/seed677028b5/integrations/internal/datafolder"
	"github.com/seed677028b5/integrations/vault"
)

// backupCommand writes everything that the service stores in JetStream to a file.
type backupCommand struct {
	File           string `arg:"" help:"File to write; it must not exist yet." type:"path"`
	WithRootKeyset bool   `help:"Include the root keyset. Everyone who has the file can then open every secret."`
	JSON           bool   `name:"json" help:"Write JSON."`
	storeFlags     `embed:""`
}

// backupResult is what --json writes.
type backupResult struct {
	File       string          `json:"file"`
	Bytes      int64           `json:"bytes"`
	RootKeyset bool            `json:"root_keyset"`
	Streams    []backup.Stream `json:"streams"`
}

func (c backupCommand) Run(s console) (err error) {
	if _, err := os.Lstat(c.File); !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s exists already", c.File)
	}
	conn, events, _, err := c.attachLog(s)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := c.checkWhole(s, events); err != nil {
		return err
	}
	from := backup.Source{NATS: conn.NATS, Events: events, Lease: commands.BackupLease, Version: version(), Now: clock, Progress: streamProgress(s.err), Waiting: s.waiting}
	if c.WithRootKeyset {
		from.RootKeyset = c.rootKeyset
	}
	done, size, err := backup.WriteFile(s.ctx, from, c.File)
	if err != nil {
		return err
	}
	if c.JSON {
		return s.writeJSON(backupResult{File: c.File, Bytes: size, RootKeyset: c.WithRootKeyset, Streams: done})
	}
	_, err = fmt.Fprintf(s.out, "%s: %d bytes, %d streams\n", c.File, size, len(done))
	if err == nil && !c.WithRootKeyset {
		_, err = fmt.Fprintln(s.out, "the root keyset is not in the backup: keep a copy elsewhere, or no secret can be opened after a restore")
	}
	return err
}

// checkWhole returns an error for a log that lost events: its backup would seem to be
// complete.
func (c backupCommand) checkWhole(s console, events *eventstore.Store) error {
	mark, err := c.folder().ReadMark()
	if err != nil {
		return err
	}
	found, err := events.Inspect(s.ctx, eventstore.Scrubbed{}, mark)
	if err != nil {
		return err
	}
	return found.Err()
}

// rootKeyset returns the root keyset to include.
func (c backupCommand) rootKeyset() ([]byte, error) {
	if c.RootKeyset != "" {
		return []byte(c.RootKeyset), nil
	}
	return c.folder().ReadKeyset()
}

// restoreCommand restores a backup into an empty data folder or NATS server.
type restoreCommand struct {
	File       string `arg:"" help:"File that backup wrote." type:"existingfile"`
	Again      bool   `help:"Delete what an interrupted restore left, and restore again."`
	JSON       bool   `name:"json" help:"Write JSON."`
	storeFlags `embed:""`
}

// restoreResult is what --json writes.
type restoreResult struct {
	Backup  backup.Manifest `json:"backup"`
	Streams []backup.Stream `json:"streams"`
}

func (c restoreCommand) Run(s console) (err error) {
	file, err := os.Open(c.File)
	if err != nil {
		return err
	}
	defer file.Close() //nolint:errcheck // it is only read
	progress := streamProgress(s.err)
	manifest, err := backup.Check(file, func(bytes, total int64) { progress("the file", bytes, total) })
	if err != nil {
		return fmt.Errorf("%s: %w", c.File, err)
	}
	if err := c.checkTarget(manifest); err != nil {
		return err
	}
	if err := c.folder().Create(); err != nil {
		return err
	}
	undo := c.folder().Undo()
	conn, err := c.connect(s.log)
	if err != nil {
		return err
	}
	defer func() {
		conn.Close()
		if err != nil && c.NATSURL == "" {
			err = errors.Join(err, undo())
		}
	}()
	to := backup.Target{NATS: conn.NATS, Replicas: c.Replicas, Again: c.Again, Now: clock, Progress: progress, Secrets: func(ctx context.Context) error {
		keys, err := c.rootKeys()
		if err != nil {
			return err
		}
		_, err = vault.Open(ctx, conn.NATS, keys, c.Replicas)
		return err
	}}
	if c.RootKeyset == "" {
		to.Keyset = c.folder().AddKeyset
	}
	done, err := backup.Read(s.ctx, file, to)
	if err != nil {
		return err
	}
	if c.JSON {
		return s.writeJSON(restoreResult{Backup: manifest, Streams: done})
	}
	_, err = fmt.Fprintf(s.out, "restored %d streams of %s; the read model is built at the next start\n"+
		"tokens that persons have given are not renewed until `integrations resume-tokens --sole-holder`\n", len(done), manifest.CreatedAt.Format(time.RFC3339))
	return err
}

// checkTarget returns an error when the data folder is in use, or lacks the root keyset.
func (c restoreCommand) checkTarget(m backup.Manifest) error {
	if err := c.folder().CheckUnused(c.NATSURL != "" || c.Again); err != nil {
		return err
	}
	if c.RootKeyset == "" && !m.RootKeyset && !c.folder().HasKeyset() {
		return fmt.Errorf("the root keyset is not in the backup: put it at %s first", c.path(datafolder.Keyset))
	}
	return nil
}

// streamProgress shows the progress of a backup or a restore, at most once a second
// and stream.
func streamProgress(to io.Writer) backup.Progress {
	last, stream := time.Time{}, ""
	return func(name string, bytes, total int64) {
		now := time.Now()
		if name == stream && now.Sub(last) < time.Second {
			return
		}
		last, stream = now, name
		if total < bytes { // the size of a stream is not that of its snapshot
			_, _ = fmt.Fprintf(to, "%s: %d bytes\n", name, bytes)
			return
		}
		_, _ = fmt.Fprintf(to, "%s: %d of %d bytes\n", name, bytes, total)
	}
}
