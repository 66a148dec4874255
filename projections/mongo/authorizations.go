package mongo

import (
	"context"
	"slices"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/projections"
)

// authorizationID returns the _id of an authorization. Within a workspace it sorts like the
// place of the authorization.
func authorizationID(w domain.Workspace, place string) string { return string(w) + "/" + place }

func authorization(a projections.Authorization) (upsert, error) {
	encoded, err := projections.EncodeAuthorization(a.State)
	if err != nil {
		return upsert{}, err
	}
	place, s := projections.AuthorizationKeyOf(a), a.State
	return upsert{workspace: string(a.Workspace), id: authorizationID(a.Workspace, place.Place()), older: olderThan(a.Position), size: len(encoded), set: bson.D{
		{Key: "integration", Value: string(a.ID)},
		{Key: "key", Value: a.Key},
		{Key: "position", Value: int64(a.Position)},
		{Key: "listed", Value: a.Listed()},
		{Key: "incarnation", Value: int64(s.Incarnation)},
		{Key: "state", Value: string(s.State)},
		{Key: "subject", Value: s.Subject},
		{Key: "account", Value: s.Account},
		{Key: "issuer", Value: s.Issuer},
		{Key: "client", Value: s.ClientID},
		{Key: "binding", Value: s.Binding},
		{Key: "created_at", Value: place.At},
		{Key: "document", Value: encoded},
	}}, nil
}

// authorizationIndexes returns the indexes for lists: of a workspace, an integration, a
// subject and an account.
func authorizationIndexes() []mongo.IndexModel {
	var all []mongo.IndexModel
	for name, first := range map[string][]string{"by_created_at": nil, "by_integration": {"integration"}, "by_subject": {"subject"}, "by_account": {"account"}} {
		keys := bson.D{{Key: "workspace", Value: 1}, {Key: "listed", Value: 1}}
		for _, field := range append(slices.Clone(first), "created_at", "_id", "state", "binding", "incarnation", "client") {
			keys = append(keys, bson.E{Key: field, Value: 1})
		}
		all = append(all, mongo.IndexModel{Keys: keys, Options: options.Index().SetName(name)})
	}
	return all
}

// storedAuthorization is the part of an authorization's document that is read.
type storedAuthorization struct {
	ID       domain.ID `bson:"integration"`
	Key      string    `bson:"key"`
	Position int64     `bson:"position"`
	Document []byte    `bson:"document"`
}

// Authorizations implements projections.AuthorizationModel. The total is counted right after
// the page is read.
func (s *Store) Authorizations(ctx context.Context, w domain.Workspace, q projections.AuthorizationQuery) (projections.AuthorizationPage, error) {
	matching := authorizationFilter(w, q.AuthorizationFilter)
	cursor, err := s.authorizations.Find(ctx, append(slices.Clip(matching), afterAuthorization(w, q.After)...), options.Find().
		SetSort(bson.D{{Key: "created_at", Value: -1}, {Key: "_id", Value: -1}}).SetLimit(int64(q.Limit)+1).
		SetProjection(bson.D{{Key: "integration", Value: 1}, {Key: "key", Value: 1}, {Key: "position", Value: 1}, {Key: "document", Value: 1}}))
	if err != nil {
		return projections.AuthorizationPage{}, s.unavailable(ctx, err)
	}
	var found []storedAuthorization
	if err := cursor.All(ctx, &found); err != nil {
		return projections.AuthorizationPage{}, s.unavailable(ctx, err)
	}
	total := int64(len(found))
	if q.After != nil || len(found) > q.Limit {
		if total, err = s.authorizations.CountDocuments(ctx, matching); err != nil {
			return projections.AuthorizationPage{}, s.unavailable(ctx, err)
		}
	}
	items := make([]projections.Authorization, len(found))
	for n, f := range found {
		state, err := projections.DecodeAuthorization(f.Document)
		if err != nil {
			return projections.AuthorizationPage{}, projections.Unavailable(err)
		}
		items[n] = projections.Authorization{
			AuthorizationRef: domain.AuthorizationRef{Workspace: w, ID: f.ID, Key: f.Key}, Position: uint64(f.Position), State: state,
		}
	}
	if err := s.confirm(ctx); err != nil {
		return projections.AuthorizationPage{}, err
	}
	return projections.NewAuthorizationPage(q, items, int(total)), nil
}

func authorizationFilter(w domain.Workspace, f projections.AuthorizationFilter) bson.D {
	all := bson.D{{Key: "workspace", Value: string(w)}, {Key: "listed", Value: true}}
	and := func(when bool, field string, value any) {
		if when {
			all = append(all, bson.E{Key: field, Value: value})
		}
	}
	and(f.ID != "", "integration", string(f.ID))
	and(f.Incarnation != 0, "incarnation", int64(f.Incarnation))
	and(f.Subject != "", "subject", f.Subject)
	and(f.Account != "", "account", f.Account)
	and(f.Issuer != "", "issuer", f.Issuer)
	var both bson.A // conditions on a field that may have another
	if f.ClientID != "" {
		both = append(both, bson.D{{Key: "client", Value: f.ClientID}})
	}
	if f.NotClientID != "" {
		both = append(both, bson.D{{Key: "client", Value: bson.D{{Key: "$ne", Value: f.NotClientID}}}, {Key: "state", Value: bson.D{{Key: "$ne", Value: string(domain.NotAuthorized)}}}})
	}
	switch {
	case f.State == "":
	case f.Binding != "" && f.State == domain.IsAuthorized:
		both = append(both, bson.D{{Key: "state", Value: string(f.State)}, {Key: "binding", Value: f.Binding}})
	case f.Binding != "" && f.State == domain.ReauthorizationRequired:
		both = append(both, bson.D{{Key: "$or", Value: bson.A{
			bson.D{{Key: "state", Value: string(f.State)}},
			bson.D{{Key: "state", Value: string(domain.IsAuthorized)}, {Key: "binding", Value: bson.D{{Key: "$ne", Value: f.Binding}}}},
		}}})
	default:
		both = append(both, bson.D{{Key: "state", Value: string(f.State)}})
	}
	and(len(both) > 0, "$and", both)
	return all
}

// afterAuthorization restricts a list to what follows a key, as after does.
func afterAuthorization(w domain.Workspace, k *projections.AuthorizationKey) bson.D {
	if k == nil {
		return nil
	}
	return bson.D{
		{Key: "created_at", Value: bson.D{{Key: "$lte", Value: k.At}}},
		{Key: "$or", Value: bson.A{
			bson.D{{Key: "created_at", Value: bson.D{{Key: "$lt", Value: k.At}}}},
			bson.D{{Key: "created_at", Value: k.At}, {Key: "_id", Value: bson.D{{Key: "$lt", Value: authorizationID(w, k.Place())}}}},
		}},
	}
}
