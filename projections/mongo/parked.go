package mongo

import (
	"context"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/projections"
)

// Parked implements projections.Store. An integration with a later document is no longer
// parked.
func (s *Store) Parked(ctx context.Context) ([]projections.Parked, error) {
	var found []struct {
		ID        string           `bson:"_id"`
		Workspace domain.Workspace `bson:"workspace"`
		Of        domain.ID        `bson:"id"`
		Position  int64            `bson:"position"`
		Reason    string           `bson:"reason"`
		At        int64            `bson:"at"`
	}
	cursor, err := s.parked.Find(ctx, bson.D{}, options.Find().SetSort(bson.D{{Key: "position", Value: 1}}))
	if err != nil {
		return nil, s.unavailable(ctx, err)
	}
	if err := cursor.All(ctx, &found); err != nil || len(found) == 0 {
		return nil, s.unavailable(ctx, err)
	}
	keys := bson.A{}
	for _, f := range found {
		keys = append(keys, f.ID)
	}
	cursor, err = s.integrations.Find(ctx, bson.D{{Key: "_id", Value: bson.D{{Key: "$in", Value: keys}}}},
		options.Find().SetProjection(bson.D{{Key: "position", Value: 1}}))
	if err != nil {
		return nil, s.unavailable(ctx, err)
	}
	var documents []stored
	if err := cursor.All(ctx, &documents); err != nil {
		return nil, s.unavailable(ctx, err)
	}
	shown := map[string]int64{}
	for _, d := range documents {
		shown[d.ID] = d.Position
	}
	var all []projections.Parked
	for _, f := range found {
		if shown[f.ID] < f.Position {
			all = append(all, projections.Parked{
				Position: uint64(f.Position), Workspace: f.Workspace, ID: f.Of, Reason: f.Reason, At: projections.FromMicros(f.At),
			})
		}
	}
	return all, nil
}
