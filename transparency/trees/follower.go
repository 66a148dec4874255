package trees

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/seed677028b5/integrations/eventstore"
	"github.com/seed677028b5/integrations/streams"
	"github.com/seed677028b5/integrations/transparency"
)

// Follower makes the trees grow with the logs. Of all processes that run one, one does.
type Follower struct {
	Events  *eventstore.Store
	Trees   *Store
	Streams map[transparency.Log]string // the stream of each log
	Key     transparency.Key
	Log     *slog.Logger
}

const (
	leaseName = "trees"
	pause     = 400 * time.Millisecond // between checkpoints, so that messages are hashed together
	latest    = 500 * time.Millisecond // after which a checkpoint is signed though more messages are waiting
	most      = 8192                   // leaves between two checkpoints
	retry     = time.Second            // after a failure
)

// Run hashes and signs until ctx ends. It returns nil then.
func (f *Follower) Run(ctx context.Context) error {
	return f.Events.Lead(ctx, leaseName, func(ctx context.Context) error {
		var logs sync.WaitGroup
		for log, stream := range f.Streams {
			logs.Go(func() { f.keep(ctx, log, stream) })
		}
		logs.Wait()
		return nil
	})
}

// keep follows one log until ctx ends. A fault of one log does not stop the others.
func (f *Follower) keep(ctx context.Context, log transparency.Log, stream string) {
	failing, lost := "", ""
	for ctx.Err() == nil {
		err := f.follow(ctx, log, stream, lost)
		if ctx.Err() != nil {
			return
		}
		var seen *lostError
		if lost = ""; errors.As(err, &seen) {
			lost = seen.Error()
		} else if err != nil && err.Error() != failing {
			failing = err.Error()
			f.Log.WarnContext(ctx, "no checkpoints are signed; retrying", slog.String("log", string(log)), slog.Any("err", err))
		}
		streams.Wait(ctx, retry)
	}
}

// The reasons for which nothing is signed until an operator acts.
var (
	ErrShorter  = errors.New("the log ends before its tree does")
	ErrReplaced = errors.New("the log has another message than its tree")
	ErrMissing  = errors.New("messages are missing from the log")
)

// A lostError says what a log has lost. What is done about it can't be undone, and a server may
// for a moment answer as the leader that it was: it is done when a second look, a while later,
// says the same.
type lostError struct{ error }

func (e *lostError) Unwrap() error { return e.error }

// follow makes the tree of a log grow until something fails. It reads what has come since in
// one go, which costs the server less than a consumer that is sent each message as it comes.
// Lost is what the last look has found to be lost.
func (f *Follower) follow(ctx context.Context, log transparency.Log, stream, lost string) error {
	g, err := f.begin(ctx, log, stream, lost)
	if err != nil {
		return err
	}
	for {
		bounds, err := f.Events.Bounds(ctx, stream)
		if err != nil {
			return err
		}
		if !isOf(g.state.Identity, Identity(f.Events.Lineage(), log, bounds)) {
			return nil // which begins again
		}
		if err := g.read(ctx, bounds.Last); err != nil {
			return err
		}
		if !streams.Wait(ctx, pause) {
			return ctx.Err()
		}
	}
}

// read hashes the messages up to a position, and signs.
func (g *growing) read(ctx context.Context, to uint64) error {
	if to <= g.state.Edge.Size {
		if to < g.state.Edge.Size {
			return fmt.Errorf("%w: %d positions, and a checkpoint was signed for %d", ErrShorter, to, g.state.Edge.Size)
		}
		return nil
	}
	for batch, err := range g.Events.Messages(ctx, g.stream, ">", g.state.Edge.Size, to) {
		if err != nil {
			return err
		}
		for _, m := range batch {
			if err := g.missing(ctx, m.Position); err != nil {
				return err
			}
			if err := g.add(ctx, EntryOf(m).Leaf()); err != nil {
				return err
			}
		}
		if g.unsigned() >= most || time.Since(g.signed) >= latest {
			if err := g.sign(ctx); err != nil {
				return err
			}
		}
	}
	if err := g.missing(ctx, to+1); err != nil { // the last ones may be gone
		return err
	}
	if g.unsigned() == 0 {
		return nil
	}
	return g.sign(ctx)
}

// EntryOf returns a stored message as it is hashed.
func EntryOf(m eventstore.Message) transparency.Entry {
	return transparency.Entry{Subject: m.Subject, Position: m.Position, Time: m.Time, Headers: m.Header, Data: m.Data}
}

