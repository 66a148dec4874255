package mongo_test

import (
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/projections"
)

// TestNoListScansTheCollection asks MongoDB for the plans of the queries that were sent.
func TestNoListScansTheCollection(t *testing.T) {
	at := serverOf(t)
	if !at.real {
		fmt.Fprintln(os.Stderr, "NOT TESTED: which indexes MongoDB uses. Set MONGODB_URI to a MongoDB server; FerretDB doesn't report them.")
		t.Skip("NOT TESTED: which indexes MongoDB uses")
	}
	s, sent := at.watched(t)
	fill(t, s, "acme", 2000)
	sent()
	yes := true
	for _, by := range []projections.Field{projections.Name, projections.CreatedAt, projections.UpdatedAt} {
		for _, ascending := range []bool{true, false} {
			for _, q := range []projections.Query{
				{},
				{Filter: projections.Filter{Enabled: &yes}},
				{Filter: projections.Filter{Protocol: domain.REST}},
				{Filter: projections.Filter{Search: "crm-0019"}},
				{Filter: projections.Filter{Enabled: &yes, Protocol: domain.REST, Search: "crm"}},
			} {
				q.Sort, q.Limit = projections.Sort{By: by, Ascending: ascending}, 10
				page, err := s.List(t.Context(), "acme", q)
				require.NoError(t, err)
				require.Equal(t, page.HasMore, page.Next != nil)
				if q.After = page.Next; q.After != nil {
					_, err = s.List(t.Context(), "acme", q)
					require.NoError(t, err)
				}
			}
		}
	}
	_, err := s.Get(t.Context(), "acme", domain.NewID("acme", "crm-000007"))
	require.NoError(t, err)
	_, err = s.Probed(t.Context(), "acme", []domain.ID{domain.NewID("acme", "crm-000007")})
	require.NoError(t, err)
	_, err = s.Positions(t.Context())
	require.NoError(t, err)
	require.NoError(t, s.Schedule(t.Context(), func(domain.Ref, int) {}, func(domain.Ref, time.Time) {}))
	db, explained := client(t, at.uri).Database(at.database), 0
	for _, command := range sent() {
		elements, err := command.Elements()
		require.NoError(t, err)
		if name := elements[0].Key(); name != "find" && name != "aggregate" {
			continue
		}
		if all, err := command.LookupErr("filter"); err == nil && all.Document().String() == "{}" {
			continue // the probes of a schedule: every document is read
		}
		var plain bson.D
		for _, e := range elements {
			switch e.Key() {
			case "lsid", "$clusterTime", "$db", "$readPreference", "maxTimeMS":
			default:
				plain = append(plain, bson.E{Key: e.Key(), Value: e.Value()})
			}
		}
		raw, err := db.RunCommand(t.Context(), bson.D{{Key: "explain", Value: plain}, {Key: "verbosity", Value: "queryPlanner"}}).Raw()
		require.NoError(t, err)
		stages := winning(raw)
		require.NotEmpty(t, stages, raw.String())
		require.NotContains(t, stages, "COLLSCAN", command.String())
		require.NotContains(t, stages, "SORT", command.String())
		explained++
	}
	require.Greater(t, explained, 60)
}

// winning returns the stages of every winning plan in a reply to explain.
func winning(answer bson.Raw) (stages []string) {
	var walk func(v bson.RawValue, inside bool)
	walk = func(v bson.RawValue, inside bool) {
		elements := []bson.RawElement(nil)
		if document, ok := v.DocumentOK(); ok {
			elements, _ = document.Elements()
		} else if array, ok := v.ArrayOK(); ok {
			elements, _ = bson.Raw(array).Elements()
		}
		for _, e := range elements {
			if stage, ok := e.Value().StringValueOK(); ok && inside && e.Key() == "stage" {
				stages = append(stages, stage)
			}
			walk(e.Value(), e.Key() != "rejectedPlans" && (inside || e.Key() == "winningPlan"))
		}
	}
	walk(bson.RawValue{Type: bson.TypeEmbeddedDocument, Value: answer}, false)
	return stages
}
