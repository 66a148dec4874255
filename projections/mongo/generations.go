package mongo

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/seed677028b5/integrations/projections"
)

// Generations stores each generation in its own collections, and which one is live in one
// document. It doesn't know who reads a generation, so the previous generation stays until the
// next is promoted, and earlier ones until Grace has passed: readers that check the document
// twice a second, as projections.Live does, have switched by then.
type Generations struct {
	Grace time.Duration // how long a generation stays after it was replaced; default a minute

	settings *options.ClientOptions
	faults   *faults
	client   *mongo.Client
	db       *mongo.Database
}

const (
	generationsName = "generations" + schema
	generationsID   = "generations"
)

// A build writes a heartbeat every beatEvery, and is abandoned without one for beatWithin,
// measured by the clock of the server.
const (
	beatEvery  = 2 * time.Second
	beatWithin = 15 * time.Second
)

// state is the document. Every change to it is one guarded update.
type state struct {
	Live          int64     `bson:"live"`
	Since         time.Time `bson:"since"`
	Previous      int64     `bson:"previous"`
	PreviousSince time.Time `bson:"previous_since"`
	Last          int64     `bson:"last"`     // the highest number ever used
	Building      int64     `bson:"building"` // 0: none
	Beat          time.Time `bson:"beat"`
}

// Open connects to the server at uri.
func Open(ctx context.Context, uri, database string) (*Generations, error) {
	return openWith(ctx, settingsOf(uri), database)
}

func openWith(ctx context.Context, settings *options.ClientOptions, database string) (*Generations, error) {
	client, seen, err := connect(settings)
	if err != nil {
		return nil, err
	}
	g := &Generations{Grace: time.Minute, settings: settings, faults: seen, client: client, db: client.Database(database)}
	if _, err := g.state(ctx); err != nil {
		return nil, errors.Join(err, g.Close())
	}
	return g, nil
}

// Close implements projections.Generations.
func (g *Generations) Close() error { return disconnect(g.client) }

func (g *Generations) state(ctx context.Context) (s state, err error) {
	err = g.db.Collection(generationsName).FindOne(ctx, bson.D{{Key: "_id", Value: generationsID}}).Decode(&s)
	if errors.Is(err, mongo.ErrNoDocuments) {
		err = nil
	}
	return s, g.faults.unavailable(ctx, err)
}

// update changes the document if it matches guard, and reports whether it did.
func (g *Generations) update(ctx context.Context, guard bson.D, set bson.D) (bool, error) {
	result, err := g.db.Collection(generationsName).UpdateOne(ctx,
		append(bson.D{{Key: "_id", Value: generationsID}}, guard...), bson.D{{Key: "$set", Value: set}})
	if err != nil {
		return false, g.faults.unavailable(ctx, err)
	}
	return result.MatchedCount > 0, nil
}

// now returns the time of the server, so that the clocks of the services don't matter.
func (g *Generations) now(ctx context.Context) (time.Time, error) {
	var hello struct {
		LocalTime time.Time `bson:"localTime"`
	}
	err := g.db.RunCommand(ctx, bson.D{{Key: "hello", Value: 1}}).Decode(&hello)
	return hello.LocalTime, g.faults.unavailable(ctx, err)
}

// Live implements projections.Generations.
func (g *Generations) Live(ctx context.Context) (uint64, error) {
	s, err := g.state(ctx)
	return uint64(s.Live), err
}

