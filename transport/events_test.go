package transport_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/access"
	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/internal/natstest"
	"github.com/seed677028b5/integrations/transport"
)

func TestTheFeedOfAWorkspaceShowsItsChanges(t *testing.T) {
	t.Parallel()
	s := serve(t)
	crm := s.create(rest("crm", "https://a.example"))
	s.send(request{method: "POST", path: "/v1/other/integrations", key: s.issue("other", access.Admin), body: rest("crm", "https://b.example")}).is(201)
	s.create(rest("ehr", "https://a.example"))
	before := time.Now().UTC().Format(time.RFC3339Nano)
	s.put("/integrations/crm", members{"display_name": "Two", "enabled": false}).is(200)
	s.delete("/integrations/ehr").is(204)

	feed := func(query string) (all []string) {
		for token := ""; ; {
			got := s.get("/integrations/events?limit=1&continuation_token=" + token + query).is(200)
			for n := range got.at("items").([]any) {
				all = append(all, strings.TrimPrefix(got.at("items", n, "type").(string), "integration.")+" "+got.at("items", n, "name").(string))
			}
			if got.at("has_more") == false {
				require.Nil(t, got.at("continuation_token"))
				return all
			}
			token = got.at("continuation_token").(string)
		}
	}
	require.Equal(t, []string{"created crm", "created ehr", "updated crm", "deleted ehr"}, feed(""))
	require.Equal(t, []string{"deleted ehr", "updated crm", "created ehr", "created crm"}, feed("&order=newest"))
	require.Equal(t, []string{"created crm", "updated crm"}, feed("&integration_id=crm"))
	require.Equal(t, []string{"updated crm", "created crm"}, feed("&order=newest&integration_id="+crm))
	require.Equal(t, []string{"created ehr", "deleted ehr"}, feed("&type=integration.created,integration.deleted&integration_id=ehr"))
	require.Equal(t, []string{"updated crm", "deleted ehr"}, feed("&from="+before))
	require.Equal(t, []string{"created ehr", "created crm"}, feed("&order=newest&to="+before))
	require.Empty(t, feed("&actor=nobody"))

	got := s.get("/integrations/events").is(200)
	require.Equal(t, []any{"/display_name", "/enabled"}, got.at("items", 2, "changed"))
	require.Len(t, feed("&actor="+url.QueryEscape(got.at("items", 0, "actor").(string))), 4)
}

func TestTheParametersOfAFeedAreChecked(t *testing.T) {
	t.Parallel()
	s := serve(t)
	s.create(rest("a1", "https://a.example"))
	s.create(rest("a2", "https://a.example"))
	got := s.send(request{method: "GET", path: "/integrations/events?type=deleted&from=yesterday&to=1&order=up&limit=0", wrong: true}).is(422)
	require.ElementsMatch(t, []string{"/type", "/from", "/to", "/order", "/limit"}, got.pointers())
	for _, odd := range []string{"0000-01-01T00:00:00+23:00", "9999-12-31T23:00:00-23:00"} {
		s.get("/integrations/events?from="+url.QueryEscape(odd)).is(422, "format")
	}
	s.get("/integrations/events?from=2020-01-01T00:00:00" + url.QueryEscape("+24:00")).is(200)
	token := s.get("/integrations/events?limit=1").is(200).at("continuation_token").(string)
	s.get("/integrations/events?order=newest&continuation_token="+token).is(422, "token_mismatch")
}

func TestTheWholeFeedIsStreamedAsLines(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED: it takes seconds; run without -short")
	}
	t.Parallel()
	s := serve(t)
	for n := range 450 {
		s.create(rest(fmt.Sprintf("crm-%03d", n), "https://a.example"))
	}
	got := s.send(request{method: "GET", path: "/integrations/events", header: map[string]string{"Accept": "application/x-ndjson"}}).is(200)
	lines := strings.Split(strings.TrimSuffix(got.text, "\n"), "\n")
	require.Len(t, lines, 450)
	for n, line := range lines {
		require.Contains(t, line, fmt.Sprintf(`"name":"crm-%03d"`, n))
	}
}

// listener reads server-sent events.
type listener struct {
	t    *testing.T
	last string // the id it would continue from
	body *bufio.Scanner
	end  func()
}

// listen connects to the stream, after last.
func (s *service) listen(key, last string) *listener {
	s.t.Helper()
	return s.listenTo("/v1/acme/integrations/events/stream", key, last)
}

