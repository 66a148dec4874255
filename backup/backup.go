// Package backup writes everything that the service stores in JetStream to one file while
// the service runs, and restores it on an empty server or cluster. A restored backup is
// consistent: it has every secret that its log references, and no reader's position is
// beyond its log.
package backup

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/nats-io/jsm.go"
	"github.com/nats-io/nats.go"

	"github.com/seed677028b5/integrations/eventstore"
)

const (
	logName     = "INTEGRATIONS"
	secretsName = "SECRETS"
)

// order returns the streams in the order in which they are read, in three stages. The
// followers of the log come before it, so that none of them is ahead of the log. The
// secrets come after it, so that none is missing that it references. Streams that can be
// created again, or whose content is of no use elsewhere (CALL_BODIES, CANARY, KV_APPROVAL_REQUESTS, KV_AUTHORIZATION_ATTEMPTS, KV_LEASES, PROBE_WORK, USAGE) are omitted.
func order() (followers, log, rest []string) {
	return []string{"TREES", "KV_SUBSCRIBERS", "WEBHOOKS", "KV_WEBHOOK_DESTINATIONS"},
		[]string{logName, "AUTHORIZATIONS", "APPROVALS", secretsName},
		[]string{
			"KV_LOG_STATE", "KV_API_KEYS", "KV_API_KEY_USE", "KV_CONSOLE_SESSIONS", "KV_IDEMPOTENCY", "PROBES", "CALLS", "ACCESS", "DEAD_LETTERS", "WEBHOOK_DEAD", "WEBHOOK_DELIVERIES",
		}
}

// Format is the version of the file.
const Format = 1

// A Manifest describes a backup.
type Manifest struct {
	Format     int       `json:"format"`
	CreatedAt  time.Time `json:"created_at"`
	Version    string    `json:"version"`     // of the program that wrote it
	RootKeyset bool      `json:"root_keyset"` // whether the root keyset is in it
}

// Progress is called with the stream that is being read or restored, and how many bytes of
// it are done. Total is 0 while it is unknown.
type Progress func(stream string, bytes, total int64)

// Source is what to back up.
type Source struct {
	NATS       *nats.Conn // of a user who may take snapshots
	Events     *eventstore.Store
	Lease      string          // while it is held, no secrets are destroyed
	Waiting    func(why error) // called while another process has the lease, or NATS can't store it
	Version    string
	RootKeyset func() ([]byte, error) // reads the keyset to include; nil: it is not included
	Now        func() time.Time
	Progress   Progress
}

// Stream describes a stream in a backup.
type Stream struct {
	Name     string `json:"name"`
	Messages uint64 `json:"messages"` // at the start of reading
	Bytes    int64  `json:"bytes"`    // in the file
}

// Write writes a backup to w, up to its end. Scratch is a folder for temporary files; it
// holds one stream at a time.
func Write(ctx context.Context, s Source, w io.Writer, scratch string) ([]Stream, error) {
	mgr, err := jsm.New(s.NATS, jsm.WithTimeout(requestTime))
	if err != nil {
		return nil, fmt.Errorf("backup: %w", err)
	}
	a := newArchive(w)
	if err := a.writeJSON(manifestFile, Manifest{Format: Format, CreatedAt: s.Now().UTC(), Version: s.Version, RootKeyset: s.RootKeyset != nil}); err != nil {
		return nil, fmt.Errorf("backup: %w", err)
	}
	var keyset []byte
	if s.RootKeyset != nil {
		if keyset, err = s.RootKeyset(); err == nil {
			err = a.write(keysetFile, keyset)
		}
		if err != nil {
			return nil, fmt.Errorf("backup: %w", err)
		}
	}
	b := &writer{Source: s, mgr: mgr, archive: a, scratch: scratch}
	followers, log, rest := order()
	err = b.streams(ctx, followers)
	if err == nil {
		err = b.held(ctx, log)
	}
	if err == nil && s.RootKeyset != nil {
		err = unrotated(s.RootKeyset, keyset)
	}
	if err == nil {
		err = b.streams(ctx, rest)
	}
	if err == nil {
		err = a.close()
	}
	if err != nil {
		return nil, fmt.Errorf("backup: %w", err)
	}
	return b.done, nil
}

// errRotated ends a backup whose root keyset may not open its secrets.
var errRotated = errors.New("the root key was rotated during the backup; try again when the rotation is finished")

// unrotated returns an error if the root keyset changed while the secrets were read.
func unrotated(read func() ([]byte, error), before []byte) error {
	now, err := read()
	if err == nil && !bytes.Equal(now, before) {
		err = errRotated
	}
	return err
}

// writer is a backup that is being written.
type writer struct {
	Source
	mgr     *jsm.Manager
	archive *archive
	scratch string
	done    []Stream
}

// errHoldLost ends a backup during which secrets may have been destroyed.
var errHoldLost = errors.New("the backup lost the lease that protects secrets from destruction; try again")

// held reads streams while no secrets are destroyed.
func (b *writer) held(ctx context.Context, names []string) error {
	begun := false
	return b.Events.LeadOrFail(ctx, b.Lease, b.Waiting, func(ctx context.Context) error {
		if begun {
			return errHoldLost
		}
		begun = true
		if err := b.streams(ctx, names); err != nil {
			return err
		}
		return ctx.Err()
	})
}

func (b *writer) streams(ctx context.Context, names []string) error {
	for _, name := range names {
		if err := b.stream(ctx, name); err != nil {
			return fmt.Errorf("stream %s: %w", name, err)
		}
	}
	return ctx.Err()
}

// stream reads one stream. It omits a stream that an earlier version did not create yet.
func (b *writer) stream(ctx context.Context, name string) error {
	stream, err := b.mgr.LoadStream(name)
	if jsm.IsNatsError(err, 10059) { // JSStreamNotFoundErr
		return nil
	}
	if err != nil {
		return err
	}
	info, err := stream.LatestInformation()
	if err != nil {
		return err
	}
	snapshot, err := takeSnapshot(ctx, stream, b.scratch, func(bytes int64) { b.Progress(name, bytes, int64(info.State.Bytes)) }) //nolint:gosec // a size fits
	if err != nil {
		return err
	}
	defer snapshot.close()
	size, err := b.archive.writeStream(name, snapshot)
	if err != nil {
		return err
	}
	b.Progress(name, size, size)
	b.done = append(b.done, Stream{Name: name, Messages: info.State.Msgs, Bytes: size})
	return nil
}