// Open implements projections.Generations.
func (g *Generations) Open(ctx context.Context, n uint64) (projections.Store, error) {
	s, err := open(g.settings, g.db.Name(), n)
	if err != nil {
		return nil, err
	}
	if err = s.resume(ctx); err == nil {
		err = s.ensureIndexes(ctx) // a later version may have other indexes
	}
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// Create implements projections.Generations.
func (g *Generations) Create(ctx context.Context) (uint64, projections.Store, error) {
	before, err := g.state(ctx)
	if err != nil {
		return 0, nil, err
	}
	now, err := g.now(ctx)
	if err != nil {
		return 0, nil, err
	}
	if before.Building != 0 && now.Sub(before.Beat) < beatWithin {
		return 0, nil, projections.ErrBuilding
	}
	n := before.Last + 1
	if err := g.claim(ctx, before, n, now); err != nil {
		return 0, nil, err
	}
	// Also those with higher numbers: the document may have been restored to an earlier state.
	if err := g.drop(ctx, func(left int64) bool { return left > before.Live }); err != nil {
		return 0, nil, err
	}
	s, err := open(g.settings, g.db.Name(), uint64(n))
	if err != nil {
		return 0, nil, err
	}
	b := g.building(n, s)
	err = s.begin(ctx)
	if err == nil {
		err = s.ensureIndexes(ctx)
	}
	if err != nil {
		return 0, nil, errors.Join(err, b.Close())
	}
	return uint64(n), b, nil
}

// claim starts a build, unless another process does at the same time.
func (g *Generations) claim(ctx context.Context, before state, n int64, now time.Time) error {
	set := bson.D{{Key: "last", Value: n}, {Key: "building", Value: n}, {Key: "beat", Value: now}}
	if before.Last == 0 { // there is no document yet
		_, err := g.db.Collection(generationsName).InsertOne(ctx, append(bson.D{{Key: "_id", Value: generationsID}, {Key: "live", Value: int64(0)}}, set...))
		if mongo.IsDuplicateKeyError(err) {
			return projections.ErrBuilding
		}
		return g.faults.unavailable(ctx, err)
	}
	mine, err := g.update(ctx, bson.D{{Key: "last", Value: before.Last}, {Key: "building", Value: before.Building}, {Key: "live", Value: before.Live}}, set)
	if err == nil && !mine {
		return projections.ErrBuilding
	}
	return err
}

// built is a store that is being built.
type built struct {
	*Store
	stop func()
}

// Close implements projections.Store.
func (b *built) Close() error {
	b.stop()
	return b.Store.Close()
}

// building writes the heartbeat of a build until the store is closed.
func (g *Generations) building(n int64, s *Store) *built {
	ctx, cancel := context.WithCancel(context.Background())
	mine := bson.D{{Key: "building", Value: n}}
	var beating sync.WaitGroup
	beating.Go(func() {
		for every := time.Tick(beatEvery); ; {
			select {
			case <-ctx.Done():
				return
			case <-every:
			}
			if now, err := g.now(ctx); err == nil {
				_, _ = g.update(ctx, mine, bson.D{{Key: "beat", Value: now}}) // retried at the next beat
			}
		}
	})
	return &built{Store: s, stop: sync.OnceFunc(func() {
		cancel()
		beating.Wait()
		ending, cancel := context.WithTimeout(context.Background(), operationTimeout)
		defer cancel()
		_, _ = g.update(ending, mine, bson.D{{Key: "building", Value: int64(0)}}) // otherwise it is abandoned later
	})}
}

// Promote implements projections.Generations.
func (g *Generations) Promote(ctx context.Context, n uint64) error {
	s, err := g.state(ctx)
	if err != nil {
		return err
	}
	now, err := g.now(ctx)
	if err != nil {
		return err
	}
	mine, err := g.update(ctx, bson.D{{Key: "building", Value: int64(n)}}, bson.D{
		{Key: "live", Value: int64(n)},
		{Key: "since", Value: now},
		{Key: "previous", Value: s.Live},
		{Key: "previous_since", Value: s.Since},
	})
	if err == nil && !mine {
		return projections.ErrOvertaken
	}
	return err
}

// Sweep implements projections.Generations.
func (g *Generations) Sweep(ctx context.Context) error {
	s, err := g.state(ctx)
	if err != nil {
		return err
	}
	now, err := g.now(ctx)
	if err != nil || now.Sub(s.PreviousSince) < g.Grace { // those before the previous one were replaced then, or earlier
		return err
	}
	return g.drop(ctx, func(n int64) bool { return n < s.Previous })
}

// drop deletes the collections of some generations. Those from before there were generations
// have number 0.
func (g *Generations) drop(ctx context.Context, which func(n int64) bool) error {
	names, err := g.db.ListCollectionNames(ctx, bson.D{})
	if err != nil {
		return g.faults.unavailable(ctx, err)
	}
	for _, name := range names {
		kind, number, found := strings.Cut(name, "_g")
		n, err := strconv.ParseInt(number, 10, 64)
		if !slices.Contains([]string{integrationsName, probesName, approvalsName, parkedName, authorizationsName}, kind) || found && err != nil || !which(n) {
			continue
		}
		if err := g.db.Collection(name).Drop(ctx); err != nil {
			return g.faults.unavailable(ctx, err)
		}
	}
	return nil
}
