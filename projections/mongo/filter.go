package mongo

import (
	"regexp"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/projections"
)

const bulk = 100 // writes at a time; FerretDB hangs on more

// key returns the _id of the documents of an integration. Within a workspace it sorts like the
// integration's id.
func key(w domain.Workspace, id domain.ID) string { return string(w) + "/" + string(id) }

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
