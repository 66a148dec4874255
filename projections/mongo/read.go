package mongo

import (
	"context"
	"errors"
	"regexp"
	"slices"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/projections"
)

// stored is the part of an integration's document that is read.
type stored struct {
	ID       string `bson:"_id"`
	Position int64  `bson:"position"`
	Document []byte `bson:"document"`
}

// seen is the part of a probe's document that is read.
type seen struct {
	ID          string `bson:"_id"`
	Incarnation int64  `bson:"incarnation"`
	Seen        []byte `bson:"seen"`
}

// Get implements projections.Store.
func (s *Store) Get(ctx context.Context, w domain.Workspace, id domain.ID) (projections.Integration, error) {
	var found stored
	err := s.integrations.FindOne(ctx, bson.D{{Key: "_id", Value: key(w, id)}, {Key: "workspace", Value: string(w)}, {Key: "deleted", Value: false}},
		options.FindOne().SetProjection(bson.D{{Key: "document", Value: 1}})).Decode(&found)
	switch {
	case errors.Is(err, mongo.ErrNoDocuments):
		if err := s.confirm(ctx); err != nil {
			return projections.Integration{}, err
		}
		return projections.Integration{}, domain.NoSuchIntegration()
	case err != nil:
		return projections.Integration{}, s.unavailable(ctx, err)
	}
	all, err := s.withProbes(ctx, w, []stored{found})
	if err == nil {
		err = s.confirm(ctx)
	}
	if err != nil {
		return projections.Integration{}, err
	}
	return all[0], nil
}

// List implements projections.Store. The total is counted right after the page is read.
func (s *Store) List(ctx context.Context, w domain.Workspace, q projections.Query) (projections.Page, error) {
	by, ascending := q.Sort.Order()
	direction := -1
	if ascending {
		direction = 1
	}
	matching := filter(w, q)
	cursor, err := s.integrations.Find(ctx, append(slices.Clip(matching), after(w, q)...), options.Find().
		SetSort(bson.D{{Key: string(by), Value: direction}, {Key: "_id", Value: direction}}).
		SetLimit(int64(q.Limit)+1).SetProjection(bson.D{{Key: "document", Value: 1}}))
	if err != nil {
		return projections.Page{}, s.unavailable(ctx, err)
	}
	var found []stored
	if err := cursor.All(ctx, &found); err != nil {
		return projections.Page{}, s.unavailable(ctx, err)
	}
	total := int64(len(found))
	if q.After != nil || len(found) > q.Limit {
		if total, err = s.integrations.CountDocuments(ctx, matching); err != nil {
			return projections.Page{}, s.unavailable(ctx, err)
		}
	}
	rows, err := s.withProbes(ctx, w, found)
	if err == nil {
		err = s.confirm(ctx)
	}
	if err != nil {
		return projections.Page{}, err
	}
	return projections.NewPage(q, rows, int(total)), nil
}

func filter(w domain.Workspace, q projections.Query) bson.D {
	f := bson.D{{Key: "workspace", Value: string(w)}, {Key: "deleted", Value: false}}
	// If only one filter is set, the other lists all its values, so that each
	// combination is a range of one index, in order.
	if q.Enabled != nil || q.Protocol != "" {
		f = append(f, either("enabled", q.Enabled != nil, q.Enabled, bson.A{false, true}), either("protocol", q.Protocol != "", string(q.Protocol), protocols()))
	}
	if q.Search != "" {
		// A pattern ends at a NUL, so a NUL in the search is escaped.
		literal := strings.ReplaceAll(regexp.QuoteMeta(q.Needle()), "\x00", `\x00`)
		f = append(f, bson.E{Key: "search", Value: bson.D{{Key: "$regex", Value: literal}}})
	}
	return f
}

// either matches one value of a field if one is set, else all its values.
func either(field string, one bool, value any, all bson.A) bson.E {
	if one {
		return bson.E{Key: field, Value: value}
	}
	return bson.E{Key: field, Value: bson.D{{Key: "$in", Value: all}}}
}

func protocols() (all bson.A) {
	for _, p := range domain.Protocols() {
		all = append(all, string(p))
	}
	return all
}

// after restricts a listing to what follows a key. The second condition implies the first,
// which bounds the scan of the index.
func after(w domain.Workspace, q projections.Query) bson.D {
	if q.After == nil {
		return nil
	}
	by, ascending := q.Sort.Order()
	beyond := "$lt"
	if ascending {
		beyond = "$gt"
	}
	value := q.Sort.Value(*q.After)
	return bson.D{
		{Key: string(by), Value: bson.D{{Key: beyond + "e", Value: value}}},
		{Key: "$or", Value: bson.A{
			bson.D{{Key: string(by), Value: bson.D{{Key: beyond, Value: value}}}},
			bson.D{{Key: string(by), Value: value}, {Key: "_id", Value: bson.D{{Key: beyond, Value: key(w, q.After.ID)}}}},
		}},
	}
}

// withProbes decodes the found integrations and joins their last probes.
func (s *Store) withProbes(ctx context.Context, w domain.Workspace, found []stored) ([]projections.Integration, error) {
	all, ids := make([]projections.Integration, len(found)), make([]domain.ID, len(found))
	for n, f := range found {
		document, err := projections.Decode(f.Document)
		if err != nil {
			return nil, err
		}
		all[n].Integration = document
		ids[n] = all[n].ID
	}
	probes, err := s.seen(ctx, w, ids)
	if err != nil {
		return nil, err
	}
	for n, i := range all {
		if p, ok := probes[i.ID]; ok && uint64(p.Incarnation) == i.Incarnation {
			last, err := projections.DecodeProbe(p.Seen)
			if err != nil {
				return nil, err
			}
			all[n].LastProbe = &last
		}
	}
	return all, nil
}

// Probed implements projections.Store.
func (s *Store) Probed(ctx context.Context, w domain.Workspace, ids []domain.ID) (map[domain.ID]projections.LastProbe, error) {
	probes, err := s.seen(ctx, w, ids)
	if err != nil {
		return nil, err
	}
	last := map[domain.ID]projections.LastProbe{}
	for id, p := range probes {
		if last[id], err = projections.DecodeProbe(p.Seen); err != nil {
			return nil, err
		}
	}
	return last, nil
}

func (s *Store) seen(ctx context.Context, w domain.Workspace, ids []domain.ID) (map[domain.ID]seen, error) {
	probes := map[domain.ID]seen{}
	if len(ids) == 0 {
		return probes, nil
	}
	keys, byKey := bson.A{}, map[string]domain.ID{}
	for _, id := range ids {
		keys = append(keys, key(w, id))
		byKey[key(w, id)] = id
	}
	cursor, err := s.probes.Find(ctx, bson.D{{Key: "workspace", Value: string(w)}, {Key: "_id", Value: bson.D{{Key: "$in", Value: keys}}}})
	if err != nil {
		return nil, s.unavailable(ctx, err)
	}
	var found []seen
	if err := cursor.All(ctx, &found); err != nil {
		return nil, s.unavailable(ctx, err)
	}
	for _, f := range found {
		probes[byKey[f.ID]] = f
	}
	return probes, nil
}

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
