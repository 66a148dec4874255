package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/seed677028b5/integrations/eventstore"
	"github.com/seed677028b5/integrations/internal/natsconn"
	"github.com/seed677028b5/integrations/internal/objects"
	"github.com/seed677028b5/integrations/internal/terminal"
	"github.com/seed677028b5/integrations/transparency"
	"github.com/seed677028b5/integrations/transparency/archive"
	"github.com/seed677028b5/integrations/transparency/trees"
)

// archiveCommand copies old events of a log to an archive.
type archiveCommand struct {
	Before     time.Time `help:"Archive what was stored before this time, such as 2026-05-06T12:00:00Z." required:""`
	To         string    `help:"Folder, or s3://BUCKET/PREFIX." required:""`
	JSON       bool      `name:"json" help:"Write JSON."`
	logFlag    `embed:""`
	storeFlags `embed:""`
}

func (c archiveCommand) Help() string {
	return "Each segment is read again and verified. Nothing is removed from the log. Another run continues where the archive ends, also after one that was interrupted."
}

// archived is what --json writes.
type archived struct {
	archive.Written

	Seconds float64 `json:"seconds"`
}

func (c archiveCommand) Run(s console) error {
	if c.Before.After(clock()) {
		return errors.New("--before must be in the past")
	}
	to, err := objects.Open(c.To)
	if err != nil {
		return fmt.Errorf("--to: %w", err)
	}
	return c.openReader(s, func(r *trees.Reader) error {
		var progress *terminal.Progress
		since := time.Now()
		w := archive.Writing{
			Archive: archive.Archive{Objects: to, Log: transparency.Log(c.Log)}, From: r, Before: c.Before,
			Progress: func(position, to uint64) {
				if progress == nil {
					progress = terminal.NewProgress(s.err, "positions", int(to)) //nolint:gosec // a count of events fits
				}
				progress.Set(int(position)) //nolint:gosec // as above
			},
		}
		done, err := w.Run(s.ctx)
		if errors.Is(err, objects.ErrExists) {
			err = fmt.Errorf("%w; another `integrations archive` writes there", err)
		}
		if err != nil {
			return err
		}
		took := time.Since(since)
		if c.JSON {
			return s.writeJSON(archived{done, took.Seconds()})
		}
		if done.Segments == 0 {
			_, err = fmt.Fprintf(s.out, "%s: nothing to archive; the archive has the log up to position %d\n", c.Log, done.Position)
			return err
		}
		_, err = fmt.Fprintf(s.out, "%s: positions %d to %d in %d segments of %d bytes, verified: %d events of %d bytes and %d hashes, in %s\n",
			c.Log, done.From, done.Position, done.Segments, done.Stored, done.Events, done.Bytes, done.Hashes, took.Round(time.Millisecond))
		return err
	})
}

// archiveFlag names an archive to read from.
type archiveFlag struct {
	Archive string `help:"Folder or s3://BUCKET/PREFIX of an archive of the log: what it has is read from there, and the rest from the log."`
}

// archivedLog is a log of which an archive has the first part.
type archivedLog struct {
	archive.Archive

	events *eventstore.Store
	key    []byte
	end    uint64
}

// openArchive returns the log of an archive, or an error when the archive is of another one.
func (f archiveFlag) openArchive(s console, stores storeFlags, conn *natsconn.Conn, events *eventstore.Store, log transparency.Log) (*archivedLog, error) {
	from, err := objects.Open(f.Archive)
	if err != nil {
		return nil, fmt.Errorf("--archive: %w", err)
	}
	secrets, err := stores.openVault(s.ctx, conn, events)
	if err != nil {
		return nil, err
	}
	r, err := openTrees(s.ctx, conn.NATS, events, secrets, stores.Replicas)
	if err != nil {
		return nil, err
	}
	a := &archivedLog{Archive: archive.Archive{Objects: from, Log: log}, events: events}
	if a.key, err = transparency.ParseKey(r.Key.Public()); err != nil {
		return nil, err
	}
	bounds, err := events.Bounds(s.ctx, r.Streams[log])
	if err != nil {
		return nil, err
	}
	if bounds.Last == 0 { // nothing was ever in the log, so there may be no archive
		if _, err := a.End(s.ctx, a.key); errors.Is(err, archive.ErrEmpty) {
			return a, nil
		}
	}
	tree, err := r.Snapshot(s.ctx, log)
	if err != nil {
		return nil, err
	}
	end, err := a.Check(s.ctx, tree, a.key)
	if err != nil {
		return nil, fmt.Errorf("--archive: %w", err)
	}
	a.end = end.To
	return a, nil
}

