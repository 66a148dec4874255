package webhooks

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/seed677028b5/integrations/domain"
)

// maxDestinations bounds those of one workspace. Several processes that each make
// one at the same time may go beyond it by a few.
const maxDestinations = 50

// List returns the destinations of a workspace, oldest first.
func (w *Webhooks) List(of domain.Workspace) []domain.WebhookDestination {
	w.mu.RLock()
	defer w.mu.RUnlock()
	all := []domain.WebhookDestination{}
	for _, e := range w.destinations[of] {
		if e.exists() {
			all = append(all, e.destination)
		}
	}
	slices.SortFunc(all, func(a, b domain.WebhookDestination) int {
		return cmp.Or(a.CreatedAt.Compare(b.CreatedAt), strings.Compare(a.ID, b.ID))
	})
	return all
}

// Get returns a destination, or NotFound.
func (w *Webhooks) Get(ctx context.Context, of domain.Workspace, id string) (domain.WebhookDestination, error) {
	e, err := w.find(ctx, of, id)
	return e.destination, err
}

func (w *Webhooks) find(ctx context.Context, of domain.Workspace, id string) (entry, error) {
	if e := w.lookUp(of, id); e.exists() {
		return e, nil
	}
	if err := w.catchUp(ctx); err != nil { // another process may just have made it
		return entry{}, err
	}
	e := w.lookUp(of, id)
	if !e.exists() {
		return e, domain.NoSuchWebhookDestination()
	}
	return e, nil
}

func (w *Webhooks) lookUp(of domain.Workspace, id string) entry {
	w.mu.RLock()
	defer w.mu.RUnlock()
	return w.destinations[of][id]
}

// Create makes a destination of what doc describes and returns it with its
// secret, which is shown this once. It receives events from now on.
func (w *Webhooks) Create(ctx context.Context, of domain.Workspace, doc domain.Document) (domain.WebhookDestination, domain.Secret, error) {
	w.making.Lock()
	defer w.making.Unlock()
	d, err := domain.NewWebhookDestination(of, w.config.NewID(), doc, w.config.Now())
	if err == nil {
		err = w.catchUp(ctx)
	}
	if err == nil && len(w.List(of)) >= maxDestinations {
		err = domain.Errorf(domain.Conflict, "too_many_destinations", "a workspace has at most %d webhook destinations", maxDestinations)
	}
	if err == nil {
		d.AfterChange, err = w.config.Events.Head(ctx)
	}
	if err == nil {
		d.AfterProbe, err = w.config.Events.ProbeHead(ctx)
	}
	if err == nil {
		d.AfterApproval, err = w.config.Events.ApprovalHead(ctx)
	}
	if err == nil {
		err = w.store(ctx, d, 0)
	}
	if err != nil {
		return domain.WebhookDestination{}, domain.Secret{}, err
	}
	return d, w.secret(d, d.SecretVersion), nil
}

// Update changes what doc names. What waits to be tried again is tried at once.
func (w *Webhooks) Update(ctx context.Context, of domain.Workspace, id string, doc domain.Document) (domain.WebhookDestination, error) {
	return w.change(ctx, of, id, func(d domain.WebhookDestination) (domain.WebhookDestination, error) {
		return d.Update(doc, w.config.Now())
	})
}

// Rotate gives a destination another secret and returns it. The one before signs
// as well for overlap.
func (w *Webhooks) Rotate(ctx context.Context, of domain.Workspace, id string, overlap time.Duration) (domain.WebhookDestination, domain.Secret, error) {
	d, err := w.change(ctx, of, id, func(d domain.WebhookDestination) (domain.WebhookDestination, error) {
		return d.Rotate(overlap, w.config.Now()), nil
	})
	if err != nil {
		return d, domain.Secret{}, err
	}
	return d, w.secret(d, d.SecretVersion), nil
}

// Delete ends a destination, and with it what is still to be delivered to it, its
// log and its dead letters.
func (w *Webhooks) Delete(ctx context.Context, of domain.Workspace, id string) error {
	e, err := w.find(ctx, of, id)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, requestTime)
	defer cancel()
	key := keyOf(of, id)
	if err := w.kv.Delete(ctx, key); err != nil {
		return unavailable(err, "delete webhook destination")
	}
	w.know(of, id, entry{revision: e.revision + 1}) // at least; the watch brings the right one
	for stream, subject := range map[string]string{pendingName: pendingPrefix + key + ".*", logName: logPrefix + key, deadName: deadPrefix + key} {
		s, err := w.js.Stream(ctx, stream)
		if err == nil {
			err = s.Purge(ctx, jetstream.WithPurgeSubject(subject))
		}
		if err != nil {
			return unavailable(err, "purge "+subject)
		}
	}
	return nil
}

// change stores what decide makes of a destination, and decides again when
// someone else was faster.
func (w *Webhooks) change(ctx context.Context, of domain.Workspace, id string, decide func(domain.WebhookDestination) (domain.WebhookDestination, error)) (domain.WebhookDestination, error) {
	for range 8 {
		e, err := w.find(ctx, of, id)
		if err != nil {
			return domain.WebhookDestination{}, err
		}
		next, err := decide(e.destination)
		if err != nil {
			return domain.WebhookDestination{}, err
		}
		if err = w.store(ctx, next, e.revision); domain.KindOf(err) != domain.Conflict {
			return next, err
		}
		if err := w.catchUp(ctx); err != nil {
			return domain.WebhookDestination{}, err
		}
	}
	return domain.WebhookDestination{}, errChanging
}

var errChanging = domain.Errorf(domain.Conflict, "changing_too_fast", "the webhook destination was changed by someone else just now; try again")

// store writes a destination that follows a revision, and knows it at once.
func (w *Webhooks) store(ctx context.Context, d domain.WebhookDestination, after uint64) error {
	ctx, cancel := context.WithTimeout(ctx, requestTime)
	defer cancel()
	data, err := json.Marshal(d)
	if err != nil {
		return err
	}
	key := keyOf(d.Workspace, d.ID)
	revision, err := w.kv.Update(ctx, key, data, after)
	switch {
	case errors.Is(err, jetstream.ErrKeyExists):
		return errChanging
	case err != nil:
		return unavailable(err, "store webhook destination")
	}
	w.know(d.Workspace, d.ID, entry{destination: d, revision: revision})
	return nil
}
