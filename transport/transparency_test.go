package transport_test

import (
	"compress/gzip"
	"encoding/base64"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/seed677028b5/integrations/access"
	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/internal/peers"
	"github.com/seed677028b5/integrations/transparency"
)

// signed waits until a checkpoint of a log has a position, and returns it.
func (s *service) signed(log transparency.Log, position uint64) transparency.Checkpoint {
	s.t.Helper()
	var c transparency.Checkpoint
	require.Eventually(s.t, func() bool {
		state, err := s.api.Proofs.Trees.State(s.t.Context(), log)
		c = state.Checkpoint(log)
		return err == nil && c.Size >= position
	}, time.Minute, 5*time.Millisecond)
	return c
}

// unzipped returns the body of an answer.
func unzipped(t *testing.T, a rawAnswer) io.Reader {
	t.Helper()
	if a.Header.Get("Content-Encoding") != "gzip" {
		return a.Body
	}
	body, err := gzip.NewReader(a.Body)
	require.NoError(t, err)
	return body
}

// tileClient reads tiles over HTTP, as a client of golang.org/x/mod.
type tileClient struct{ *service }

func (tileClient) Height() int                     { return 8 }
func (tileClient) SaveTiles([]tlog.Tile, [][]byte) {}

func (c tileClient) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	var all [][]byte
	for _, tile := range tiles {
		_, path, _ := strings.Cut(strings.TrimPrefix(tile.Path(), "tile/8/"), "/")
		body, err := io.ReadAll(unzipped(c.t, c.plain("GET", fmt.Sprintf("/transparency/integrations/tile/%d/%s", tile.L, path), "*/*")))
		if err != nil {
			return nil, err
		}
		all = append(all, body)
	}
	return all, nil
}

func TestProofsAreVerifiedWithTheLibraryOfOthers(t *testing.T) {
	t.Parallel()
	s := serve(t, proven)
	for n := range 260 {
		_, err := s.stores.events.Append(t.Context(), "globex", domain.NewID("globex", fmt.Sprint("a", n)), 0, domain.IntegrationCreated{Integration: domain.Integration{Version: 1}}, domain.Metadata{CommandID: fmt.Sprint(n), At: time.Now()})
		require.NoError(t, err)
	}
	s.create(rest("crm", "https://a.example"))
	held := s.signed("integrations", 261)
	s.put("/integrations/crm", members{"display_name": "Other"}).is(200)
	s.signed("integrations", 262)

	trees := s.get("/transparency").is(200)
	require.Equal(t, "integrations", trees.at("items", 0, "log"))
	verifier, err := note.NewVerifier(trees.at("items", 0, "verifier_key").(string))
	require.NoError(t, err)
	text := s.get("/transparency/integrations/checkpoint").is(200)
	require.Equal(t, "text/plain; charset=utf-8", text.header.Get("Content-Type"))
	opened, err := note.Open([]byte(text.text), note.VerifierList(verifier))
	require.NoError(t, err)
	lines := strings.Split(opened.Text, "\n")
	require.Equal(t, "262", lines[1])
	root, err := tlog.ParseHash(lines[2])
	require.NoError(t, err)

	// From the tiles, by RFC 6962.
	hashes := tlog.TileHashReader(tlog.Tree{N: 262, Hash: root}, tileClient{s})
	fromTiles, err := tlog.ProveRecord(262, 260, hashes)
	require.NoError(t, err)
	proof := s.get("/integrations/events/261/proof").is(200)
	entry, err := base64.StdEncoding.DecodeString(proof.at("entry").(string))
	require.NoError(t, err)
	require.Contains(t, string(entry), "https://a.example")
	require.NoError(t, tlog.CheckRecord(fromTiles, 262, root, 260, tlog.RecordHash(entry)))
	var served tlog.RecordProof
	for _, h := range proof.at("hashes").([]any) {
		hash, err := tlog.ParseHash(h.(string))
		require.NoError(t, err)
		served = append(served, hash)
	}
	require.Equal(t, fromTiles, served)
	require.Equal(t, tlog.RecordHash(entry).String(), proof.at("leaf_hash"))

	consistent := s.get("/transparency/integrations/checkpoint/proof?from=261").is(200)
	var path tlog.TreeProof
	for _, h := range consistent.at("hashes").([]any) {
		hash, err := tlog.ParseHash(h.(string))
		require.NoError(t, err)
		path = append(path, hash)
	}
	require.NoError(t, tlog.CheckTree(path, 262, root, 261, held.Root))

	s.get("/integrations/events/1/proof").is(404, "position_not_found") // of another workspace
	s.get("/integrations/events/263/proof").is(404, "position_not_found")
	s.send(request{method: "GET", path: "/transparency/none/checkpoint", wrong: true}).is(404, "log_not_found")
	for _, path := range []string{"0/001", "0/000.p/256", "0/000.p/0", "0/../000", "00/000", "63/000", "0/x999/x999/x999/x999/999", "x/000", "0/0"} {
		require.Equal(t, 404, s.plain("GET", "/transparency/integrations/tile/"+path, "*/*").StatusCode, path)
	}
	s.get("/transparency/integrations/checkpoint/proof?from=263").is(422, "size_unknown")
	s.send(request{method: "GET", path: "/transparency/integrations/checkpoint/proof?from=x", wrong: true}).is(422, "range")
	require.Equal(t, 200, s.plain("GET", "/transparency/integrations/tile/0/000.p%2F7", "*/*").StatusCode, "a client may escape the slash")
}