// chunk is how many messages of a segment are handed on together.
const chunk = 1000

// messages yields what the archive had after a position when it was opened.
func (a *archivedLog) messages(ctx context.Context, after uint64) iter.Seq2[[]eventstore.Message, error] {
	return func(yield func([]eventstore.Message, error) bool) {
		reached := after
		if reached >= a.end {
			return
		}
		for segment, err := range a.Segments(ctx, a.key, after) {
			if err != nil {
				yield(nil, err)
				return
			}
			reached = segment.To
			for entries := range slices.Chunk(segment.Entries, chunk) {
				batch := make([]eventstore.Message, len(entries))
				for n, e := range entries {
					batch[n] = eventstore.Message{Subject: e.Subject, Position: e.Position, Time: e.Time, Header: e.Headers, Data: e.Data}
				}
				if !yield(batch, nil) {
					return
				}
			}
			if reached >= a.end { // it may have grown since
				break
			}
		}
		if reached < a.end {
			yield(nil, fmt.Errorf("the archive lost the positions %d to %d while it was read", reached+1, a.end))
		}
	}
}

// replay is eventstore.Store.Replay over the archive and the log.
func (a *archivedLog) replay(ctx context.Context, r eventstore.Replay) iter.Seq2[[]eventstore.Stored, error] {
	return func(yield func([]eventstore.Stored, error) bool) {
		for batch, err := range a.messages(ctx, r.After) {
			var selected []eventstore.Stored
			for _, m := range batch {
				if event, ok := r.Stored(m); ok {
					selected = append(selected, event)
				}
			}
			if (err != nil || len(selected) > 0) && !yield(selected, err) || err != nil {
				return
			}
		}
		r.After = max(r.After, a.end)
		a.events.Replay(ctx, r)(yield)
	}
}

// latest returns every event of the archive, for a build of the read model.
func (a *archivedLog) latest(ctx context.Context) (eventstore.Latest, error) {
	return eventstore.Latest{Known: int(a.end), Position: a.end, Commits: func(yield func([]eventstore.Commit, error) bool) { //nolint:gosec // a count of events fits
		for batch, err := range a.messages(ctx, 0) {
			commits := make([]eventstore.Commit, len(batch))
			for n, m := range batch {
				commits[n] = a.events.Decode(m)
			}
			if !yield(commits, err) || err != nil {
				return
			}
		}
	}}, nil
}

// verifyExport verifies an export in a file, or an archive of a log.
func verifyExport(ctx context.Context, name string, log transparency.Log, key, held []byte) (transparency.Report, error) {
	if name == "-" {
		return transparency.Verify(os.Stdin, key, held)
	}
	if info, err := os.Stat(name); objects.IsBucket(name) || err == nil && info.IsDir() {
		return verifyArchive(ctx, name, log, key, held)
	}
	f, err := os.Open(name) //nolint:gosec // an operator names it
	if err != nil {
		return transparency.Report{}, err
	}
	defer f.Close() //nolint:errcheck // it was only read
	if !strings.HasSuffix(name, archive.Suffix) {
		return transparency.Verify(f, key, held)
	}
	segment, err := archive.Decompress(f)
	if err != nil {
		return transparency.Report{}, err
	}
	defer segment.Close()
	return transparency.VerifyPart(segment, key, held, nil)
}

// verifyArchive verifies all segments of an archive.
func verifyArchive(ctx context.Context, place string, log transparency.Log, key, held []byte) (transparency.Report, error) {
	from, err := objects.Open(place)
	if err != nil {
		return transparency.Report{}, err
	}
	lines, to := io.Pipe()
	copied := make(chan error, 1)
	go func() {
		err := archive.Archive{Objects: from, Log: log}.Export(ctx, to)
		_ = to.CloseWithError(err) // it never fails
		copied <- err
	}()
	report, err := transparency.VerifyPart(lines, key, held, nil)
	_ = lines.Close() // it never fails; the copying ends when it was stopped early
	if failed := <-copied; failed != nil && !errors.Is(failed, io.ErrClosedPipe) {
		return report, failed
	}
	return report, err
}
