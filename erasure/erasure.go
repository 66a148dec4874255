// Package erasure erases what is stored of a person in a workspace, or of a whole workspace.
//
// Its one promise: it changes no message of a log that has a tree. It destroys the keys under which
// these have what is erased, so that every proof stays good; and what it has begun is finished by a
// repetition.
package erasure

import (
	"context"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/seed677028b5/integrations/access"
	"github.com/seed677028b5/integrations/accesslog"
	"github.com/seed677028b5/integrations/commands"
	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/eventstore"
	"github.com/seed677028b5/integrations/persons"
)

// Eraser erases. The read model must be built again after it, once no process uses what was
// destroyed any more: persons.RecentFor later.
type Eraser struct {
	Commands *commands.Service // with its vault and its authorizations
	Persons  *persons.Persons
	Keys     *access.Keys
	Accesses *accesslog.Log
	Streams  jetstream.JetStream
	Actor    string          // who erases
	Waiting  func(why error) // called while a backup runs, or NATS can't store the lease
}

// Report is what was erased. Counts are of what was still there: a repetition has less.
type Report struct {
	Workspace      domain.Workspace `json:"workspace_id"`
	Subjects       []string         `json:"subjects,omitempty"` // empty: the whole workspace
	Persons        int              `json:"persons"`            // keys of persons, subjects and the workspace
	Authorizations int              `json:"authorizations"`
	Strangers      int              `json:"strangers"` // keys of all who only sent requests
	Secrets        int              `json:"secrets"`   // of integrations, approvals and bodies; of the whole workspace only
	Integrations   int              `json:"integrations"`
	APIKeys        int              `json:"api_keys"`
	Destinations   int              `json:"webhook_destinations"`
	Messages       uint64           `json:"messages"` // results of probes, bodies of calls, webhooks, usage and dead letters
}

// Subject erases what is stored of a person in a workspace: the authorizations of a subject with a
// name, and of who signed in, if the name is that of one. Who only sent requests there shares a key
// with all others who did, which is destroyed too.
func (e *Eraser) Subject(ctx context.Context, w domain.Workspace, subject string) (Report, error) {
	return e.alone(ctx, func(ctx context.Context) (Report, error) { return e.subject(ctx, w, subject) })
}

func (e *Eraser) subject(ctx context.Context, w domain.Workspace, subject string) (Report, error) {
	r := Report{Workspace: w, Subjects: []string{subject}}
	if err := e.Persons.Announce(ctx); err != nil { // what is sealed from here on may be under a key that is destroyed
		return r, err
	}
	given, err := e.Commands.Authorizations.Of(ctx, w, subject)
	if err != nil {
		return r, err
	}
	keys, err := e.keysOf(ctx, w, subject)
	if err != nil {
		return r, err
	}
	var aliases []string
	for _, k := range keys {
		aliases = append(aliases, k.aliases...)
	}
	if len(given) > 0 || len(aliases) > 0 {
		if err := e.record(ctx, w, aliases); err != nil {
			return r, err
		}
	}
	for _, ref := range given {
		if err := e.Commands.Authorizations.Erase(ctx, ref, e.Actor); err != nil {
			return r, err
		}
		r.Authorizations++
	}
	for _, k := range keys {
		if err := e.Persons.Destroy(ctx, w, k.name, k.aliases); err != nil {
			return r, err
		}
		if k.name == persons.Strangers {
			r.Strangers += len(k.aliases)
		} else {
			r.Persons += len(k.aliases)
		}
	}
	return r, nil
}

// alone runs an erasure while no backup runs, and none begins: it would have half of it.
func (e *Eraser) alone(ctx context.Context, erase func(context.Context) (Report, error)) (r Report, err error) {
	if err := e.allowed(ctx); err != nil {
		return r, err
	}
	finished := false
	err = e.Commands.Events.LeadOrFail(ctx, commands.BackupLease, e.Waiting, func(ctx context.Context) error {
		var err error
		r, err = erase(ctx)
		finished = err == nil
		return err
	})
	if err == nil && !finished {
		err = ctx.Err()
	}
	return r, err
}

// keys are the keys of a name.
type keys struct {
	name    string
	aliases []string
}

// keysOf returns the keys of a subject in a workspace, of accounts that it has signed in with, and of
// strangers if it may be one.
func (e *Eraser) keysOf(ctx context.Context, w domain.Workspace, subject string) ([]keys, error) {
	all := []keys{{name: eventstore.AccountsOf + e.Commands.Authorizations.SubjectHash(w, subject)}}
	if persons.IsPerson(subject) {
		all = append(all, keys{name: subject}, keys{name: persons.Strangers})
	}
	for n := range all {
		var err error
		if all[n].aliases, err = e.Persons.Aliases(ctx, w, all[n].name); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// allowed refuses with Unavailable to destroy anything while events are missing from the log, and
// during a backup.
func (e *Eraser) allowed(ctx context.Context) error {
	if err := e.Commands.Events.Intact(); err != nil {
		return err
	}
	held, err := e.Commands.Events.Held(ctx, commands.BackupLease)
	if err == nil && held {
		err = domain.Errorf(domain.Unavailable, "backup_running", "a backup or another erasure is running; erase after it")
	}
	return err
}

// record records an erasure, before it begins.
func (e *Eraser) record(ctx context.Context, w domain.Workspace, aliases []string) error {
	now := e.Commands.Now()
	return e.Accesses.Write(ctx, accesslog.Record{
		Kind: accesslog.Erased, Workspace: w, Key: e.Actor, Count: 1, First: now, Last: now, Aliases: aliases,
	})
}

// Pause waits until no process uses what was destroyed any more.
func Pause(ctx context.Context) error {
	select {
	case <-time.After(2 * persons.RecentFor):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
