package mongo

import (
	"context"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/projections"
)

// approvalIndexes returns the indexes for the lists of approvals: of all, and of those in one
// state.
func approvalIndexes() []mongo.IndexModel {
	newest := bson.D{{Key: "requested_at", Value: -1}, {Key: "_id", Value: -1}}
	return []mongo.IndexModel{
		{Keys: append(bson.D{{Key: "workspace", Value: 1}}, newest...), Options: options.Index().SetName("by_requested_at")},
		{Keys: append(bson.D{{Key: "workspace", Value: 1}, {Key: "state", Value: 1}}, newest...), Options: options.Index().SetName("by_state")},
	}
}

func approval(d projections.ApprovalDocument) (upsert, error) {
	a := d.Approval
	encoded, err := projections.EncodeApproval(a)
	if err != nil {
		return upsert{}, err
	}
	return upsert{workspace: string(a.Workspace), id: string(a.Workspace) + "/" + a.ID, older: olderThan(d.Position), size: len(encoded), set: bson.D{
		{Key: "position", Value: int64(d.Position)},
		{Key: "integration", Value: string(a.Integration)},
		{Key: "state", Value: string(a.State)},
		{Key: "asker", Value: a.Key},
		{Key: "requested_at", Value: projections.Micros(a.RequestedAt)},
		{Key: "document", Value: encoded},
	}}, nil
}

// Approvals implements projections.Store.
func (s *Store) Approvals(ctx context.Context, w domain.Workspace, q projections.ApprovalQuery) (projections.ApprovalPage, error) {
	matching := bson.D{{Key: "workspace", Value: string(w)}}
	if q.State != "" {
		matching = append(matching, bson.E{Key: "state", Value: string(q.State)})
	}
	if q.Integration != "" {
		matching = append(matching, bson.E{Key: "integration", Value: string(q.Integration)})
	}
	if q.Key != "" {
		matching = append(matching, bson.E{Key: "asker", Value: q.Key})
	}
	if q.After != nil { // the second condition implies the first, which bounds the scan of the index
		id := string(w) + "/" + q.After.ID
		matching = append(matching, bson.E{Key: "requested_at", Value: bson.D{{Key: "$lte", Value: q.After.At}}}, bson.E{Key: "$or", Value: bson.A{
			bson.D{{Key: "requested_at", Value: bson.D{{Key: "$lt", Value: q.After.At}}}},
			bson.D{{Key: "requested_at", Value: q.After.At}, {Key: "_id", Value: bson.D{{Key: "$lt", Value: id}}}},
		}})
	}
	cursor, err := s.approvals.Find(ctx, matching, options.Find().SetSort(bson.D{{Key: "requested_at", Value: -1}, {Key: "_id", Value: -1}}).
		SetLimit(int64(q.Limit)+1).SetProjection(bson.D{{Key: "document", Value: 1}}))
	if err != nil {
		return projections.ApprovalPage{}, s.unavailable(ctx, err)
	}
	var found []stored
	if err := cursor.All(ctx, &found); err != nil {
		return projections.ApprovalPage{}, s.unavailable(ctx, err)
	}
	rows := make([]domain.Approval, len(found))
	for n, f := range found {
		if rows[n], err = projections.DecodeApproval(f.Document); err != nil {
			return projections.ApprovalPage{}, projections.Unavailable(err)
		}
	}
	if err := s.confirm(ctx); err != nil {
		return projections.ApprovalPage{}, err
	}
	return projections.NewApprovalPage(q, rows), nil
}
