package trees

import (
	"context"
	"log/slog"

	"github.com/seed677028b5/integrations/eventstore"
	"github.com/seed677028b5/integrations/transparency"
)

// adopt continues the tree with a log of another identity: one that was restored, lost events
// or is new. It keeps the leaves up to the first message that is another one.
func (g *growing) adopt(ctx context.Context, identity string, bounds eventstore.Bounds) error {
	shared, err := g.shared(ctx, min(g.state.Edge.Size, bounds.Last))
	if err != nil {
		return err
	}
	if g.state.Identity != "" {
		g.Log.WarnContext(ctx, "the log has another identity, so its checkpoints have another origin", slog.String("log", string(g.log)),
			slog.String("from", g.state.Identity), slog.String("to", identity), slog.Uint64("shared", shared), slog.Uint64("signed", g.state.Edge.Size))
	}
	edge := transparency.Edge{Size: shared}
	tiles := g.Trees.source(ctx, g.log, g.state)
	for level := 0; shared>>(8*level) > 0; level++ {
		index, width := shared>>(8*(level+1)), int(shared>>(8*level)%transparency.TileWidth)
		var hashes []transparency.Hash
		if width > 0 {
			if hashes, err = tiles(level, index, width); err != nil {
				return err
			}
		}
		edge.Levels = append(edge.Levels, append([]transparency.Hash(nil), hashes[:width]...))
	}
	g.state.Identity, g.state.Edge = identity, edge
	return g.sign(ctx)
}

// shared returns up to where the log has the messages of the tree, at most limit. Positions
// without a message prove nothing, and count as shared.
func (g *growing) shared(ctx context.Context, limit uint64) (uint64, error) {
	low, high := uint64(1), limit+1 // the first other message is between them, high included
	for low < high {
		middle := low + (high-low)/2
		m, found, err := g.Events.MessageFrom(ctx, g.stream, middle)
		if err != nil {
			return 0, err
		}
		if !found || m.Position > limit {
			high = middle
			continue
		}
		same, err := g.sameAs(ctx, m)
		switch {
		case err != nil:
			return 0, err
		case same:
			low = m.Position + 1
		default:
			high = middle
		}
	}
	if low > limit {
		return limit, nil
	}
	return g.extend(ctx, low-1, limit)
}

// extend returns limit when no message after a position is another one: those are all gone.
func (g *growing) extend(ctx context.Context, from, limit uint64) (uint64, error) {
	m, found, err := g.Events.MessageFrom(ctx, g.stream, from+1)
	if err != nil {
		return 0, err
	}
	if !found || m.Position > limit {
		return limit, nil
	}
	return from, nil
}

// same reports whether the log has the message of the tree at a position, or none.
func (g *growing) same(ctx context.Context, position uint64) (bool, error) {
	if position == 0 {
		return true, nil
	}
	m, found, err := g.Events.MessageFrom(ctx, g.stream, position)
	if err != nil || !found || m.Position != position {
		return err == nil, err
	}
	return g.sameAs(ctx, m)
}

func (g *growing) sameAs(ctx context.Context, m eventstore.Message) (bool, error) {
	index := m.Position - 1
	hashes, err := g.Trees.Tile(ctx, g.log, g.state, 0, index/transparency.TileWidth)
	if err != nil {
		return false, err
	}
	at := index % transparency.TileWidth
	return at < uint64(len(hashes)) && hashes[at] == EntryOf(m).Leaf(), nil
}
