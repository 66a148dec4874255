// Package status reports how far the read model and other readers are behind the log,
// and what is wrong with the log. It changes nothing.
package status

import (
	"context"
	"slices"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/seed677028b5/integrations/cmd/integrations/metrics"
	"github.com/seed677028b5/integrations/eventstore"
	"github.com/seed677028b5/integrations/internal/terminal"
	"github.com/seed677028b5/integrations/projections"
	"github.com/seed677028b5/integrations/transparency"
	"github.com/seed677028b5/integrations/transparency/trees"
	"github.com/seed677028b5/integrations/usage"
	"github.com/seed677028b5/integrations/webhooks"
)

// Service is whether a service runs.
type Service string

// States of the service.
const (
	Running Service = "running"
	Stopped Service = "stopped"
	Unknown Service = "unknown" // beside a NATS server of the operator
)

// Report is the status.
type Report struct {
	Service      Service                 `json:"service"`
	Generation   uint64                  `json:"generation"` // of the read model; 0: none
	Log          eventstore.Integrity    `json:"log"`
	Integrations Progress                `json:"integrations"`
	Probes       Progress                `json:"probes"`
	Parked       []Parked                `json:"parked"`
	Followers    []eventstore.Follower   `json:"followers"` // other readers of the logs
	Trees        []Tree                  `json:"trees"`
	Webhooks     Pending                 `json:"webhooks"`
	TokensPaused time.Time               `json:"token_renewals_paused_since,omitzero"` // after a restore, until an operator resumes them
	DeadLetters  uint64                  `json:"dead_letters"`
	LastDead     []eventstore.DeadLetter `json:"last_dead_letters"`
	Streams      []eventstore.StreamSize `json:"streams"`
	SignIn       []SignIn                `json:"sign_in,omitempty"`          // of the running processes that accept tokens
	Journals     []Journal               `json:"damaged_journals,omitempty"` // of calls, which are kept
	Problem      string                  `json:"problem,omitempty"`          // why the read model can't be read
}

// Progress is how much of a log the read model shows.
type Progress struct {
	Head     uint64 `json:"head"`
	Position uint64 `json:"position"`
	Lag      uint64 `json:"lag"`
}

// Parked is an integration that is shown as it was before an event that can't be applied.
type Parked struct {
	Workspace string    `json:"workspace_id"`
	ID        string    `json:"integration_id"`
	Position  uint64    `json:"position"`
	Reason    string    `json:"reason"`
	At        time.Time `json:"at"`
}

// Tree is how far the Merkle tree of a log is behind it, and its last signed checkpoint.
type Tree struct {
	Log        transparency.Log `json:"log"`
	Head       uint64           `json:"head"`
	Signed     uint64           `json:"signed"` // positions that the checkpoint covers
	Lag        uint64           `json:"lag"`
	SignedAt   time.Time        `json:"signed_at"`
	Origin     string           `json:"origin"`
	Checkpoint string           `json:"checkpoint"` // as it was signed
}

// Journal is a damaged journal of calls, in which an operator may look for calls that were not recorded.
type Journal struct {
	Path  string    `json:"path"`
	At    time.Time `json:"at"` // when it was last written
	Bytes int64     `json:"bytes"`
}

// Pending is how many webhooks wait to be delivered.
type Pending struct {
	Count  uint64    `json:"pending"`
	Oldest time.Time `json:"oldest_pending_at,omitzero"`
}

// maxDeadLetters bounds how many dead letters are listed.
const maxDeadLetters = 20

// Source is what the status is read from.
type Source struct {
	Service     Service
	Events      *eventstore.Store
	NATS        *nats.Conn
	Now         time.Time
	Mark        eventstore.Mark // last event that was seen on disk
	Journals    []Journal
	Logs        map[transparency.Log]string                            // the stream of each log that has a tree
	Generations func(context.Context) (projections.Generations, error) // opens the read models
}

// Read reads the status. A read model that can't be read is a Problem of the report;
// a log that can't be read is an error.
func Read(ctx context.Context, from Source) (*Report, error) {
	r := &Report{Service: from.Service, Parked: []Parked{}, LastDead: []eventstore.DeadLetter{}, Journals: from.Journals}
	if err := r.readModel(ctx, from); err != nil {
		r.Problem = terminal.OperatorError(err).Error()
	}
	if err := r.readLog(ctx, from.Events); err != nil {
		return nil, err
	}
	if err := r.readFollowers(ctx, from); err != nil {
		return nil, err
	}
	if err := r.readTrees(ctx, from); err != nil {
		return nil, err
	}
	var err error
	if r.TokensPaused, err = from.Events.TokensSharedSince(ctx); err != nil {
		return nil, err
	}
	if r.SignIn, err = readSignIn(from.NATS); err != nil {
		return nil, err
	}
	r.Log, err = from.Events.Inspect(ctx, eventstore.Scrubbed{}, from.Mark)
	return r, err
}

