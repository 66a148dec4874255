package mongo

import (
	"context"
	"errors"
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
	ID          string `bson:"_id"`
	Position    int64  `bson:"position"`
	Incarnation int64  `bson:"incarnation"`
	Version     int64  `bson:"version"`
	Name        string `bson:"name"`
	CreatedAt   int64  `bson:"created_at"`
	UpdatedAt   int64  `bson:"updated_at"`
	Answer      []byte `bson:"answer"`
	Document    []byte `bson:"document"`
}

// seen is the part of a probe's document that is read.
type seen struct {
	ID          string `bson:"_id"`
	Incarnation int64  `bson:"incarnation"`
	Answer      []byte `bson:"answer"`
	Seen        []byte `bson:"seen"`
}

// wholeDocument and wholeAnswer are what is read of an integration's document.
func wholeDocument() bson.D {
	return bson.D{{Key: "incarnation", Value: 1}, {Key: "document", Value: 1}}
}

func wholeAnswer() bson.D {
	return bson.D{{Key: "incarnation", Value: 1}, {Key: "version", Value: 1}, {Key: "answer", Value: 1}}
}

// Get implements projections.Store.
func (s *Store) Get(ctx context.Context, w domain.Workspace, id domain.ID) (projections.Integration, error) {
	return get(ctx, s, w, id, wholeDocument(), integrationOf)
}

// Answer implements projections.Store.
func (s *Store) Answer(ctx context.Context, w domain.Workspace, id domain.ID) (projections.Answer, error) {
	return get(ctx, s, w, id, wholeAnswer(), answerOf(projections.Sort{}))
}

// List implements projections.Store. The total is counted right after the page is read.
func (s *Store) List(ctx context.Context, w domain.Workspace, q projections.Query) (projections.Page, error) {
	return list(ctx, s, w, q, wholeDocument(), integrationOf)
}

// Answers implements projections.Store, as List does.
func (s *Store) Answers(ctx context.Context, w domain.Workspace, q projections.Query) (projections.AnswerPage, error) {
	by, _ := q.Sort.Order()
	return list(ctx, s, w, q, append(wholeAnswer(), bson.E{Key: string(by), Value: 1}), answerOf(q.Sort))
}

// integrationOf decodes an integration and its last probe, if it has one.
func integrationOf(_ domain.ID, f stored, last *seen) (i projections.Integration, err error) {
	if i.Integration, err = projections.Decode(f.Document); err != nil || last == nil {
		return i, err
	}
	probe, err := projections.DecodeProbe(last.Seen)
	i.LastProbe = &probe
	return i, err
}

// answerOf returns a function that joins the answer of an integration.
func answerOf(by projections.Sort) func(domain.ID, stored, *seen) (projections.Answer, error) {
	return func(id domain.ID, f stored, last *seen) (projections.Answer, error) {
		a := projections.Answer{Version: uint64(f.Version), Key: projections.Key{ID: id}}
		switch field, _ := by.Order(); field {
		case projections.Name:
			a.Key.Name = f.Name
		case projections.UpdatedAt:
			a.Key.At = f.UpdatedAt
		default:
			a.Key.At = f.CreatedAt
		}
		var probe []byte
		if last != nil {
			probe = last.Answer
		}
		a.Body = projections.NewAnswer(f.Answer, probe)
		return a, nil
	}
}

func get[Item any](ctx context.Context, s *Store, w domain.Workspace, id domain.ID, fields bson.D, item func(domain.ID, stored, *seen) (Item, error)) (none Item, err error) {
	var found stored
	err = s.integrations.FindOne(ctx, bson.D{{Key: "_id", Value: key(w, id)}, {Key: "workspace", Value: string(w)}, {Key: "deleted", Value: false}},
		options.FindOne().SetProjection(fields)).Decode(&found)
	switch {
	case errors.Is(err, mongo.ErrNoDocuments):
		if err := s.confirm(ctx); err != nil {
			return none, err
		}
		return none, domain.NoSuchIntegration()
	case err != nil:
		return none, s.unavailable(ctx, err)
	}
	all, err := withProbes(ctx, s, w, []stored{found}, item)
	if err == nil {
		err = s.confirm(ctx)
	}
	if err != nil {
		return none, err
	}
	return all[0], nil
}

func list[Item projections.Placed](ctx context.Context, s *Store, w domain.Workspace, q projections.Query, fields bson.D, item func(domain.ID, stored, *seen) (Item, error)) (projections.PageOf[Item], error) {
	by, ascending := q.Sort.Order()
	direction := -1
	if ascending {
		direction = 1
	}
	matching := filter(w, q)
	cursor, err := s.integrations.Find(ctx, append(slices.Clip(matching), after(w, q)...), options.Find().
		SetSort(bson.D{{Key: string(by), Value: direction}, {Key: "_id", Value: direction}}).
		SetLimit(int64(q.Limit)+1).SetProjection(fields))
	if err != nil {
		return projections.PageOf[Item]{}, s.unavailable(ctx, err)
	}
	var found []stored
	if err := cursor.All(ctx, &found); err != nil {
		return projections.PageOf[Item]{}, s.unavailable(ctx, err)
	}
	total := len(found)
	switch {
	case q.NoTotal:
		total = 0
	case q.After != nil || len(found) > q.Limit:
		if total, err = s.totals.total(ctx, w, q, matching); err != nil {
			return projections.PageOf[Item]{}, s.unavailable(ctx, err)
		}
	}
	rows, err := withProbes(ctx, s, w, found, item)
	if err == nil {
		err = s.confirm(ctx)
	}
	if err != nil {
		return projections.PageOf[Item]{}, err
	}
	return projections.NewPage(q, rows, q.Counted(total)), nil
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

// withProbes returns the found integrations with their last probes.
func withProbes[Item any](ctx context.Context, s *Store, w domain.Workspace, found []stored, item func(domain.ID, stored, *seen) (Item, error)) ([]Item, error) {
	all, ids := make([]Item, len(found)), make([]domain.ID, len(found))
	for n, f := range found {
		ids[n] = domain.ID(strings.TrimPrefix(f.ID, key(w, "")))
	}
	probes, err := s.seen(ctx, w, ids)
	if err != nil {
		return nil, err
	}
	for n, f := range found {
		var last *seen
		if p, ok := probes[ids[n]]; ok && p.Incarnation == f.Incarnation {
			last = &p
		}
		if all[n], err = item(ids[n], f, last); err != nil {
			return nil, err
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
