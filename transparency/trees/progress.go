package trees

import (
	"context"
	"time"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/eventstore"
	"github.com/seed677028b5/integrations/transparency"
)

// Grown is how far the tree of a log has grown.
type Grown struct {
	Log        transparency.Log
	Head       uint64                  // the last position of the log
	Checkpoint transparency.Checkpoint // the last one that was signed
	Signed     time.Time               // when
}

// Lag returns how many positions of the log are not in the last checkpoint.
func (g Grown) Lag() uint64 { return g.Head - min(g.Head, g.Checkpoint.Size) }

// Grown returns how far the trees of the logs have grown. A log of which nothing was ever signed is
// left out.
func (r *Reader) Grown(ctx context.Context) ([]Grown, error) {
	var all []Grown
	for _, log := range transparency.Logs() {
		stream, ok := r.Streams[log]
		if !ok {
			continue
		}
		s, err := r.Trees.State(ctx, log)
		if domain.KindOf(err) == domain.NotFound {
			continue
		}
		if err != nil {
			return nil, err
		}
		bounds, err := r.Events.Bounds(ctx, stream)
		if err != nil {
			return nil, err
		}
		all = append(all, Grown{log, bounds.Last, s.Checkpoint(log), s.at})
	}
	return all, nil
}

// Followers returns how far the tree of each log is behind it. Its progress is when it was
// signed last, or now when nothing is left to sign.
func (r *Reader) Followers(ctx context.Context, now time.Time) ([]eventstore.Follower, error) {
	grown, err := r.Grown(ctx)
	all := make([]eventstore.Follower, len(grown))
	for n, g := range grown {
		all[n] = eventstore.Follower{Name: "trees/" + string(g.Log), Position: g.Checkpoint.Size, Head: g.Head, Lag: g.Lag(), Progress: g.Signed}
		if all[n].Lag == 0 {
			all[n].Progress = now
		}
	}
	return all, err
}
