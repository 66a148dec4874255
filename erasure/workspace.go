package erasure

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/seed677028b5/integrations/commands"
	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/eventstore"
	"github.com/seed677028b5/integrations/persons"
)

// destinations is the bucket of webhook destinations.
const destinations = "WEBHOOK_DESTINATIONS"

// others are the streams that no tree is of, with the subjects of a workspace. What the others have
// of it stays, without what was sealed.
var others = map[string]string{
	"CALL_BODIES":        "callbodies.%s.>",
	"DEAD_LETTERS":       "deadletters.%s.>",
	"PROBES":             "probes.%s.>",
	"PROBE_WORK":         "probe.*.%s.>",
	"USAGE":              "usage.%s.>",
	"WEBHOOKS":           "webhooks.%s.>",
	"WEBHOOK_DEAD":       "webhookdead.%s.>",
	"WEBHOOK_DELIVERIES": "deliveries.%s.>",
}

// whole is what a workspace has.
type whole struct {
	integrations []domain.Integration
	apiKeys      []string
	destinations []string // keys of the bucket
}

// Workspace erases a workspace: it revokes its keys, deletes its integrations and webhook
// destinations, destroys every secret and every key, and removes what is in no log with a tree.
func (e *Eraser) Workspace(ctx context.Context, w domain.Workspace) (Report, error) {
	return e.alone(ctx, func(ctx context.Context) (Report, error) { return e.workspace(ctx, w) })
}

func (e *Eraser) workspace(ctx context.Context, w domain.Workspace) (Report, error) {
	r := Report{Workspace: w}
	if err := e.Persons.Announce(ctx); err != nil { // what is sealed from here on may be under a key that is destroyed
		return r, err
	}
	all, err := e.whole(ctx, w)
	if err != nil {
		return r, err
	}
	secrets, err := e.Commands.Vault.IDs(ctx, domain.Owner{Workspace: w})
	if err != nil {
		return r, err
	}
	if len(secrets)+len(all.integrations)+len(all.apiKeys)+len(all.destinations) > 0 {
		if err := e.record(ctx, w, nil); err != nil {
			return r, err
		}
	}
	for _, id := range all.apiKeys {
		if err := e.Keys.Revoke(ctx, w, id); err != nil && domain.KindOf(err) != domain.NotFound {
			return r, err
		}
		r.APIKeys++
	}
	by := commands.Caller{Workspace: w, Actor: e.Actor, MayExec: true}
	for _, i := range all.integrations {
		if _, err := e.Commands.DeleteIntegration(ctx, by, i.ID, "the workspace is erased", commands.Condition{}); err != nil && domain.KindOf(err) != domain.NotFound {
			return r, err
		}
		r.Integrations++
	}
	if err := e.deleteDestinations(ctx, all.destinations, &r); err != nil {
		return r, err
	}
	if err := e.remove(ctx, w, &r); err != nil {
		return r, err
	}
	if err := Pause(ctx); err != nil {
		return r, err
	}
	return r, e.remove(ctx, w, &r) // what a running service wrote meanwhile
}

// remove destroys what is sealed of a workspace, and removes what is in no log with a tree.
func (e *Eraser) remove(ctx context.Context, w domain.Workspace, r *Report) error {
	if err := e.destroyAll(ctx, w, r); err != nil {
		return err
	}
	return e.purge(ctx, w, r)
}

func (e *Eraser) whole(ctx context.Context, w domain.Workspace) (all whole, err error) {
	latest, err := e.Commands.Events.LatestIn(ctx, eventstore.Selection{Workspace: w})
	if err != nil {
		return all, err
	}
	for commits, err := range latest.Commits {
		if err != nil {
			return all, err
		}
		for _, c := range commits {
			if i := domain.Evolve(domain.Integration{}, c.Event); i.Exists() {
				all.integrations = append(all.integrations, i)
			}
		}
	}
	for _, k := range e.Keys.List(w) {
		all.apiKeys = append(all.apiKeys, k.ID)
	}
	bucket, err := e.Streams.KeyValue(ctx, destinations)
	if errors.Is(err, jetstream.ErrBucketNotFound) {
		return all, nil
	}
	if err != nil {
		return all, unavailable(err, "read webhook destinations")
	}
	names, err := bucket.ListKeysFiltered(ctx, string(w)+".*")
	if err != nil {
		return all, unavailable(err, "read webhook destinations")
	}
	for name := range names.Keys() {
		all.destinations = append(all.destinations, name)
	}
	return all, ctx.Err()
}

