package archive

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/eventstore"
	"github.com/seed677028b5/integrations/transparency"
	"github.com/seed677028b5/integrations/transparency/trees"
)

// A Prune removes events from the log of the integrations that its archive has.
type Prune struct {
	Archive

	Events   *trees.Reader
	Keep     uint64        // how many of the last events of each integration and authorization stay; at least 1
	MinAge   time.Duration // of what is removed: clients may still ask for what is newer
	Now      time.Time
	LastOnly []string                  // as in eventstore.Pruning
	Apply    bool                      // else Run only counts
	Compared func(position, to uint64) // progress
	Removed  func(events, of uint64)   // progress
	Waiting  func(why error)           // as in eventstore.Pruning
}

// Pruned is what Run has done, or would do.
type Pruned struct {
	Log      transparency.Log `json:"log"`
	Archived uint64           `json:"archived"` // the archive has the log up to this position
	Events   uint64           `json:"events"`   // of the log before
	Remove   uint64           `json:"remove"`   // of those: removed, or to be removed
	Bytes    uint64           `json:"bytes"`    // of them, with their headers
	Last     uint64           `json:"last"`     // the last position of them; 0: none
	Removed  uint64           `json:"removed"`  // have been removed so far, also by earlier runs
	Applied  bool             `json:"applied"`
}

// ErrArchiveDiffers means that nothing is removed, since log and archive are not the same.
var ErrArchiveDiffers = errors.New("nothing was removed: the log and its archive differ; see integrations verify --archive")

// Run compares the whole log with its archive, byte for byte, and then removes what the archive has and
// is not among the last events of its integration. What it promises of that is at eventstore.Prune.
func (p *Prune) Run(ctx context.Context) (Pruned, error) {
	done := Pruned{Log: p.Log}
	if p.Log != transparency.Integrations || p.Keep == 0 {
		return done, errors.New("prune: only of the log of the integrations, and at least one event must stay")
	}
	if p.Apply {
		if err := p.Events.Events.CheckPrunable(ctx); err != nil { // before the log is compared, which takes long
			return done, err
		}
	}
	tree, err := p.Events.Snapshot(ctx, p.Log)
	if err != nil {
		return done, err
	}
	log := &eventstore.Retention{}
	var sizes []uint32
	unarchived := &eventstore.Positions{}
	compared, err := p.compare(ctx, p.Events, func(stored transparency.Entry, archived bool) {
		log.Add(stored.Subject, stored.Position)
		for uint64(len(sizes)) < stored.Position-1 {
			sizes = append(sizes, 0)
		}
		sizes = append(sizes, uint32(min(sizeOf(stored), 1<<31))) //nolint:gosec // it fits
		if !archived {
			unarchived.Add(stored.Position)
		}
	}, p.Compared)
	if err != nil {
		return done, err
	}
	if len(compared.Problems) > 0 {
		return done, fmt.Errorf("%w: %s", ErrArchiveDiffers, compared.Problems[0])
	}
	done.Archived = compared.Position
	if err := p.tail(ctx, log); err != nil {
		return done, err
	}
	done.Events = log.Events()
	check := func(ctx context.Context, remove *eventstore.Positions) error {
		return p.check(ctx, remove, unarchived, &done, sizes)
	}
	if err := check(ctx, log.Beyond(p.Keep)); err != nil || !p.Apply {
		return done, err
	}
	removed, err := p.Events.Events.Prune(ctx, eventstore.Pruning{
		Keep: p.Keep, Events: log, Archived: done.Archived, Progress: p.Removed, LastOnly: p.LastOnly, Check: check, Waiting: p.Waiting,
		Sign: func(removed *eventstore.Positions) (string, error) {
			c, err := tree.SignRemoval(done.Archived, transparency.Removal{Count: removed.Count(), Hash: removed.Hash()})
			return c.Note, err
		},
	})
	done.Removed, done.Applied = removed.Count(), err == nil
	return done, err
}

// tail adds the events of the log behind the end of the archive.
func (p *Prune) tail(ctx context.Context, log *eventstore.Retention) error {
	bounds, err := p.Events.Events.Bounds(ctx, p.Events.Streams[p.Log])
	if err != nil {
		return err
	}
	for batch, err := range p.Events.Events.Messages(ctx, p.Events.Streams[p.Log], ">", log.Position(), bounds.Last) {
		if err != nil {
			return err
		}
		for _, m := range batch {
			log.Add(m.Subject, m.Position)
		}
	}
	return nil
}

// check counts what would be removed, and returns an error if the archive lacks any of it, or if it is too new.
func (p *Prune) check(ctx context.Context, remove, unarchived *eventstore.Positions, done *Pruned, sizes []uint32) error {
	done.Remove, done.Last, done.Bytes = remove.Count(), remove.Last(), 0
	if done.Last > done.Archived {
		return domain.Errorf(domain.Invalid, eventstore.NotArchived,
			"the event at position %d would be removed, and the archive ends with position %d: archive the log further, or keep more events", done.Last, done.Archived)
	}
	if done.Last == 0 {
		return nil
	}
	m, found, err := p.Events.Events.MessageFrom(ctx, p.Events.Streams[p.Log], done.Last)
	if err != nil {
		return err
	}
	if newest := p.Now.Add(-p.MinAge); found && m.Time.After(newest) {
		return domain.Errorf(domain.Invalid, "too_new",
			"the event at position %d would be removed, and is of %s: only events before %s may be; keep more events", done.Last, m.Time.UTC().Format(time.RFC3339), newest.UTC().Format(time.RFC3339))
	}
	for at, size := range sizes {
		position := uint64(at) + 1
		if !remove.Has(position) {
			continue
		}
		if unarchived.Has(position) {
			return domain.Errorf(domain.Invalid, eventstore.NotArchived, "the event at position %d would be removed, and the archive has its hash only", position)
		}
		done.Bytes += uint64(size)
	}
	return nil
}

// signedOf reports whether a checkpoint was signed for a log of this lineage: of an earlier one, what it has
// of that is the same.
func signedOf(l eventstore.Lineage, c transparency.Checkpoint) bool {
	return slices.ContainsFunc(l.Epochs, func(e eventstore.Epoch) bool {
		return c.Origin == transparency.OriginOf(c.Log(), e.ID) || strings.HasPrefix(c.Origin, "integrations/"+e.ID+".")
	}) && c.Log() == transparency.Integrations
}

// VerifyRemoval returns an error unless the record of removed events is signed by this service, for a
// tree that is the beginning of the present one. It returns how many events may be gone.
func VerifyRemoval(ctx context.Context, log *trees.Reader) (uint64, error) {
	is := log.Events.Lineage().Removal()
	if is.Count == 0 {
		return 0, nil
	}
	positions, err := log.Events.Removed(ctx)
	if err != nil {
		return is.Count, err
	}
	key, err := transparency.ParseKey(log.Key.Public())
	if err != nil {
		return is.Count, err
	}
	c, err := transparency.ParseCheckpoint(is.Note, key)
	if err != nil {
		return is.Count, fmt.Errorf("the record of removed events: %w", err)
	}
	if c.Removal.Count != positions.Count() || c.Removal.Hash != positions.Hash() || positions.Last() > c.Size {
		return is.Count, errors.New("the record of removed events is not the one that was signed")
	}
	tree, _, err := log.Signed(ctx, transparency.Integrations)
	if err != nil {
		return is.Count, err
	}
	root, err := tree.Root(c.Size)
	if err == nil && (root != c.Root || !signedOf(log.Events.Lineage(), c)) {
		err = errors.New("the record of removed events was signed for another log")
	}
	return is.Count, err
}
