package mongo

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/projections"
)

// A total is the count of the workspace at some position of the log, corrected by the integrations
// that changed after it. Each of those has the group that it was counted in, and the position of
// that count, in its own document. So one write changes an integration and the total, a repeated
// write changes neither, and a lost one both.
//
// Now and then the writer counts those that changed, in one guarded write: settle. Whatever
// doesn't fit together, because two wrote at once or a part was restored, is noticed: then the
// total is counted one by one, and the writer counts anew.

// totals counts the integrations of a store.
type totals struct {
	integrations *mongo.Collection
	position     func(context.Context) (int64, error) // of the store

	filling bool  // until the generation is complete nothing is counted
	newest  int64 // the last position that was written while filling

	mu      sync.Mutex
	pending map[domain.Workspace]int // changes that are not settled; see due
}

// counts is the document with the count of a workspace. It is in the collection of the
// integrations, so that restoring or dropping them includes it.
type counts struct {
	At     int64            `bson:"at"` // the position
	Groups map[string]int64 `bson:"groups"`
}

// countsID returns the _id of the counts of a workspace. No integration has that id.
func countsID(w domain.Workspace) string { return "~counts/" + string(w) }

// counted is how an integration was counted.
type counted struct {
	As string // the group; "": it didn't exist
	At int64  // the position of the count; unknownCount: not known
}

const unknownCount = -1

// changed is the part of an integration's document that totals need.
type changed struct {
	ID        string          `bson:"_id"`
	Position  int64           `bson:"position"`
	Deleted   bool            `bson:"deleted"`
	Enabled   bool            `bson:"enabled"`
	Protocol  domain.Protocol `bson:"protocol"`
	Counted   string          `bson:"counted"`
	CountedAt int64           `bson:"counted_at"`
}

func countFields() (fields bson.D) {
	for _, name := range []string{"position", "deleted", "enabled", "protocol", "counted", "counted_at"} {
		fields = append(fields, bson.E{Key: name, Value: 1})
	}
	return fields
}

// group returns the group that an integration counts in, "" if it is deleted.
func (c changed) group() string {
	if c.Deleted {
		return ""
	}
	return groupOf(c.Enabled, c.Protocol)
}

func groupOf(enabled bool, p domain.Protocol) string {
	if enabled {
		return "enabled_" + string(p)
	}
	return "disabled_" + string(p)
}

// plus returns the count after changes, and whether it is certain.
func (c counts) plus(changes map[string]changed) (counts, bool) {
	after := counts{At: c.At, Groups: maps.Clone(c.Groups)}
	if after.Groups == nil {
		after.Groups = map[string]int64{}
	}
	for _, one := range changes {
		if one.CountedAt != c.At {
			return counts{}, false
		}
		after.At = max(after.At, one.Position)
		if was := one.Counted; was != "" {
			after.Groups[was]--
		}
		if is := one.group(); is != "" {
			after.Groups[is]++
		}
	}
	return after, true
}

// matching returns the number of integrations that a filter without a search matches.
func (c counts) matching(f projections.Filter) (n int) {
	for _, enabled := range []bool{false, true} {
		for _, protocol := range domain.Protocols() {
			if f.Matches(domain.Integration{Builtin: f.Builtin != nil && *f.Builtin, Configuration: domain.Configuration{Enabled: enabled, Protocol: protocol}}) {
				n += int(c.Groups[groupOf(enabled, protocol)])
			}
		}
	}
	return n
}

// total returns the number of integrations that q selects, at most q.AtMost.
func (s *totals) total(ctx context.Context, w domain.Workspace, q projections.Query, matching bson.D) (int, error) {
	if q.Search == "" {
		c, certain, err := s.countsNow(ctx, w)
		if err != nil {
			return 0, err
		}
		if certain {
			return c.matching(q.Filter), nil
		}
	}
	counting := options.Count()
	if most := q.AtMost(); most > 0 {
		counting.SetLimit(int64(most))
	}
	n, err := s.integrations.CountDocuments(ctx, matching, counting)
	return int(n), err
}

// countsNow returns the present count of a workspace, and whether it is certain.
func (s *totals) countsNow(ctx context.Context, w domain.Workspace) (counts, bool, error) {
	for range 3 { // unless it was settled meanwhile
		before, err := s.counts(ctx, w)
		if err != nil {
			return counts{}, false, err
		}
		changes, all, err := s.changedAfter(ctx, w, before.At)
		if err != nil || !all {
			return counts{}, false, err
		}
		after, err := s.counts(ctx, w)
		if err != nil {
			return counts{}, false, err
		}
		if before.At != after.At {
			continue
		}
		at, err := s.position(ctx)
		if err != nil || at < before.At { // it went back to an earlier state
			return counts{}, false, err
		}
		now, certain := before.plus(changes)
		return now, certain, nil
	}
	return counts{}, false, nil
}

