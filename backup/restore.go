package backup

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/jsm.go"
	"github.com/nats-io/jsm.go/api"
	"github.com/nats-io/nats.go"

	"github.com/seed677028b5/integrations/eventstore"
)

// Target is where a backup is restored.
type Target struct {
	NATS     *nats.Conn                  // of a user who may restore snapshots
	Replicas int                         // copies of each stream; 0: 1
	Again    bool                        // delete first what an interrupted restore left
	Keyset   func([]byte) error          // stores the root keyset of the backup; nil: it is not restored
	Secrets  func(context.Context) error // verifies that the root key opens the restored secrets
	Now      func() time.Time
	Progress Progress
}

// File is a backup on disk.
type File interface {
	io.ReadSeeker
	io.ReaderAt
}

// ErrOccupied means that a target already has streams of a service.
var ErrOccupied = errors.New("the server already has streams of a service; restore to an empty server")

// Read restores a file that Check accepted, and returns the restored streams. If it fails,
// it deletes the streams that it created. While it runs, and after an interruption, no
// service starts on the target.
func Read(ctx context.Context, file File, t Target) (restored []Stream, err error) {
	mgr, err := jsm.New(t.NATS, jsm.WithTimeout(requestTime))
	if err != nil {
		return nil, fmt.Errorf("restore: %w", err)
	}
	r := &restoring{Target: t, file: file, mgr: mgr}
	if err := r.begin(ctx); err != nil {
		return nil, fmt.Errorf("restore: %w", err)
	}
	if _, err = file.Seek(0, io.SeekStart); err == nil {
		err = r.run(ctx, tar.NewReader(file))
	}
	if err == nil {
		err = eventstore.Restored(ctx, t.NATS, eventstore.Config{Replicas: t.Replicas}, t.Now())
	}
	if err != nil {
		return nil, fmt.Errorf("restore: %w", errors.Join(explain(err), r.undo(ctx)))
	}
	if err := eventstore.EndRestore(ctx, t.NATS); err != nil {
		return nil, fmt.Errorf("restore: everything is restored, but: %w", err)
	}
	return r.done, nil
}

// begin checks that the target is empty, or deletes what an interrupted restore left, and
// records that a restore is running.
func (r *restoring) begin(ctx context.Context) error {
	if err := eventstore.CheckRestored(ctx, r.NATS); errors.Is(err, eventstore.ErrRestoring) {
		if !r.Again {
			return err
		}
		for _, name := range append(restoredNames(), leaseStream) {
			r.done = append(r.done, Stream{Name: name})
		}
		if err := r.remove(); err != nil {
			return err
		}
	} else if err != nil {
		return err
	}
	if err := checkEmpty(r.mgr); err != nil {
		return err
	}
	if err := eventstore.BeginRestore(ctx, r.NATS, r.Replicas, r.Again); err != nil {
		return err
	}
	if err := checkEmpty(r.mgr); err != nil { // a service may have started in between
		return errors.Join(err, eventstore.EndRestore(ctx, r.NATS))
	}
	return nil
}

// checkEmpty refuses an account that has streams of a service.
func checkEmpty(mgr *jsm.Manager) error {
	there, err := mgr.StreamNames(nil)
	if err != nil {
		return err
	}
	var found []string
	for _, name := range restoredNames() {
		if slices.Contains(there, name) {
			found = append(found, name)
		}
	}
	if len(found) > 0 {
		return fmt.Errorf("%w (%s)", ErrOccupied, strings.Join(found, ", "))
	}
	return nil
}

// restoredNames returns the streams that a restore may create.
func restoredNames() []string {
	followers, log, rest := order()
	return slices.Concat(followers, log, rest)
}

// leaseStream is a stream that a restore creates in addition to those of the backup.
const leaseStream = "KV_LEASES"

// restoring is a backup that is being restored.
type restoring struct {
	Target
	file File
	mgr  *jsm.Manager
	done []Stream
}