func (s *service) listenTo(path, key, last string) *listener {
	s.t.Helper()
	ctx, end := context.WithCancel(s.t.Context())
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url+path, nil)
	require.NoError(s.t, err)
	req.Header.Set("Authorization", "Bearer "+key)
	req.Header.Set("Accept", "text/event-stream")
	if last != "" {
		req.Header.Set("Last-Event-ID", last)
	}
	resp, err := http.DefaultTransport.RoundTrip(req) //nolint:bodyclose // end closes it
	require.NoError(s.t, err)
	require.Equal(s.t, 200, resp.StatusCode)
	require.Equal(s.t, "text/event-stream", resp.Header.Get("Content-Type"))
	s.t.Cleanup(end)
	return &listener{t: s.t, last: last, body: bufio.NewScanner(resp.Body), end: func() { end(); _ = resp.Body.Close() }}
}

// next returns the name and data of the next event, and false at the end. An id without data
// only changes the position.
func (l *listener) next() (name, data string, ok bool) {
	for l.body.Scan() {
		field, value, _ := strings.Cut(l.body.Text(), ": ")
		switch field {
		case "id":
			l.last = value
		case "event":
			name = value
		case "data":
			data = value
		case "":
			if data != "" {
				return name, data, true
			}
		}
	}
	return "", "", false
}

func TestAListenerThatReconnectsMissesNothing(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED: it takes seconds; run without -short")
	}
	t.Parallel()
	s := serve(t)
	outsider := s.issue("other", access.Admin)
	first := s.listen(s.key, "")
	for first.last == "" { // it first gets the position where it starts
		require.True(t, first.body.Scan())
		if id, ok := strings.CutPrefix(first.body.Text(), "id: "); ok {
			first.last = id
		}
	}
	first.end()
	const changes = 300
	changed := make(chan struct{})
	go func() {
		defer close(changed)
		for n := range changes / 2 {
			s.post("/integrations", rest(fmt.Sprintf("crm-%03d", n), "https://a.example"))
			s.send(request{method: "POST", path: "/v1/other/integrations", key: outsider, body: rest(fmt.Sprintf("crm-%03d", n), "https://b.example")})
			s.put(fmt.Sprintf("/integrations/crm-%03d", n), members{"enabled": false})
		}
	}()
	want, last := 0, first.last
	for want < changes { // disconnected repeatedly
		l := s.listen(s.key, last)
		for range 1 + rand.IntN(40) {
			name, data, ok := l.next()
			require.True(t, ok)
			require.Equal(t, []string{"integration.created", "integration.updated"}[want%2], name, data)
			require.Contains(t, data, fmt.Sprintf(`"name":"crm-%03d"`, want/2))
			require.Contains(t, data, `"position":`+l.last+`,`)
			if want++; want == changes {
				break
			}
		}
		last = l.last
		l.end()
	}
	<-changed
}

func TestAQuietStreamSendsThePositionOfTheLog(t *testing.T) {
	t.Parallel()
	s := serve(t)
	l := s.listen(s.key, "")
	s.send(request{method: "POST", path: "/v1/other/integrations", key: s.issue("other", access.Admin), body: rest("crm", "https://b.example")}).is(201)
	for l.last != strconv.FormatUint(s.head(), 10) {
		require.True(t, l.body.Scan())
		if id, ok := strings.CutPrefix(l.body.Text(), "id: "); ok {
			l.last = id
		}
		require.NotContains(t, l.body.Text(), "data", "it is another workspace's event")
	}
}

func TestAStreamSurvivesSilence(t *testing.T) {
	t.Parallel()
	s := serve(t, func(set *settings) {
		set.adjust = func(api *transport.Server) {
			api.TakeWithin, api.Live.Every = 100*time.Millisecond, 300*time.Millisecond
		}
	})
	l := s.listen(s.key, "")
	for ids := 0; ids < 4; { // each after a longer silence than a write may take
		require.True(t, l.body.Scan(), "the stream ended")
		if strings.HasPrefix(l.body.Text(), "id: ") {
			ids++
		}
	}
	s.create(rest("crm", "https://a.example"))
	_, data, ok := l.next()
	require.True(t, ok)
	require.Contains(t, data, `"name":"crm"`)
}

