package mongo

import (
	"context"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/projections"
)

// scheduleWithin bounds the reading of a schedule, of which each part is one operation.
const (
	scheduleWithin = 10 * time.Minute
	schedulePart   = 500
)

// planned is the part of a document that the schedule of health checks needs.
type planned struct {
	ID        string           `bson:"_id"`
	Workspace domain.Workspace `bson:"workspace"`
	Every     int64            `bson:"every"`
	At        int64            `bson:"at"`
}

func (p planned) ref() domain.Ref {
	return domain.Ref{Workspace: p.Workspace, ID: domain.ID(strings.TrimPrefix(p.ID, key(p.Workspace, "")))}
}

// Schedule implements projections.Store. The first query reads nothing but the index by name.
func (s *Store) Schedule(ctx context.Context, enabled func(domain.Ref, int), probed func(domain.Ref, time.Time)) error {
	bounded, cancel := context.WithTimeout(ctx, scheduleWithin)
	defer cancel()
	if err := s.plan(bounded, s.integrations,
		bson.D{{Key: "workspace", Value: bson.D{{Key: "$gt", Value: ""}}}, {Key: "deleted", Value: false}, {Key: "enabled", Value: true}},
		options.Find().SetProjection(bson.D{{Key: "workspace", Value: 1}, {Key: "every", Value: 1}}).
			SetSort(bson.D{{Key: "workspace", Value: 1}, {Key: "deleted", Value: 1}, {Key: "name", Value: 1}, {Key: "_id", Value: 1}}),
		func(p planned) { enabled(p.ref(), int(p.Every)) }); err != nil {
		return err
	}
	if err := s.plan(bounded, s.probes, bson.D{}, options.Find().SetProjection(bson.D{{Key: "workspace", Value: 1}, {Key: "at", Value: 1}}),
		func(p planned) { probed(p.ref(), projections.FromMicros(p.At)) }); err != nil {
		return err
	}
	return s.confirm(ctx)
}

// plan calls one for each document of a query.
func (s *Store) plan(ctx context.Context, in *mongo.Collection, filter bson.D, how *options.FindOptionsBuilder, one func(planned)) error {
	cursor, err := in.Find(ctx, filter, how.SetBatchSize(schedulePart))
	if err != nil {
		return s.unavailable(ctx, err)
	}
	defer func() { _ = cursor.Close(ctx) }()
	var before domain.Workspace
	for cursor.Next(ctx) {
		var p planned
		if err := cursor.Decode(&p); err != nil {
			return s.unavailable(ctx, err)
		}
		if p.Workspace == before {
			p.Workspace = before // shares its text
		}
		before = p.Workspace
		one(p)
	}
	return s.unavailable(ctx, cursor.Err())
}