func (e *Eraser) deleteDestinations(ctx context.Context, names []string, r *Report) error {
	if len(names) == 0 {
		return nil
	}
	bucket, err := e.Streams.KeyValue(ctx, destinations)
	if err != nil {
		return unavailable(err, "delete webhook destinations")
	}
	for _, name := range names {
		if err := bucket.Delete(ctx, name); err != nil {
			return unavailable(err, "delete webhook destinations")
		}
		r.Destinations++
	}
	return nil
}

// destroyAll destroys all secrets of a workspace, with the keys of its persons.
func (e *Eraser) destroyAll(ctx context.Context, w domain.Workspace, r *Report) error {
	secrets, err := e.Commands.Vault.IDs(ctx, domain.Owner{Workspace: w})
	if err != nil {
		return err
	}
	for _, secret := range secrets {
		if err := e.Commands.Vault.Destroy(ctx, secret.Owner, secret.Ref()); err != nil {
			return err
		}
		switch {
		case !persons.Owns(secret.Owner.ID):
			r.Secrets++
		case persons.IsKey(secret.ID):
			r.Persons++
		}
	}
	return e.Persons.Announce(ctx)
}

// purge removes what streams without a tree have of a workspace.
func (e *Eraser) purge(ctx context.Context, w domain.Workspace, r *Report) error {
	for name, of := range others {
		subject := fmt.Sprintf(of, w)
		stream, err := e.Streams.Stream(ctx, name)
		if errors.Is(err, jetstream.ErrStreamNotFound) {
			continue
		}
		if err != nil {
			return unavailable(err, "purge "+name)
		}
		info, err := stream.Info(ctx, jetstream.WithSubjectFilter(subject))
		if err != nil {
			return unavailable(err, "purge "+name)
		}
		if len(info.State.Subjects) == 0 {
			continue
		}
		if err := stream.Purge(ctx, jetstream.WithPurgeSubject(subject)); err != nil {
			return unavailable(err, "purge "+name)
		}
		for _, count := range info.State.Subjects {
			r.Messages += count
		}
	}
	return nil
}

// Text returns the report for people.
func (r Report) Text() string {
	of := "the workspace " + string(r.Workspace)
	if len(r.Subjects) > 0 {
		of = strings.Join(r.Subjects, ", ") + " in " + of
	}
	switch {
	case !r.found() && r.Strangers > 0:
		return "erased who only sent requests to the workspace " + string(r.Workspace) + ", " + strings.Join(r.Subjects, ", ") + " too if they did; nothing else was found of them"
	case !r.found():
		return "nothing was found of " + of + ": it is erased already, or has another name"
	}
	text := fmt.Sprintf("erased %s: %d keys of persons, %d authorizations", of, r.Persons, r.Authorizations)
	switch {
	case len(r.Subjects) == 0:
		text = fmt.Sprintf("erased %s: %d integrations, %d secrets, %d keys of persons, %d API keys, %d webhook destinations, %d messages",
			of, r.Integrations, r.Secrets, r.Persons, r.APIKeys, r.Destinations, r.Messages)
	case r.Strangers > 0:
		text += "; with all who only sent requests to the workspace"
	}
	return text
}

// found reports whether anything was there to erase.
func (r Report) found() bool {
	return r.Persons+r.Authorizations+r.Secrets+r.Integrations+r.APIKeys+r.Destinations > 0 || r.Messages > 0
}

func unavailable(err error, doing string) error {
	return domain.Wrap(fmt.Errorf("%s: %w", doing, err), domain.Unavailable, "erasure_unavailable", "what is to be erased can't be read or changed; try again")
}
