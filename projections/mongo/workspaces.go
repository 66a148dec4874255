package mongo

import (
	"context"
	"errors"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/projections"
)

// Workspaces implements projections.Store. It goes from one workspace to the next: a group over
// all of them would read every integration for each page.
func (s *Store) Workspaces(ctx context.Context, after domain.Workspace, limit int) ([]projections.WorkspaceSize, error) {
	var all []projections.WorkspaceSize
	for len(all) < limit {
		var next struct {
			Workspace domain.Workspace `bson:"workspace"`
		}
		err := s.integrations.FindOne(ctx, bson.D{{Key: "workspace", Value: bson.D{{Key: "$gt", Value: string(after)}}}, {Key: "deleted", Value: false}},
			options.FindOne().SetSort(bson.D{{Key: "workspace", Value: 1}}).SetProjection(bson.D{{Key: "workspace", Value: 1}})).Decode(&next)
		if errors.Is(err, mongo.ErrNoDocuments) {
			break
		}
		if err != nil {
			return nil, s.unavailable(ctx, err)
		}
		count, err := s.totals.total(ctx, next.Workspace, projections.Query{}, filter(next.Workspace, projections.Query{}))
		if err != nil {
			return nil, s.unavailable(ctx, err)
		}
		if count > 0 { // the last one may have been deleted meanwhile
			all = append(all, projections.WorkspaceSize{Workspace: next.Workspace, Integrations: count})
		}
		after = next.Workspace
	}
	return all, s.confirm(ctx)
}