func (r *restoring) run(ctx context.Context, entries *tar.Reader) error {
	var config []byte
	for {
		entry, err := entries.Next()
		if errors.Is(err, io.EOF) {
			return r.complete()
		}
		if err != nil {
			return err
		}
		name, isData := strings.CutSuffix(entry.Name, dataEnd)
		switch {
		case entry.Name == manifestFile:
		case entry.Name == keysetFile && r.Keyset != nil:
			var text []byte
			if text, err = io.ReadAll(entries); err == nil {
				err = r.Keyset(text)
			}
		case entry.Name == keysetFile:
		case isData:
			err = r.stream(ctx, name, config, entry.Size)
			config = nil
		default:
			config, err = io.ReadAll(entries)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", entry.Name, err)
		}
	}
}

// complete refuses an archive without a log.
func (r *restoring) complete() error {
	for _, name := range []string{logName, secretsName} {
		if !slices.ContainsFunc(r.done, func(s Stream) bool { return s.Name == name }) {
			return fmt.Errorf("%w: it has no stream %s", ErrDamaged, name)
		}
	}
	return nil
}

// stream restores one stream with the replicas of the target, and uncompressed, because a
// cluster may lose a compressed one.
func (r *restoring) stream(ctx context.Context, name string, config []byte, size int64) error {
	var meta struct {
		Config api.StreamConfig `json:"config"`
		State  api.StreamState  `json:"state"`
	}
	if err := json.Unmarshal(config, &meta); err != nil {
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	if meta.Config.Name != name {
		return fmt.Errorf("%w: the configuration of %q precedes %q", ErrDamaged, meta.Config.Name, name)
	}
	meta.Config.Replicas = max(r.Replicas, 1)
	meta.Config.Compression = api.NoCompression
	if meta.Config.Replicas > 1 {
		meta.Config.PersistMode = api.DefaultPersistMode // replicated streams offer no other
	}
	begin, err := r.file.Seek(0, io.SeekCurrent) // the present position in the archive
	if err != nil {
		return err
	}
	r.done = append(r.done, Stream{Name: name, Bytes: size})
	var state *api.StreamState
	for try := 1; ; try++ {
		sent := int64(0)
		data := io.TeeReader(io.NewSectionReader(r.file, begin, size), counter(func(n int) {
			sent += int64(n)
			r.Progress(name, sent, size)
		}))
		state, err = r.mgr.RestoreSnapshotFromBuffer(ctx, name, io.NopCloser(lateEOF{data}), io.NopCloser(bytes.NewReader(config)), jsm.RestoreConfiguration(meta.Config))
		if err == nil {
			break
		}
		// The server that the client is connected to may not know yet which server receives
		// the snapshot.
		if try == 1 && jsm.IsNatsError(err, 10130) { // another process created it
			r.done = r.done[:len(r.done)-1]
		}
		passes := errors.Is(err, nats.ErrNoResponders) || try > 1 && jsm.IsNatsError(err, 10130) // JSStreamNameExistRestoreFailedErr
		if !passes || try == tries {
			return err
		}
		if err := r.mgr.DeleteStream(name); err != nil && !jsm.IsNatsError(err, 10059) { // left by the previous try
			return err
		}
		select {
		case <-time.After(time.Duration(try) * pause):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	r.done[len(r.done)-1].Messages = state.Msgs
	if name == secretsName && r.Secrets != nil {
		return r.Secrets(ctx)
	}
	return nil
}

// How often restoring a stream is tried in a cluster, and the pause after the first
// failure.
const (
	tries = 8
	pause = 250 * time.Millisecond
)

// lateEOF returns EOF only after the last bytes of a reader: the library drops bytes that
// are returned together with it.
type lateEOF struct{ io.Reader }

func (r lateEOF) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	if n > 0 && errors.Is(err, io.EOF) {
		err = nil
	}
	return n, err
}

// undo deletes what was restored, so that a restore can be tried again.
func (r *restoring) undo(ctx context.Context) error {
	if err := r.remove(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), requestTime)
	defer cancel()
	return eventstore.EndRestore(ctx, r.NATS)
}

// remove deletes the streams that were restored.
func (r *restoring) remove() error {
	var failed error
	for _, s := range r.done {
		if err := r.mgr.DeleteStream(s.Name); err != nil && !jsm.IsNatsError(err, 10059) {
			failed = errors.Join(failed, fmt.Errorf("stream %s is left over: %w", s.Name, err))
		}
	}
	if failed == nil {
		r.done = nil
	}
	return failed
}
