package mongo

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/seed677028b5/integrations/projections"
	"github.com/seed677028b5/integrations/representation"
)

const (
	volume   = 1 << 20 // bytes of documents at a time, unless a single one has more; keeps a bulk within operationTimeout
	attempts = 10      // for a bulk that another projector writes to too
	taken    = 11000   // the code of a duplicate _id
)

// upsert is one guarded write.
type upsert struct {
	workspace string // the shard key of a sharded collection
	id        string
	older     bson.E // matches a stored document that is older than set
	set       bson.D
	size      int // bytes of the large fields of set
}

func (p upsert) filter() bson.D {
	return bson.D{{Key: "_id", Value: p.id}, {Key: "workspace", Value: p.workspace}, p.older}
}

func (p upsert) model() mongo.WriteModel {
	return mongo.NewUpdateOneModel().SetFilter(p.filter()).SetUpdate(bson.D{{Key: "$set", Value: p.set}}).SetUpsert(true)
}

// Apply implements projections.Store.
func (s *Store) Apply(ctx context.Context, b projections.Batch) error {
	var documents, probes, approvals, parked, authorizations []upsert
	all := slices.Clone(b.Documents)
	if err := projections.EncodeAll(all); err != nil {
		return err
	}
	counted, err := s.totals.countedOf(ctx, all)
	if err != nil {
		return s.unavailable(ctx, err)
	}
	for n, d := range all {
		documents = append(documents, document(d, counted[n]))
	}
	for _, p := range b.Probes {
		encoded, err := probe(p)
		if err != nil {
			return err
		}
		probes = append(probes, encoded)
	}
	for _, a := range b.Approvals {
		encoded, err := approval(a)
		if err != nil {
			return err
		}
		approvals = append(approvals, encoded)
	}
	for _, p := range b.Parked {
		parked = append(parked, upsert{workspace: string(p.Workspace), id: key(p.Workspace, p.ID), older: olderThan(p.Position), set: bson.D{
			{Key: "id", Value: string(p.ID)},
			{Key: "position", Value: int64(p.Position)},
			{Key: "reason", Value: p.Reason},
			{Key: "at", Value: projections.Micros(p.At)},
		}})
	}
	for _, a := range b.Authorizations {
		encoded, err := authorization(a)
		if err != nil {
			return err
		}
		authorizations = append(authorizations, encoded)
	}
	for _, w := range []struct {
		to   *mongo.Collection
		puts []upsert
	}{{s.integrations, documents}, {s.probes, probes}, {s.approvals, approvals}, {s.parked, parked}, {s.authorizations, authorizations}} {
		for some := range batches(w.puts) {
			if err := write(ctx, w.to, some); err != nil {
				return s.unavailable(ctx, err)
			}
		}
	}
	if err := s.reach(ctx, b); err != nil {
		return err
	}
	s.totals.settle(ctx, all)
	return nil
}

// batches divides puts into bulk writes.
func batches(puts []upsert) iter.Seq[[]upsert] {
	return func(yield func([]upsert) bool) {
		for from := 0; from < len(puts); {
			to, size := from, 0
			for ; to < len(puts) && to-from < bulk && (to == from || size+puts[to].size <= volume); to++ {
				size += puts[to].size
			}
			if !yield(puts[from:to]) {
				return
			}
			from = to
		}
	}
}

func olderThan(position uint64) bson.E {
	return bson.E{Key: "position", Value: bson.D{{Key: "$lt", Value: int64(position)}}}
}

func document(d projections.Document, before counted) upsert {
	i, size := d.Integration, len(d.Encoded.Document)+len(d.Encoded.Answer)
	return upsert{workspace: string(i.Workspace), id: key(i.Workspace, i.ID), older: olderThan(d.Position), size: size, set: bson.D{
		{Key: "position", Value: int64(d.Position)},
		{Key: "incarnation", Value: int64(i.Incarnation)},
		{Key: "deleted", Value: i.Deleted},
		{Key: "enabled", Value: i.Enabled},
		{Key: "protocol", Value: string(i.Protocol)},
		{Key: "name", Value: i.Name},
		{Key: "created_at", Value: projections.Micros(i.CreatedAt)},
		{Key: "updated_at", Value: projections.Micros(i.UpdatedAt)},
		{Key: "version", Value: int64(i.Version)},
		{Key: "every", Value: int64(projections.IntervalOf(i))},
		{Key: "search", Value: projections.SearchText(i)},
		{Key: "answer", Value: d.Encoded.Answer},
		{Key: "document", Value: d.Encoded.Document},
		{Key: "counted", Value: before.As},
		{Key: "counted_at", Value: before.At},
	}}
}