func TestAStreamEndsWithItsKey(t *testing.T) {
	t.Parallel()
	s := serve(t)
	key, text, err := s.stores.keys.Issue(t.Context(), access.Key{Workspace: "acme", Name: "test", Permissions: []access.Permission{access.View}})
	require.NoError(t, err)
	l := s.listen(text, "")
	require.NoError(t, s.stores.keys.Revoke(t.Context(), "acme", key.ID))
	_, _, ok := l.next()
	require.False(t, ok)
}

func TestARevokedKeyGetsNoMoreEvents(t *testing.T) {
	t.Parallel()
	s := serve(t, func(set *settings) {
		set.adjust = func(api *transport.Server) { api.Live.Every = time.Hour }
	})
	key, text, err := s.stores.keys.Issue(t.Context(), access.Key{Workspace: "acme", Name: "test", Permissions: []access.Permission{access.View}})
	require.NoError(t, err)
	l := s.listen(text, "")
	s.create(rest("before", "https://a.example"))
	_, data, ok := l.next()
	require.True(t, ok)
	require.Contains(t, data, `"name":"before"`)
	require.NoError(t, s.stores.keys.Revoke(t.Context(), "acme", key.ID))
	s.create(rest("after", "https://a.example"))
	_, data, ok = l.next()
	require.False(t, ok, data)
}

// A stream ends when its request would no longer be accepted, or would show something else. What
// the key may do besides doesn't matter to it.
func TestAStreamEndsWhenItsCallerMaySeeSomethingElse(t *testing.T) {
	t.Parallel()
	const events, notifications = "/v1/acme/integrations/events/stream", "/v1/acme/mcp"
	nc := natstest.Connect(t)
	s := serve(t, func(set *settings) { set.nats = nc })
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	stored, err := js.KeyValue(t.Context(), "API_KEYS")
	require.NoError(t, err)
	for name, row := range map[string]struct {
		change members
		ends   []string
	}{
		"it has expired":                    {members{"expires_at": "2020-01-01T00:00:00Z"}, []string{events, notifications}},
		"it sees other integrations":        {members{"integrations": []string{"ehr*"}}, []string{events, notifications}},
		"it sees all integrations":          {members{"integrations": nil, "permissions": []string{"Integration.view", "Integration.invoke"}}, []string{events, notifications}},
		"it is of another workspace":        {members{"workspace_id": "globex"}, []string{events, notifications}},
		"it may no longer view":             {members{"narrowed_permissions": []string{"Integration.invoke"}}, []string{events}},
		"it may no longer invoke":           {members{"narrowed_permissions": []string{"Integration.view"}}, []string{notifications}},
		"it may do more, and sees the same": {members{"narrowed_permissions": []string{"Integration.view", "Integration.invoke", "Integration.create"}}, nil},
	} {
		prefix := "crm-" + strings.ReplaceAll(strings.ReplaceAll(name, ",", ""), " ", "-")
		key, text, err := s.stores.keys.Issue(t.Context(), access.Key{
			Workspace: "acme", Name: "test", Permissions: []access.Permission{access.View, access.Invoke},
			Scope: domain.Scope{Integrations: []string{"crm*"}}, CreatedBy: "system",
		})
		require.NoError(t, err)
		listeners := map[string]*listener{}
		for n, path := range []string{events, notifications} {
			l := s.listenTo(path, text, "")
			s.create(rest(fmt.Sprint(prefix, n), "https://a.example"))
			for range map[string]int{events: 1, notifications: 3}[path] { // one for each list of MCP
				_, _, ok := l.next()
				require.True(t, ok, name)
			}
			listeners[path] = l
		}
		entry, err := stored.Get(t.Context(), key.ID)
		require.NoError(t, err)
		doc := members{}
		require.NoError(t, json.Unmarshal(entry.Value(), &doc))
		maps.Copy(doc, row.change)
		changed, err := json.Marshal(doc)
		require.NoError(t, err)
		before := s.stores.keys.Changes()
		_, err = stored.Put(t.Context(), key.ID, changed)
		require.NoError(t, err)
		soon(t, func() bool { return s.stores.keys.Changes() > before })
		last := prefix + "-last"
		s.create(rest(last, "https://a.example"))
		for path, l := range listeners {
			var goesOn bool
			for {
				_, data, ok := l.next()
				if goesOn = ok && (path == notifications || strings.Contains(data, last)); !ok || goesOn {
					break
				}
			}
			require.Equal(t, !slices.Contains(row.ends, path), goesOn, "%s: %s", name, path)
			l.end()
		}
	}
}

