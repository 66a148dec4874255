package mongo_test

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/projections"
)

// counted returns the totals of a workspace: of all, of those enabled, and of those of FHIR.
func counted(t *testing.T, s projections.Store, w domain.Workspace) (totals [3]int) {
	t.Helper()
	for n, f := range []projections.Filter{{}, {Enabled: new(true)}, {Protocol: domain.FHIR}} {
		page, err := s.List(t.Context(), w, projections.Query{Filter: f, Sort: projections.Sort{By: projections.Name}, Limit: 1, After: &projections.Key{Name: "~"}})
		require.NoError(t, err)
		totals[n] = page.Total
	}
	return totals
}

// A writer that was replaced may still write a batch that the other one has written, with others
// around it. Totals are right all the time.
func TestTotalsAreRightWhileTwoWriteAndBatchesAreRepeated(t *testing.T) {
	at := serverOf(t)
	one, _ := at.watched(t)
	other, err := generations(t, at.uri, at.database).Open(t.Context(), 1)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, other.Close()) })
	random := rand.New(rand.NewPCG(1, 2))
	latest, batches := map[string]domain.Integration{}, []projections.Batch(nil)
	for position := uint64(0); position < 60; {
		var b projections.Batch
		for range 1 + random.IntN(3) {
			position++
			i := numbered("acme", random.IntN(9))
			i.Enabled, i.Protocol, i.Deleted = random.IntN(2) == 0, domain.Protocols()[random.IntN(3)], random.IntN(4) == 0
			b.Documents = append(b.Documents, projections.Document{Position: position, Integration: i})
			latest[i.Name] = i
		}
		b.Reached.Integrations = position
		batches = append(batches, b)
		stores := []projections.Store{one, other}
		require.NoError(t, stores[random.IntN(2)].Apply(t.Context(), b))
		if random.IntN(2) == 0 {
			require.NoError(t, stores[random.IntN(2)].Apply(t.Context(), batches[random.IntN(len(batches))]))
		}
		var want [3]int
		for _, i := range latest {
			for n, is := range []bool{true, i.Enabled, i.Protocol == domain.FHIR} {
				if is && !i.Deleted {
					want[n]++
				}
			}
		}
		for _, s := range stores {
			require.Equal(t, want, counted(t, s, "acme"), "at %d", position)
		}
	}
}

func TestATotalDoesNotCountTheWorkspace(t *testing.T) {
	at := serverOf(t)
	s, sent := at.watched(t)
	fill(t, s, "acme", 200)
	for n := range 3 { // after those that were settled
		i := numbered("acme", 300+n)
		require.NoError(t, s.Apply(t.Context(), projections.Batch{
			Documents: []projections.Document{{Position: uint64(300 + n), Integration: i}}, Reached: projections.Positions{Integrations: uint64(300 + n)},
		}))
	}
	sent()
	require.Equal(t, [3]int{203, 203, 0}, counted(t, s, "acme"))
	for _, command := range sent() {
		elements, err := command.Elements()
		require.NoError(t, err)
		require.NotEqual(t, "aggregate", elements[0].Key(), command.String())
	}
}

// What was restored without its counts, or with those of another time, is counted one by one until
// it is counted anew.
func TestCountsThatDoNotBelongToTheIntegrationsAreNotUsed(t *testing.T) {
	at := serverOf(t)
	s, _ := at.watched(t)
	fill(t, s, "acme", 20)
	change := func(position uint64) {
		i := numbered("acme", 3)
		require.NoError(t, s.Apply(t.Context(), projections.Batch{
			Documents: []projections.Document{{Position: position, Integration: i}}, Reached: projections.Positions{Integrations: position},
		}))
	}
	stored := client(t, at.uri).Database(at.database).Collection("integrations_v5_1_g1")
	id := bson.D{{Key: "_id", Value: "~counts/acme"}}
	for n, wrong := range []bson.D{
		{{Key: "at", Value: int64(0)}, {Key: "groups", Value: bson.D{}}},
		{{Key: "at", Value: int64(7)}, {Key: "groups", Value: bson.D{{Key: "enabled_rest", Value: int64(7)}}}},
		{{Key: "at", Value: int64(1 << 40)}, {Key: "groups", Value: bson.D{{Key: "enabled_rest", Value: int64(7)}}}},
	} {
		_, err := stored.UpdateOne(t.Context(), id, bson.D{{Key: "$set", Value: wrong}})
		require.NoError(t, err)
		require.Equal(t, [3]int{20, 20, 0}, counted(t, s, "acme"), wrong)
		for m := range 70 { // enough to be counted anew
			change(uint64(100*n + m + 100))
		}
		require.Equal(t, [3]int{20, 20, 0}, counted(t, s, "acme"), wrong)
		var now struct {
			At     int64            `bson:"at"`
			Groups map[string]int64 `bson:"groups"`
		}
		require.NoError(t, stored.FindOne(t.Context(), id).Decode(&now))
		require.Greater(t, now.At, int64(100*n+99))
		require.Less(t, now.At, int64(1<<40))
		require.Equal(t, int64(20), now.Groups["enabled_rest"])
	}
}
