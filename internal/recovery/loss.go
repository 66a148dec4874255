package recovery

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/seed677028b5/integrations/eventstore"
	"github.com/seed677028b5/integrations/vault"
)

// Loss is what is gone of the log and of the secrets.
type Loss struct {
	eventstore.Integrity
	SecretsLost bool `json:"secrets_lost,omitempty"` // the stream of the secrets is gone
	Applied     bool `json:"applied"`                // the loss was accepted

	mark    eventstore.Mark
	missing uint64
}

// FindLoss reads the whole log and reports what is gone. Mark is the last event that
// was seen on disk. Progress is called while the log is read.
func FindLoss(ctx context.Context, nc *nats.Conn, events *eventstore.Store, mark eventstore.Mark, progress func(position, head uint64)) (Loss, error) {
	scrubbed, err := events.Scrub(ctx, false, progress)
	if err != nil {
		return Loss{}, err
	}
	found, err := events.Inspect(ctx, scrubbed, mark)
	if err != nil {
		return Loss{}, err
	}
	lost, err := SecretsLost(ctx, nc, events)
	missing := max(found.Last-min(found.Last, found.Messages+found.Removed), scrubbed.Missing)
	return Loss{Integrity: found, SecretsLost: lost, mark: mark, missing: missing}, err
}

// Any reports whether something is gone.
func (l *Loss) Any() bool { return l.SecretsLost || !l.Whole() }

// Accept continues the log without what is gone, and creates an empty vault when the
// secrets are gone.
func (l *Loss) Accept(ctx context.Context, nc *nats.Conn, events *eventstore.Store, keys vault.RootKeys, replicas int, now time.Time) error {
	if l.SecretsLost {
		if _, err := vault.Open(ctx, nc, keys, replicas); err != nil {
			return err
		}
	}
	if !l.Whole() {
		previous := ""
		if l.Replaced {
			previous = l.mark.Log
		}
		epoch := eventstore.Epoch{After: l.Last, Reason: eventstore.Loss, Began: now}
		var err error
		if epoch.Probes, err = events.ProbeHead(ctx); err != nil {
			return err
		}
		if err := events.Begin(ctx, epoch, l.missing, previous); err != nil {
			return err
		}
	}
	l.Applied = l.Any()
	return nil
}

// WriteText writes the loss, and what the operator can do, for people.
func (l *Loss) WriteText(to io.Writer) error {
	_, err := fmt.Fprintf(to, "the log has %d events up to position %d: %s\n", l.Messages, l.Last, l.Describe())
	if l.SecretsLost {
		_, err = fmt.Fprintln(to, "the secrets of its events are gone: the stream SECRETS is not there")
	}
	switch {
	case !l.Any():
	case l.Applied:
		_, err = fmt.Fprintln(to, "accepted: a running service continues within 10 seconds; the read model is rebuilt")
	default:
		_, err = fmt.Fprintln(to, "restore a backup to recover them, or run again with --apply to continue without them")
	}
	return err
}
