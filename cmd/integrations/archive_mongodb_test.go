package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/internal/ferrettest"
	"github.com/seed677028b5/integrations/projections"
	"github.com/seed677028b5/integrations/projections/mongo"
	"github.com/seed677028b5/integrations/transparency"
)

// dumpMongo returns what a generation of a read model in MongoDB shows of the workspace acme.
func dumpMongo(t *testing.T, uri string, generation uint64) string {
	t.Helper()
	generations, err := mongo.Open(t.Context(), uri, "integrations")
	require.NoError(t, err)
	defer func() { require.NoError(t, generations.Close()) }()
	store, err := generations.Open(t.Context(), generation)
	require.NoError(t, err)
	defer func() { require.NoError(t, store.Close()) }()
	q := projections.Query{Sort: projections.Sort{By: projections.Name, Ascending: true}, Limit: 100}
	shown := map[string]any{}
	list, err := store.List(t.Context(), "acme", q)
	require.NoError(t, err)
	shown["list"] = list.Items
	answers, err := store.Answers(t.Context(), "acme", q)
	require.NoError(t, err)
	shown["answers"], shown["total"] = answers.Items, answers.Total
	shown["parked"], err = store.Parked(t.Context())
	require.NoError(t, err)
	shown["positions"], err = store.Positions(t.Context())
	require.NoError(t, err)
	text, err := json.Marshal(shown)
	require.NoError(t, err)
	return string(text)
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
	require.Contains(t, shown[0], "CRM in version 57")
	require.Contains(t, shown[0], "unknown type")

	// Two events of the log can't be read, which is wrong with the log and not with the archive.
	exit, out = tool(t, "verify", "--data", data, "--mongodb-uri", uri, "--archive", place, "--checkpoint", held)
	require.Equal(t, 1, exit, out)
	require.Contains(t, out, fmt.Sprintf("archive of integrations: %d positions; %d events are byte for byte those of the log, 0 are in the archive only, and 0 in the log only", head, head))
	require.NotContains(t, out, "integrations: position")
	exit, out = tool(t, "verify", "--data", data, "--mongodb-uri", uri, "--archive", t.TempDir())
	require.Equal(t, 1, exit, out)
	require.Contains(t, out, "wrong: the archive: there is no archive of any log here")
	require.Zero(t, p.stop())
}