// Healthy reports whether the log is whole, the read model shows every integration and
// tokens can be verified.
func (r *Report) Healthy() bool {
	return r.Problem == "" && len(r.Parked) == 0 && r.Log.Whole() && !slices.ContainsFunc(r.SignIn, func(s SignIn) bool { return !s.Healthy() })
}

// readLog runs after readModel, so that a read model that is ahead of the log is one of
// another log.
func (r *Report) readLog(ctx context.Context, events *eventstore.Store) (err error) {
	if r.Integrations.Head, err = events.Head(ctx); err != nil {
		return err
	}
	if r.Probes.Head, err = events.ProbeHead(ctx); err != nil {
		return err
	}
	for _, p := range []*Progress{&r.Integrations, &r.Probes} {
		p.Lag = p.Head - min(p.Head, p.Position)
		if p.Position > p.Head {
			r.Problem = projections.ErrOtherLog.Error()
		}
	}
	letters, total, err := events.DeadLetters(ctx, maxDeadLetters)
	if err != nil {
		return err
	}
	r.DeadLetters, r.LastDead = total, append(r.LastDead, letters...)
	r.Streams, err = events.Streams(ctx)
	return err
}

func (r *Report) readModel(ctx context.Context, from Source) error {
	generations, err := from.Generations(ctx)
	if err != nil {
		return err
	}
	defer generations.Close() //nolint:errcheck // nothing was written
	n, store, err := projections.OpenLive(ctx, generations)
	r.Generation = n
	if err != nil {
		return err
	}
	defer store.Close() //nolint:errcheck // nothing was written
	at, err := store.Positions(ctx)
	if err != nil {
		return err
	}
	r.Integrations.Position, r.Probes.Position = at.Integrations, at.Probes
	all, err := store.Parked(ctx)
	if err != nil {
		return err
	}
	for _, p := range all {
		r.Parked = append(r.Parked, Parked{string(p.Workspace), string(p.ID), p.Position, p.Reason, p.At})
	}
	return nil
}

func (r *Report) readFollowers(ctx context.Context, from Source) (err error) {
	if r.Followers, err = from.Events.Followers(ctx); err != nil {
		return err
	}
	for n, f := range r.Followers {
		r.Followers[n].Name = metrics.FollowerName(f.Name)
	}
	if r.has(usage.Stream) {
		counts, err := usage.Attach(from.NATS)
		if err != nil {
			return err
		}
		counter, err := counts.Follower(ctx, from.Events, from.Now)
		if err != nil {
			return err
		}
		r.Followers = append(r.Followers, counter)
	}
	r.Webhooks.Count, r.Webhooks.Oldest, err = webhooks.PendingOn(ctx, from.NATS)
	return err
}

// readTrees leaves out what does not exist yet: a tree is made when its log has a first message.
func (r *Report) readTrees(ctx context.Context, from Source) error {
	r.Trees = []Tree{}
	if !r.has(trees.Stream) {
		return nil
	}
	store, err := trees.Attach(from.NATS)
	if err != nil {
		return err
	}
	reader := &trees.Reader{Events: from.Events, Trees: store, Streams: map[transparency.Log]string{}}
	for log, stream := range from.Logs {
		if r.has(stream) {
			reader.Streams[log] = stream
		}
	}
	grown, err := reader.Grown(ctx)
	for _, g := range grown {
		r.Trees = append(r.Trees, Tree{
			Log: g.Log, Head: g.Head, Signed: g.Checkpoint.Size, Lag: g.Lag(), SignedAt: g.Signed.UTC(), Origin: g.Checkpoint.Origin, Checkpoint: g.Checkpoint.Note,
		})
	}
	return err
}

// has reports whether a stream exists. A service of an earlier release has not created all of
// them, and this program creates none.
func (r *Report) has(stream string) bool {
	return slices.ContainsFunc(r.Streams, func(s eventstore.StreamSize) bool { return s.Name == stream })
}
