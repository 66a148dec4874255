package trees

import (
	"context"
	"time"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/eventstore"
	"github.com/seed677028b5/integrations/transparency"
)

// Followers returns how far the tree of each log is behind it. Its progress is when it was
// signed last, or now when nothing is left to sign.
func (r *Reader) Followers(ctx context.Context, now time.Time) ([]eventstore.Follower, error) {
	var all []eventstore.Follower
	for _, log := range transparency.Logs() {
		stream, ok := r.Streams[log]
		if !ok {
			continue
		}
		s, err := r.Trees.State(ctx, log)
		if domain.KindOf(err) == domain.NotFound {
			continue // none was ever signed
		}
		if err != nil {
			return nil, err
		}
		bounds, err := r.Events.Bounds(ctx, stream)
		if err != nil {
			return nil, err
		}
		f := eventstore.Follower{Name: "trees/" + string(log), Position: s.Edge.Size, Head: bounds.Last, Lag: bounds.Last - min(bounds.Last, s.Edge.Size), Progress: s.at}
		if f.Lag == 0 {
			f.Progress = now
		}
		all = append(all, f)
	}
	return all, nil
}
