package main

import (
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/seed677028b5/integrations/internal/ferrettest"
	"github.com/seed677028b5/integrations/transparency"
)

// dumpMongo returns the documents of a generation of a read model in MongoDB, in order.
func dumpMongo(t *testing.T, uri string, generation uint64) string {
	t.Helper()
	client, err := mongo.Connect(options.Client().ApplyURI(uri))
	require.NoError(t, err)
	defer func() { require.NoError(t, client.Disconnect(t.Context())) }()
	db := client.Database("integrations")
	names, err := db.ListCollectionNames(t.Context(), bson.D{})
	require.NoError(t, err)
	slices.Sort(names)
	suffix, shown := fmt.Sprintf("_g%d", generation), map[any]int64{}
	var text strings.Builder
	for _, name := range names {
		if !strings.HasSuffix(name, suffix) {
			continue
		}
		cursor, err := db.Collection(name).Find(t.Context(), bson.D{}, options.Find().SetSort(bson.D{{Key: "_id", Value: 1}}))
		require.NoError(t, err)
		var documents []bson.M
		require.NoError(t, cursor.All(t.Context(), &documents))
		for _, d := range documents {
			position, _ := d["position"].(int64)
			if strings.HasPrefix(name, "integrations") {
				shown[d["_id"]] = position
			}
			if strings.HasPrefix(name, "parked") && shown[d["_id"]] > position { // it is no longer shown
				continue
			}
			delete(d, "store") // the random name of the generation
			for key := range d {
				if strings.HasPrefix(key, "counted") { // what a total was counted with
					delete(d, key)
				}
			}
			line, err := bson.MarshalExtJSON(ordered(d), true, false)
			require.NoError(t, err)
			text.WriteString(strings.TrimSuffix(name, suffix) + " " + string(line) + "\n")
		}
	}
	return text.String()
}

// ordered returns a document with its fields in order.
func ordered(d bson.M) (all bson.D) {
	for key, value := range d {
		all = append(all, bson.E{Key: key, Value: value})
	}
	slices.SortFunc(all, func(a, b bson.E) int { return strings.Compare(a.Key, b.Key) })
	return all
}

func TestAReadModelInMongoDBIsRebuiltFromAnArchiveByteForByte(t *testing.T) {
	slow(t)
	data, dir, uri := t.TempDir(), t.TempDir(), ferrettest.Listen(t)
	place, held := filepath.Join(dir, "archive"), filepath.Join(dir, "held.txt")
	p := startProcess(t, data, "--mongodb-uri", uri, "--checkpoints-to", held, "--checkpoints-every=1s", "--probe-interval=0s")
	p.must(http.StatusCreated, http.MethodPost, all, plainCRM)
	head := fill(t, data, 60)
	holds(t, held, transparency.Integrations, head)
	before := time.Now().UTC()
	p.must(http.StatusOK, http.MethodPut, all+"/crm", `{"enabled": false}`)
	holds(t, held, transparency.Integrations, head+1)
	exit, out := tool(t, "archive", "--data", data, "--to", place, "--before", before.Format(time.RFC3339Nano))
	require.Zero(t, exit, out)
	require.Contains(t, out, fmt.Sprintf("integrations: positions 1 to %d in 1 segments", head))

	var shown [2]string
	for n, archive := range [][]string{nil, {"--archive", place}} {
		var r rebuilt
		require.Zero(t, toolJSON(t, &r, append([]string{"rebuild", "--data", data, "--mongodb-uri", uri}, archive...)...))
		require.Equal(t, head+1, r.Position)
		shown[n] = dumpMongo(t, uri, r.Generation)
		list := p.must(http.StatusOK, http.MethodGet, all+"?limit=100", "")
		require.Equal(t, 7, strings.Count(list, `"name":"crm`), "a running service shows it: %s", list)
	}
	require.Equal(t, shown[0], shown[1])
	require.GreaterOrEqual(t, strings.Count(shown[0], "integrations"), 7)

	// Two events of the log can't be read, which is wrong with the log and not with the archive.
	exit, out = tool(t, "verify", "--data", data, "--mongodb-uri", uri, "--archive", place, "--checkpoint", held)
	require.Equal(t, 1, exit, out)
	require.Contains(t, out, fmt.Sprintf("archive of integrations: %d positions; %d events are byte for byte those of the log, 0 are in the archive only, and 0 in the log only", head, head))
	require.NotContains(t, out, "integrations: position")
	require.Zero(t, p.stop())
}