func TestAWorkspaceExportsItsEventsAndHashesOfTheOthers(t *testing.T) {
	t.Parallel()
	s := serve(t, proven)
	s.create(rest("crm", "https://a.example"))
	s.send(request{method: "POST", path: "/v1/globex/integrations", key: s.issue("globex", access.Admin), body: rest("secret-name", "https://b.example")}).is(201)
	held := s.signed("integrations", 2)
	s.put("/integrations/crm", members{"display_name": "Other"}).is(200)
	s.signed("integrations", 3)
	export, err := io.ReadAll(unzipped(t, s.plain("GET", "/v1/acme/transparency/integrations/export?checkpoint_size=2", "*/*")))
	require.NoError(t, err)
	require.NotContains(t, string(export), "secret-name")
	report, err := transparency.Verify(strings.NewReader(string(export)), nil, []byte(held.Note))
	require.NoError(t, err)
	require.Empty(t, report.Findings)
	require.Equal(t, []uint64{3, 2, 1, 2}, []uint64{report.Size, report.Entries, report.Hashes, report.Unchanged})
	s.send(request{method: "GET", path: "/v1/acme/transparency/integrations/export?checkpoint_size=a", wrong: true}).is(422, "format")
	s.send(request{method: "GET", path: "/v1/acme/transparency/none/export", wrong: true}).is(404, "log_not_found")
}

func TestDeniedRequestsAndTheUseOfKeysAreListed(t *testing.T) {
	t.Parallel()
	s := serve(t, proven)
	viewer := s.issue("acme", access.View)
	for range 3 {
		s.send(request{method: "POST", path: "/v1/acme/integrations", key: viewer, body: rest("crm", "https://a.example")}).is(403)
	}
	s.send(request{method: "GET", path: "/v1/globex/integrations", key: viewer}).is(403)
	for range 2 {
		s.send(request{method: "GET", path: "/v1/acme/integrations/secret-path", key: "garbage", wrong: true}).is(401)
	}
	me := s.send(request{method: "GET", path: "/v1/auth/me", key: viewer}).is(200).at("id")
	var found map[string]members
	require.Eventually(t, func() bool {
		found = map[string]members{}
		for _, one := range s.get("/access-events?limit=200").is(200).at("items").([]any) {
			one := one.(members)
			found[fmt.Sprint(one["type"], " ", one["key_id"] == me, " ", one["route"])] = one
		}
		return len(found) >= 5
	}, time.Minute, 20*time.Millisecond)
	for which, want := range map[string]members{
		"access.denied true POST /v1/:workspace/integrations":     {"code": "forbidden", "status": 403., "workspace_id": "acme"},
		"access.denied true GET /v1/:workspace/integrations":      {"code": "forbidden", "status": 403., "workspace_id": "globex"},
		"access.denied false GET /v1/:workspace/integrations/:id": {"code": "unauthenticated", "status": 401., "key_id": nil, "workspace_id": "acme"},
		"access.key_used true <nil>":                              {"code": nil, "status": nil},
		"access.key_used false <nil>":                             {},
	} {
		require.Contains(t, found, which)
		for name, value := range want {
			require.Equal(t, value, found[which][name], "%s: %s", which, name)
		}
		require.Equal(t, "127.0.0.1", found[which]["address"])
	}
	require.NotContains(t, s.get("/access-events").text, "secret-path")
	require.Len(t, s.get("/access-events?type=access.denied&key="+me.(string)).is(200).at("items"), 2)
	page := s.get("/access-events?limit=1").is(200)
	next := s.get("/access-events?limit=1&continuation_token=" + page.at("continuation_token").(string)).is(200)
	require.Greater(t, next.at("items", 0, "position"), page.at("items", 0, "position"))
	s.send(request{method: "GET", path: "/v1/acme/access-events?type=x", wrong: true}).is(422, "enum")
	s.signed("access", 5)
	empty := s.send(request{method: "GET", path: "/v1/globex/access-events?type=access.denied", key: s.issue("globex", access.Admin)}).is(200)
	require.Empty(t, empty.at("items"), "it is listed in the workspace of the key")
}

func TestAProofAndAnExportAreVerifiedByAProgramThatHasReadTheDocumentOnly(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("SKIPPED: it takes seconds; run without -short")
	}
	s := serve(t, proven)
	s.create(rest("crm", "https://a.example"))
	s.send(request{method: "POST", path: "/v1/globex/integrations", key: s.issue("globex", access.Admin), body: rest("ehr", "https://b.example")}).is(201)
	s.put("/integrations/crm", members{"display_name": "Ünïcode ✓ <&>"}).is(200)
	s.signed("integrations", 3)
	export, err := io.ReadAll(unzipped(t, s.plain("GET", "/v1/acme/transparency/integrations/export", "*/*")))
	require.NoError(t, err)
	var got struct{ Entries, Size int }
	peers.RunPython(t, "proof.py", map[string]any{
		"proof": s.get("/integrations/events/3/proof").is(200).at(), "export": strings.Split(strings.TrimSpace(string(export)), "\n"),
	}, &got)
	require.Equal(t, struct{ Entries, Size int }{2, 3}, got)
}