func probe(p projections.ProbeResult) (upsert, error) {
	encoded, err := projections.EncodeProbe(p.LastProbe)
	if err != nil {
		return upsert{}, err
	}
	answer, err := representation.EncodeProbe(*p.Shown())
	if err != nil {
		return upsert{}, err
	}
	return upsert{
		workspace: string(p.Workspace), id: key(p.Workspace, p.ID),
		older: bson.E{Key: "$or", Value: bson.A{
			bson.D{{Key: "incarnation", Value: bson.D{{Key: "$lt", Value: int64(p.Incarnation)}}}},
			bson.D{{Key: "incarnation", Value: int64(p.Incarnation)}, olderThan(p.Position)},
		}},
		set: bson.D{
			{Key: "incarnation", Value: int64(p.Incarnation)},
			{Key: "position", Value: int64(p.Position)},
			{Key: "at", Value: projections.Micros(p.At)},
			{Key: "answer", Value: answer},
			{Key: "seen", Value: encoded},
		},
	}, nil
}

// write applies the writes that are newer than the stored documents. A guarded upsert whose
// guard doesn't match is an insert of a duplicate _id. A projector that loses the race to
// insert first gets the same error, newer or not, and then FerretDB skips the rest of the bulk.
// So write looks up what may be left and writes it again.
func write(ctx context.Context, to *mongo.Collection, puts []upsert) error {
	for range attempts {
		if len(puts) == 0 {
			return nil
		}
		models := make([]mongo.WriteModel, len(puts))
		for n, p := range puts {
			models[n] = p.model()
		}
		_, err := to.BulkWrite(ctx, models, options.BulkWrite().SetOrdered(false))
		if err == nil {
			return nil
		}
		if !onlyTaken(err) {
			return fmt.Errorf("write to %s: %w", to.Name(), err)
		}
		if puts, err = outstanding(ctx, to, puts); err != nil {
			return fmt.Errorf("look up in %s: %w", to.Name(), err)
		}
	}
	return fmt.Errorf("write to %s: other projectors keep writing the same integrations", to.Name())
}

func onlyTaken(err error) bool {
	var failed mongo.BulkWriteException
	return errors.As(err, &failed) && failed.WriteConcernError == nil && len(failed.WriteErrors) > 0 &&
		!slices.ContainsFunc(failed.WriteErrors, func(e mongo.BulkWriteError) bool { return e.Code != taken })
}

// outstanding returns the puts that still change something: the stored document is older, or
// missing.
func outstanding(ctx context.Context, in *mongo.Collection, puts []upsert) ([]upsert, error) {
	var all, older bson.A
	for _, p := range puts {
		all = append(all, p.id)
		older = append(older, p.filter())
	}
	stored, err := ids(ctx, in, bson.D{{Key: "_id", Value: bson.D{{Key: "$in", Value: all}}}})
	if err != nil {
		return nil, err
	}
	stale, err := ids(ctx, in, bson.D{{Key: "$or", Value: older}})
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(slices.Clone(puts), func(p upsert) bool { return stored[p.id] && !stale[p.id] }), nil
}

func ids(ctx context.Context, in *mongo.Collection, filter bson.D) (map[string]bool, error) {
	var found []struct {
		ID string `bson:"_id"`
	}
	cursor, err := in.Find(ctx, filter, options.Find().SetProjection(bson.D{{Key: "_id", Value: 1}}))
	if err != nil {
		return nil, err
	}
	if err := cursor.All(ctx, &found); err != nil {
		return nil, err
	}
	set := map[string]bool{}
	for _, f := range found {
		set[f.ID] = true
	}
	return set, nil
}