// growing is a tree that grows.
type growing struct {
	*Follower

	log    transparency.Log
	stream string
	state  State
	done   uint64    // leaves that are signed for
	signed time.Time // when
	lost   string    // what the last look has found to be lost
	sure   bool      // this look has found it too, so that other messages which it finds to be missing are so
}

func (g *growing) unsigned() uint64 { return g.state.Edge.Size - g.done }

// begin returns the tree of a log as it is stored, after a comparison with the log.
func (f *Follower) begin(ctx context.Context, log transparency.Log, stream, lost string) (*growing, error) {
	g := &growing{Follower: f, log: log, stream: stream, lost: lost, signed: time.Now()} //nolint:forbidigo // how long ago, nothing else
	var err error
	if g.state, err = f.Trees.load(ctx, log); err != nil {
		return nil, err
	}
	g.done = g.state.Edge.Size
	bounds, err := f.Events.Bounds(ctx, stream)
	if err != nil {
		return nil, err
	}
	identity := Identity(f.Events.Lineage(), log, bounds)
	if identity == "" {
		return nil, errors.New("the log has no identity yet")
	}
	if !isOf(g.state.Identity, identity) {
		return g, g.adopt(ctx, identity, bounds)
	}
	if g.state.Edge.Size > bounds.Last {
		err = fmt.Errorf("%w: %d positions, and a checkpoint was signed for %d", ErrShorter, bounds.Last, g.state.Edge.Size)
	} else {
		var same bool
		if same, err = g.same(ctx, g.state.Edge.Size); err == nil && !same {
			err = fmt.Errorf("%w at position %d", ErrReplaced, g.state.Edge.Size)
		}
	}
	if strict(log) || !errors.Is(err, ErrShorter) && !errors.Is(err, ErrReplaced) {
		return g, err
	}
	if err := g.confirm(err); err != nil {
		return g, err
	}
	return g, g.adopt(ctx, nextFork(g.state.Identity, identity), bounds)
}

// confirm returns a lostError unless the last look has found the same loss.
func (g *growing) confirm(loss error) error {
	if loss.Error() != g.lost {
		return &lostError{loss}
	}
	return nil
}

// strict reports whether nothing is signed of a log that is not that of its tree, until an
// operator accepts the loss. There is nobody to accept it for the other logs: these go on under
// another origin.
func strict(log transparency.Log) bool { return log == transparency.Integrations }

// Identity returns the identity of a log: that of the event log, and for another log also
// that of its stream.
func Identity(l eventstore.Lineage, log transparency.Log, b eventstore.Bounds) string {
	if l.ID() == "" || log == transparency.Integrations {
		return l.ID()
	}
	return l.ID() + "-" + strconv.FormatInt(b.Created.UnixMilli(), 36)
}

// isOf reports whether an identity of a tree is that of a log, or of a fork of it: a number
// after a dot.
func isOf(tree, log string) bool { return tree == log || strings.HasPrefix(tree, log+".") }

// nextFork returns the identity of a tree that goes on where another one of the log differs.
func nextFork(tree, log string) string {
	n, _ := strconv.Atoi(strings.TrimPrefix(strings.TrimPrefix(tree, log), ".")) // 0: it is the first
	return log + "." + strconv.Itoa(n+1)
}

// missing adds leaves for the positions up to one that has a message.
func (g *growing) missing(ctx context.Context, position uint64) error {
	from := g.state.Edge.Size + 1
	if from < position && strict(g.log) && g.Events.Lineage().Accepted == 0 {
		return fmt.Errorf("%w: positions %d to %d", ErrMissing, from, position-1)
	}
	if from < position && !g.sure {
		if err := g.confirm(fmt.Errorf("%w from position %d", ErrMissing, from)); err != nil {
			return err
		}
		g.sure = true
	}
	for at := from; at < position; at++ {
		if err := g.add(ctx, transparency.MissingLeaf(at)); err != nil {
			return err
		}
	}
	return nil
}

// add adds a leaf, and stores the tiles that it completes.
func (g *growing) add(ctx context.Context, leaf transparency.Hash) (err error) {
	g.state.Edge.Append(leaf, func(tile transparency.Tile) {
		if err == nil {
			err = g.Trees.saveTile(ctx, g.log, tile)
		}
	})
	return err
}

// sign signs and stores the tree.
func (g *growing) sign(ctx context.Context) error {
	c, err := g.Key.Sign(g.state.Checkpoint(g.log))
	if err != nil {
		return err
	}
	g.state.Note = c.Note
	if err := g.Trees.save(ctx, g.log, &g.state); err != nil {
		return err
	}
	g.done, g.signed = g.state.Edge.Size, time.Now() //nolint:forbidigo // how long ago, nothing else
	return nil
}