func TestTheParametersOfAStreamAreChecked(t *testing.T) {
	t.Parallel()
	s := serve(t)
	s.send(request{method: "GET", path: "/integrations/events/stream", header: map[string]string{"Last-Event-ID": "x"}, wrong: true}).is(422, "last_event_id_invalid")
	for _, beyond := range []string{"1", "18446744073709551615"} { // of another log
		s.send(request{method: "GET", path: "/integrations/events/stream", header: map[string]string{"Last-Event-ID": beyond}}).is(422, "position_unknown")
	}
}

func TestAnIntegrationIsShownAsOfAPointInTime(t *testing.T) {
	t.Parallel()
	s := serve(t)
	s.create(rest("crm", "https://a.example", members{"auth": members{"api_key_value": "k"}}))
	second := s.put("/integrations/crm", members{"display_name": "Two"}).is(200).at("updated_at").(string)
	s.put("/integrations/crm", members{"display_name": "Three", "auth": nil}).is(200)
	s.delete("/integrations/crm").is(204)
	for at, want := range map[string]string{"1": "The crm", "2": "Two", second: "Two", "3": "Three"} {
		got := s.get("/integrations/crm?as_of=" + at).is(200)
		require.Equal(t, want, got.at("display_name"), at)
		got.tagged(got.at("version"))
	}
	s.get("/integrations/crm?as_of=4").is(404, "integration_deleted")
	s.get("/integrations/crm?as_of=9").is(404, "version_not_found")
	s.get("/integrations/crm?as_of=2020-01-01T00:00:00Z").is(404, "integration_not_found")
	s.get("/integrations/crm?as_of="+time.Now().Add(time.Hour).UTC().Format(time.RFC3339)).is(404, "integration_deleted")
	s.get("/integrations/google-maps?as_of=1").is(200)
	for _, wrong := range []string{"0", "v2", "yesterday", "-1", ""} {
		s.get("/integrations/crm?as_of="+wrong).is(422, "format")
	}
}

func TestAnEarlierConfigurationIsRestored(t *testing.T) {
	t.Parallel()
	s := serve(t)
	s.create(rest("crm", "https://a.example", members{"auth": members{"api_key_value": "k"}, "endpoints": []any{endpoint("list")}}))
	s.put("/integrations/crm", members{"display_name": "Two", "endpoints": []any{}, "enabled": false}).is(200)

	dry := s.post("/integrations/crm/restore?dry_run=true", members{"version": 1}).is(200)
	require.Len(t, dry.at("changes"), 3)
	require.Equal(t, "Two", s.get("/integrations/crm").at("display_name"))

	s.send(request{method: "POST", path: "/integrations/crm/restore", body: members{"version": 1}, header: map[string]string{"If-Match": `"v1"`}}).is(412)
	got := s.post("/integrations/crm/restore", members{"version": 1}).is(200)
	require.Equal(t, "The crm", got.at("display_name"))
	require.InDelta(t, 3, got.at("version"), 0)
	require.Equal(t, "list", got.at("endpoints", 0, "name"))
	require.Equal(t, true, got.at("auth", "secrets", "api_key_value", "set"))
	require.Equal(t, "integration.updated", s.get("/integrations/crm/history").at("items", 2, "type"))

	s.put("/integrations/crm", members{"base_url": "https://b.example", "auth": members{"api_key_value": "k2"}}).is(200)
	require.Equal(t, []string{"/auth/api_key_value"}, s.post("/integrations/crm/restore", members{"version": 1}).is(422, "secret_required").pointers())
	s.post("/integrations/crm/restore", members{"version": 9}).is(404, "version_not_found")
	s.post("/integrations/google-maps/restore", members{"version": 1}).is(409, "builtin")
	for _, wrong := range []members{{}, {"version": 0}, {"version": "1"}, {"version": 1.5}, {"version": 1, "more": 1}} {
		s.send(request{method: "POST", path: "/integrations/crm/restore", body: wrong, wrong: true}).is(422)
	}
	s.delete("/integrations/crm").is(204)
	s.post("/integrations/crm/restore", members{"version": 1}).is(404, "integration_not_found")
}
