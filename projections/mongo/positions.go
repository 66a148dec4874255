package mongo

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"github.com/seed677028b5/integrations/projections"
)

// positions is the document with the identity and the positions of the store.
type positions struct {
	Store        string `bson:"store"` // its identity
	Whole        bool   `bson:"whole"` // it was filled completely
	Integrations int64  `bson:"integrations"`
	Probes       int64  `bson:"probes"`
	Approvals    int64  `bson:"approvals"`
}

func (p positions) of() projections.Positions {
	return projections.Positions{Integrations: uint64(p.Integrations), Probes: uint64(p.Probes), Approvals: uint64(p.Approvals)}
}

// place returns the filter of the document of whichever store.
func place() bson.D { return bson.D{{Key: "_id", Value: positionsID}, {Key: "workspace", Value: ""}} }

// own returns the filter of this store's document.
func (s *Store) own() bson.D { return append(place(), bson.E{Key: "store", Value: s.identity}) }

// begin creates the document of an empty store.
func (s *Store) begin(ctx context.Context) error {
	s.identity, s.totals.filling = bson.NewObjectID().Hex(), true
	_, err := s.integrations.InsertOne(ctx, append(s.own(), bson.D{
		{Key: "whole", Value: false}, {Key: "integrations", Value: int64(0)}, {Key: "probes", Value: int64(0)}, {Key: "approvals", Value: int64(0)},
	}...))
	return s.unavailable(ctx, err)
}

// resume reads the identity of the store. A store that was not filled completely is unusable.
func (s *Store) resume(ctx context.Context) error {
	var at positions
	err := s.integrations.FindOne(ctx, place()).Decode(&at)
	switch {
	case errors.Is(err, mongo.ErrNoDocuments), err == nil && !at.Whole:
		return projections.Unavailable(fmt.Errorf("%w: %s is missing or incomplete", projections.ErrUnusable, s.integrations.Name()))
	case err != nil:
		return s.unavailable(ctx, err)
	}
	s.identity, s.furthest = at.Store, at.of()
	return nil
}

// read returns the document of this store.
func (s *Store) read(ctx context.Context) (positions, error) {
	var at positions
	err := s.integrations.FindOne(ctx, place()).Decode(&at)
	if errors.Is(err, mongo.ErrNoDocuments) || err == nil && at.Store != s.identity {
		return at, projections.Unavailable(fmt.Errorf("%w: %s", projections.ErrReplaced, s.integrations.Name()))
	}
	return at, s.unavailable(ctx, err)
}

// Positions implements projections.Store.
func (s *Store) Positions(ctx context.Context) (projections.Positions, error) {
	at, err := s.read(ctx)
	if err != nil {
		return projections.Positions{}, err
	}
	s.observe(at.of())
	return at.of(), nil
}

// observe records the furthest positions.
func (s *Store) observe(at projections.Positions) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.furthest.Integrations = max(s.furthest.Integrations, at.Integrations)
	s.furthest.Probes = max(s.furthest.Probes, at.Probes)
	s.furthest.Approvals = max(s.furthest.Approvals, at.Approvals)
}

// confirm returns nil when the preceding read was of this store, and it was not removed,
// emptied, or restored to an earlier state meanwhile: otherwise lost data would look like data
// that never existed. A store that went back is read again once it has caught up.
func (s *Store) confirm(ctx context.Context) error {
	s.mu.Lock()
	before := s.furthest
	s.mu.Unlock()
	for look := 1; ; look++ {
		at, err := s.read(ctx)
		if err != nil {
			return err
		}
		now := at.of()
		if now.Integrations >= before.Integrations && now.Probes >= before.Probes && now.Approvals >= before.Approvals {
			return nil
		}
		if look == looks {
			return projections.Unavailable(fmt.Errorf("%w: it went back to %d", projections.ErrMoved, now.Integrations))
		}
		select {
		case <-time.After(betweenLooks):
		case <-ctx.Done():
			return s.unavailable(ctx, ctx.Err())
		}
	}
}

// How often a store is checked before it counts as restored: a read may return the state before
// the last write, and one sample is no evidence.
const (
	looks        = 6
	betweenLooks = 20 * time.Millisecond
)

// reach advances the positions, on the condition that they are where the batch starts.
func (s *Store) reach(ctx context.Context, b projections.Batch) error {
	where, set := s.own(), bson.D{}
	for _, log := range []struct {
		name string
		to   uint64
		from func(projections.Positions) uint64
	}{
		{"integrations", b.Reached.Integrations, func(p projections.Positions) uint64 { return p.Integrations }},
		{"probes", b.Reached.Probes, func(p projections.Positions) uint64 { return p.Probes }},
		{"approvals", b.Reached.Approvals, func(p projections.Positions) uint64 { return p.Approvals }},
	} {
		if log.to == 0 {
			continue
		}
		if b.From != nil {
			where = append(where, bson.E{Key: log.name, Value: int64(log.from(*b.From))})
		}
		set = append(set, bson.E{Key: log.name, Value: int64(log.to)})
	}
	if len(set) == 0 {
		return nil
	}
	result, err := s.integrations.UpdateOne(ctx, where, bson.D{{Key: "$max", Value: set}})
	if err != nil {
		return s.unavailable(ctx, err)
	}
	if result.MatchedCount == 0 {
		at, err := s.read(ctx)
		if err == nil {
			err = b.CanFollow(at.of())
		}
		if err != nil {
			return err
		}
	}
	s.observe(b.Reached)
	return nil
}

// unavailable is faults.unavailable, except that it keeps errors of this package.
func (s *Store) unavailable(ctx context.Context, err error) error {
	if errors.Is(err, projections.ErrReplaced) {
		return projections.Unavailable(err)
	}
	return s.faults.unavailable(ctx, err)
}
