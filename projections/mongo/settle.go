package mongo

import (
	"context"
	"errors"
	"slices"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/projections"
)

// How many changes of a workspace are left to be counted by each total, and of how many workspaces
// the number is remembered. What is not remembered is counted at its next change.
const (
	maxPending           = 64
	maxPendingWorkspaces = 50_000
)

// settle counts the changes of workspaces in which enough has changed. A failure leaves them for
// the next time: totals are right without it.
func (s *totals) settle(ctx context.Context, documents []projections.Document) {
	if s.filling {
		return
	}
	changes := map[domain.Workspace]int{}
	for _, d := range documents {
		changes[d.Integration.Workspace]++
	}
	for w, n := range changes {
		if s.due(w, n) && s.settleOne(ctx, w) != nil {
			s.mu.Lock()
			delete(s.pending, w)
			s.mu.Unlock()
		}
	}
}

// due reports whether the changes of a workspace have to be counted after n more.
func (s *totals) due(w domain.Workspace, n int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.pending == nil || len(s.pending) >= maxPendingWorkspaces {
		s.pending = map[domain.Workspace]int{}
	}
	pending, known := s.pending[w]
	if pending += n; known && pending < maxPending {
		s.pending[w] = pending
		return false
	}
	s.pending[w] = 0
	return true
}

// settleOne counts the changes of a workspace, or counts it anew. It does nothing while a change
// after the position of the store is there, because another one may be missing.
func (s *totals) settleOne(ctx context.Context, w domain.Workspace) error {
	before, err := s.counts(ctx, w)
	if err != nil {
		return err
	}
	changes, all, err := s.changedAfter(ctx, w, before.At)
	if err != nil {
		return err
	}
	position, err := s.position(ctx)
	if err != nil {
		return err
	}
	after, certain := before.plus(changes)
	if !all || !certain || before.At > position {
		if after, err = s.recount(ctx, w); err != nil {
			return err
		}
	}
	if after.At > position || after.At == before.At {
		return nil
	}
	return s.putCounts(ctx, w, before.At, after)
}

// putCounts replaces the count at a position, 0 if there is none, unless another one was stored
// meanwhile.
func (s *totals) putCounts(ctx context.Context, w domain.Workspace, before int64, c counts) error {
	_, err := s.integrations.UpdateOne(ctx, bson.D{{Key: "_id", Value: countsID(w)}, {Key: "workspace", Value: ""}, {Key: "at", Value: before}},
		bson.D{{Key: "$set", Value: bson.D{{Key: "at", Value: c.At}, {Key: "groups", Value: c.Groups}}}}, options.UpdateOne().SetUpsert(before == 0))
	if mongo.IsDuplicateKeyError(err) {
		return nil
	}
	return err
}

// recount counts a workspace one by one. The position is that of its last change; zero if it
// changed meanwhile.
func (s *totals) recount(ctx context.Context, w domain.Workspace) (counts, error) {
	before, err := s.lastChange(ctx, w)
	if err != nil {
		return counts{}, err
	}
	c := counts{At: before, Groups: map[string]int64{}}
	for _, enabled := range []bool{false, true} {
		for _, protocol := range domain.Protocols() {
			n, err := s.integrations.CountDocuments(ctx, filter(w, projections.Query{Filter: projections.Filter{Enabled: &enabled, Protocol: protocol}}))
			if err != nil {
				return counts{}, err
			}
			if n > 0 {
				c.Groups[groupOf(enabled, protocol)] = n
			}
		}
	}
	after, err := s.lastChange(ctx, w)
	if err != nil || after != before {
		return counts{}, err
	}
	return c, nil
}

// lastChange returns the position of the last change in a workspace.
func (s *totals) lastChange(ctx context.Context, w domain.Workspace) (int64, error) {
	var last changed
	err := s.integrations.FindOne(ctx, bson.D{{Key: "workspace", Value: string(w)}, {Key: "position", Value: bson.D{{Key: "$gt", Value: int64(0)}}}},
		options.FindOne().SetSort(bson.D{{Key: "position", Value: -1}}).SetProjection(countFields())).Decode(&last)
	if errors.Is(err, mongo.ErrNoDocuments) {
		return 0, nil
	}
	return last.Position, err
}

// countAllWithin bounds the counting of a whole generation.
const countAllWithin = 10 * time.Minute

// countAll counts the integrations of a generation that this process alone has filled.
func (s *totals) countAll(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, countAllWithin)
	defer cancel()
	cursor, err := s.integrations.Aggregate(ctx, mongo.Pipeline{
		{{Key: "$match", Value: bson.D{{Key: "position", Value: bson.D{{Key: "$gt", Value: int64(0)}}}}}},
		{{Key: "$group", Value: bson.D{
			{Key: "_id", Value: bson.D{
				{Key: "workspace", Value: "$workspace"}, {Key: "deleted", Value: "$deleted"}, {Key: "enabled", Value: "$enabled"}, {Key: "protocol", Value: "$protocol"},
			}},
			{Key: "number", Value: bson.D{{Key: "$sum", Value: 1}}},
		}}},
	})
	if err != nil {
		return err
	}
	defer func() { _ = cursor.Close(ctx) }()
	all := map[domain.Workspace]counts{}
	for cursor.Next(ctx) {
		var g struct {
			Of struct {
				Workspace domain.Workspace `bson:"workspace"`
				Deleted   bool             `bson:"deleted"`
				Enabled   bool             `bson:"enabled"`
				Protocol  domain.Protocol  `bson:"protocol"`
			} `bson:"_id"`
			Number int64 `bson:"number"`
		}
		if err := cursor.Decode(&g); err != nil {
			return err
		}
		if all[g.Of.Workspace].Groups == nil {
			all[g.Of.Workspace] = counts{At: s.newest, Groups: map[string]int64{}}
		}
		if !g.Of.Deleted {
			all[g.Of.Workspace].Groups[groupOf(g.Of.Enabled, g.Of.Protocol)] += g.Number
		}
	}
	if err := cursor.Err(); err != nil {
		return err
	}
	var puts []mongo.WriteModel
	for w, c := range all {
		puts = append(puts, mongo.NewUpdateOneModel().SetFilter(bson.D{{Key: "_id", Value: countsID(w)}, {Key: "workspace", Value: ""}}).
			SetUpdate(bson.D{{Key: "$set", Value: bson.D{{Key: "at", Value: c.At}, {Key: "groups", Value: c.Groups}}}}).SetUpsert(true))
	}
	for some := range slices.Chunk(puts, bulk) {
		if _, err := s.integrations.BulkWrite(ctx, some); err != nil {
			return err
		}
	}
	return nil
}