// counts returns the stored count of a workspace; the zero value when it was never counted.
func (s *totals) counts(ctx context.Context, w domain.Workspace) (c counts, err error) {
	err = s.integrations.FindOne(ctx, bson.D{{Key: "_id", Value: countsID(w)}, {Key: "workspace", Value: ""}}).Decode(&c)
	if errors.Is(err, mongo.ErrNoDocuments) {
		return counts{}, nil
	}
	return c, err
}

// maxChanged is how many changes a total is corrected by. More than that is slower than counting.
const maxChanged = 5000

// changedAfter returns the integrations that changed after a position, by _id, and whether these
// are all of them.
func (s *totals) changedAfter(ctx context.Context, w domain.Workspace, position int64) (map[string]changed, bool, error) {
	found, err := s.find(ctx, bson.D{{Key: "workspace", Value: string(w)}, {Key: "position", Value: bson.D{{Key: "$gt", Value: position}}}}, maxChanged+1)
	byID := make(map[string]changed, len(found))
	for _, f := range found {
		if f.Position >= byID[f.ID].Position { // one that moves meanwhile may be found twice
			byID[f.ID] = f
		}
	}
	return byID, len(found) <= maxChanged, err
}

// find returns at most limit integrations as totals need them; 0: all.
func (s *totals) find(ctx context.Context, filter bson.D, limit int64) (found []changed, err error) {
	cursor, err := s.integrations.Find(ctx, filter, options.Find().SetProjection(countFields()).SetLimit(limit))
	if err != nil {
		return nil, err
	}
	err = cursor.All(ctx, &found)
	return found, err
}

// countedOf returns how the integrations of documents are counted at present.
func (s *totals) countedOf(ctx context.Context, documents []projections.Document) ([]counted, error) {
	all := make([]counted, len(documents))
	if s.filling {
		for _, d := range documents {
			s.newest = max(s.newest, int64(d.Position))
		}
	}
	if s.filling || len(documents) == 0 {
		return all, nil
	}
	position, err := s.position(ctx)
	if err != nil {
		return nil, err
	}
	var keys []string
	of := map[string]bool{}
	for _, d := range documents {
		keys, of[countsID(d.Integration.Workspace)] = append(keys, key(d.Integration.Workspace, d.Integration.ID)), true
	}
	at, err := s.countedAt(ctx, slices.Collect(maps.Keys(of)))
	if err != nil {
		return nil, err
	}
	before := make(map[string]changed, len(keys))
	for some := range slices.Chunk(keys, maxKeys) {
		found, err := s.find(ctx, bson.D{anyOf(some)}, 0)
		if err != nil {
			return nil, err
		}
		for _, f := range found {
			before[f.ID] = f
		}
	}
	for n, d := range documents {
		settled, known := at[countsID(d.Integration.Workspace)], before[keys[n]]
		if settled > position { // it went back to an earlier state
			settled = unknownCount
		}
		switch {
		case settled == unknownCount:
			all[n].At = unknownCount
		case known.Position <= settled:
			all[n] = counted{As: known.group(), At: settled}
			if known.ID == "" { // it doesn't exist yet
				all[n].As = ""
			}
		case known.CountedAt == settled:
			all[n] = counted{As: known.Counted, At: settled}
		default:
			all[n].At = unknownCount
		}
	}
	return all, nil
}

// countedAt returns the positions of counts by their _id.
func (s *totals) countedAt(ctx context.Context, ids []string) (map[string]int64, error) {
	cursor, err := s.integrations.Find(ctx, bson.D{anyOf(ids), {Key: "workspace", Value: ""}}, options.Find().SetProjection(bson.D{{Key: "at", Value: 1}}))
	if err != nil {
		return nil, err
	}
	var found []struct {
		ID string `bson:"_id"`
		At int64  `bson:"at"`
	}
	if err := cursor.All(ctx, &found); err != nil {
		return nil, err
	}
	at := map[string]int64{}
	for _, f := range found {
		at[f.ID] = f.At
	}
	return at, nil
}

// maxKeys is how many integrations are looked up at once.
const maxKeys = 1000

// anyOf matches the documents with these _ids. FerretDB finds a single one faster without $in.
func anyOf(ids []string) bson.E {
	if len(ids) == 1 {
		return bson.E{Key: "_id", Value: ids[0]}
	}
	return bson.E{Key: "_id", Value: bson.D{{Key: "$in", Value: ids}}}
}
