package verify

import (
	"context"
	"crypto/sha256"
	"encoding/json"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/eventstore"
	"github.com/seed677028b5/integrations/internal/terminal"
)

// fold reads the log up to its head and verifies that versions have no gaps.
func (v *verification) fold(ctx context.Context) error {
	if v.head == 0 {
		return nil
	}
	progress := terminal.NewProgress(v.Progress, "events", int(v.head)) //nolint:gosec // a count of events fits
	defer progress.Done()
	for batch, err := range v.Events.Messages(ctx, eventstore.StreamOfIntegrations, ">", 0, v.head) {
		if err != nil {
			return err
		}
		for _, m := range batch {
			commit := v.Events.Decode(m)
			if domain.KindOf(commit.Err) == domain.Unavailable { // what it has is not known
				return commit.Err
			}
			if err := v.missing(ctx, commit.Position); err != nil {
				return err
			}
			v.event(commit)
		}
		progress.Set(v.report.Events)
	}
	if err := v.missing(ctx, v.head+1); err != nil {
		return err
	}
	return ctx.Err()
}

// missing records the positions between the previous event and this one. Events that
// an operator accepted as lost are no problem.
func (v *verification) missing(ctx context.Context, position uint64) (err error) {
	from, to := v.last+1, position-1
	v.last = position
	if from > to {
		return nil
	}
	if v.removed, err = v.Events.RemovedSince(ctx, v.removed, from, to); err != nil {
		return err
	}
	v.gap = to
	v.report.Removed += to - from + 1
	for _, lost := range v.removed.Others(from, to) {
		v.report.Removed -= lost.To - lost.From + 1
		if v.report.Accepted += lost.To - lost.From + 1; v.report.Accepted > v.Events.Lineage().Accepted {
			v.incomplete = true
			v.problem("events are missing from the log, or can't be read: positions %d to %d", lost.From, lost.To)
		}
	}
	return nil
}

// event adds one event to the state of its integration.
func (v *verification) event(c eventstore.Commit) {
	v.report.Events++
	if c.Err != nil {
		v.problem("%v", c.Err)
		return
	}
	if c.Key != "" {
		v.authorization(c)
		return
	}
	k := c.Ref()
	f := v.folded[k]
	if f == nil {
		f = &state{}
		v.folded[k] = f
	}
	i := domain.Evolve(domain.Integration{}, c.Event)
	if i.Version != f.version+1 && v.gap <= f.position {
		v.problem("%s/%s: version %d follows version %d", c.Workspace, c.ID, i.Version, f.version)
	}
	if i.ID != c.ID || i.Workspace != c.Workspace {
		v.problem("%s/%s: event %d is about another integration", c.Workspace, c.ID, c.Position)
	}
	*f = state{position: c.Position, version: i.Version, deleted: i.Deleted, group: group{i.Enabled, i.Protocol}, hash: hashOf(i), owner: i.Owner(), secrets: i.Secrets()}
}

func hashOf(i domain.Integration) [sha256.Size]byte {
	data, err := json.Marshal(i)
	if err != nil {
		return [sha256.Size]byte{} // can't happen: an Integration is plain data
	}
	return sha256.Sum256(data)
}

// openSecrets opens every secret of the integrations.
func (v *verification) openSecrets(ctx context.Context) {
	for k, f := range v.folded {
		for _, ref := range f.secrets {
			v.report.Secrets++
			if _, err := v.Vault.Open(ctx, f.owner, ref); err != nil && !v.changedSince(ctx, k) {
				v.problem("%s/%s: secret %s: %v", k.Workspace, k.ID, ref.Field, err)
			}
		}
	}
}

// inspect compares the log with the last event that was seen on disk. The events themselves do not
// show that a log has lost its end.
func (v *verification) inspect(ctx context.Context) error {
	found, err := v.Events.Inspect(ctx, eventstore.Scrubbed{}, v.Mark)
	if err != nil || found.Whole() {
		return err
	}
	v.incomplete = true
	for _, r := range found.Ranges {
		if r.To > v.head {
			v.problem("events are missing from the end of the log: positions %d to %d were on disk before", max(r.From, v.head+1), r.To)
		}
	}
	if found.Replaced {
		v.problem("recorded events have changed: the event that was last seen on disk, at position %d, is another one", v.Mark.Position)
	}
	return nil
}
