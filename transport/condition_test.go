package transport_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/access"
	"github.com/seed677028b5/integrations/domain"
)

func TestAConditionalChangeIsMadeOnlyToTheVersionThatWasRead(t *testing.T) {
	t.Parallel()
	s := serve(t)
	s.create(rest("crm", "https://a.example"))
	s.put("/integrations/crm", members{"display_name": "two"}).is(200)
	for tag, stale := range map[string]bool{
		`"v2"`: false, `*`: false, `"v1", "v2"`: false, `"v1","v2"`: false, ` "v2" `: false, `"v2-0123456789abcdef"`: false,
		`"v1-0123456789abcdef"`: true, `"v2-"`: true, `"v2-0123456789abcde"`: true, `"v2-0123456789ABCDEF"`: true, `W/"v2-0123456789abcdef"`: true,
		`"v1"`: true, `"v3"`: true, ``: true, `W/"v2"`: true, `v2`: true, `garbage`: true, `"v02"`: true, `""`: true, `"v99999999999999999999999"`: true, `"`: true,
	} {
		for _, method := range []string{"PUT", "DELETE"} {
			r := request{method: method, path: "/integrations/crm?dry_run=true", header: map[string]string{"If-Match": tag}}
			if method == "PUT" {
				r.body = members{"display_name": "three"}
			}
			if got := s.send(r); stale {
				got.is(412, "version_mismatch")
			} else {
				got.is(200)
			}
		}
	}
	r := request{method: "DELETE", path: "/integrations/nothing", header: map[string]string{"If-Match": `"v1"`}}
	s.send(r).is(404)
	s.send(request{method: "PUT", path: "/integrations/crm", body: members{"display_name": "three"}, header: map[string]string{"If-Match": `"v2"`}}).is(200)
	s.send(request{method: "DELETE", path: "/integrations/crm", header: map[string]string{"If-Match": `"v2"`}}).is(412)
	s.send(request{method: "DELETE", path: "/integrations/crm", header: map[string]string{"If-Match": `"v3"`}}).is(204)
}

// If-None-Match guards a change too (RFC 9110, 13.1.2): nothing is changed when it excludes what is there.
func TestAChangeThatExcludesWhatIsThereIsNotMade(t *testing.T) {
	t.Parallel()
	s := serve(t)
	s.create(rest("crm", "https://a.example"))
	tag := s.put("/integrations/crm", members{"display_name": "two"}).is(200).header.Get("ETag")
	for excluded, stale := range map[string]bool{
		"*": true, " * ": true, tag: true, "W/" + tag: true, `"v2"`: true, `"v1", "v2"`: true, `"v1",W/"v2"`: true, `"v2-0123456789abcdef"`: true,
		`"v9", *`: true, `*, "v9"`: true, `*,W/"v9"`: true, `"v1"`: false, `"v3"`: false, `"v1","v3"`: false, `"v1",`: false, `,"v2"`: true,
	} {
		for method, path := range map[string]string{"PUT": "/integrations/crm", "DELETE": "/integrations/crm", "POST": "/integrations/crm/restore"} {
			r := request{method: method, path: path + "?dry_run=true", header: map[string]string{"If-None-Match": excluded}}
			switch method {
			case "PUT":
				r.body = members{"display_name": "three"}
			case "POST":
				r.body = members{"version": 1}
			}
			if got := s.send(r); stale {
				got.is(412, "version_mismatch")
			} else {
				got.is(200)
			}
		}
	}
	for _, wrong := range []string{
		"", " ", ",", "garbage", "v2", "v1", `w/"v1"`, `W/ "v1"`, `"v1-zz"`, `"v01"`, `"v0"`, `"x"`, `"v1" "v3"`, `"v1", garbage`, `*, garbage`, `**`, `"*"`, `"v99999999999999999999"`,
	} {
		s.send(request{method: "PUT", path: "/integrations/crm", body: members{"display_name": "three"}, header: map[string]string{"If-None-Match": wrong}}).is(422, "if_none_match_invalid")
		s.send(request{method: "DELETE", path: "/integrations/crm", header: map[string]string{"If-None-Match": wrong}}).is(422, "if_none_match_invalid")
	}
	absent := map[string]string{"If-None-Match": "*"}
	s.send(request{method: "PUT", path: "/integrations/crm", body: members{"display_name": "three"}, header: absent}).is(412, "version_mismatch")
	for _, lines := range [][]string{{"*", `"v9"`}, {`"v9"`, "*"}, {`"v9"`, tag}} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodDelete, s.url+"/v1/acme/integrations/crm", nil)
		require.NoError(t, err)
		req.Header = http.Header{"Authorization": {"Bearer " + s.key}, "If-None-Match": lines}
		res, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		require.Equal(t, 412, res.StatusCode, "%q", lines)
	}
	require.Equal(t, "two", s.get("/integrations/crm").is(200).at("display_name"))
	s.send(request{method: "PUT", path: "/integrations/nothing", body: members{"display_name": "three"}, header: absent}).is(404)
	s.send(request{method: "DELETE", path: "/integrations/nothing", header: absent}).is(404)
	s.send(request{method: "POST", path: "/integrations", body: rest("crm", "https://a.example"), header: absent}).is(412, "version_mismatch")
	s.send(request{method: "POST", path: "/integrations", body: rest("ehr", "https://a.example"), header: absent}).is(201)
	s.send(request{method: "PUT", path: "/integrations/crm", body: members{"display_name": "three"}, header: map[string]string{"If-Match": `"v2"`, "If-None-Match": `"v1"`}}).is(200)
}

// tagged requires an ETag of a version.
func (r reply) tagged(version any) reply {
	r.t.Helper()
	require.Regexp(r.t, fmt.Sprintf(`^"v%v-[0-9a-f]{16}"$`, version), r.header.Get("ETag"))
	return r
}

func TestAnUnchangedIntegrationIsNotSentAgain(t *testing.T) {
	t.Parallel()
	s := serve(t)
	v1 := s.post("/integrations", rest("crm", "https://a.example")).is(201).tagged(1).header.Get("ETag")
	for tag, status := range map[string]int{
		v1: 304, `W/` + v1: 304, `*`: 304, `"v0", W/` + v1: 304, `"v2"`: 200, `v1`: 200, ``: 200, `garbage`: 200,
		`"v1"`: 200, `"v1-0123456789abcdef"`: 200, // a version alone doesn't tell what was shown of it
	} {
		for _, path := range []string{"/integrations/crm", "/integrations/crm?as_of=1"} {
			got := s.send(request{method: "GET", path: path, header: map[string]string{"If-None-Match": tag}}).is(status)
			require.Equal(t, v1, got.header.Get("ETag"))
			if status == 304 {
				require.Empty(t, got.text)
			}
		}
	}
	s.put("/integrations/crm", members{"display_name": "two"}).is(200).tagged(2)
	s.send(request{method: "GET", path: "/integrations/crm?as_of=1", header: map[string]string{"If-None-Match": v1}}).is(304)
	s.send(request{method: "GET", path: "/integrations/crm?as_of=2", header: map[string]string{"If-None-Match": v1}}).is(200)
}

// A strong validator changes with the representation (RFC 9110, 8.8.1), which a probe changes too.
func TestAnotherHealthIsSentAgainAndDoesNotFailAChange(t *testing.T) {
	t.Parallel()
	var ill atomic.Bool
	u := listen(t, func(w http.ResponseWriter, _ *http.Request) {
		if ill.Load() {
			w.WriteHeader(http.StatusBadGateway)
		}
	})
	s := serve(t)
	ifNoneMatch := func(tag string) reply {
		return s.send(request{method: "GET", path: "/integrations/crm", header: map[string]string{"If-None-Match": tag}})
	}
	tags := []string{s.post("/integrations", rest("crm", u.url)).is(201).header.Get("ETag")}
	for _, now := range []string{"healthy", "unreachable"} {
		ill.Store(now != "healthy")
		s.post("/integrations/crm/test-connection", nil).is(200)
		soon(t, func() bool { return s.get("/integrations/crm").at("last_test_status") == now })
		for _, old := range tags {
			changed := ifNoneMatch(old).is(200).tagged(1)
			require.Equal(t, now, changed.at("last_test_status"))
			require.NotContains(t, tags, changed.header.Get("ETag"))
		}
		tags = append(tags, s.get("/integrations/crm").header.Get("ETag"))
		ifNoneMatch(tags[len(tags)-1]).is(304)
	}
	change := func(method, tag string, body any) reply {
		return s.send(request{method: method, path: "/integrations/crm", body: body, header: map[string]string{"If-Match": tag}})
	}
	put := change("PUT", tags[0], members{"display_name": "Two"}).is(200).tagged(2)
	require.Equal(t, "unreachable", put.at("last_test_status"))
	ifNoneMatch(put.header.Get("ETag")).is(304)
	change("PUT", tags[2], members{"display_name": "Three"}).is(412, "version_mismatch")
	change("DELETE", tags[2], nil).is(412, "version_mismatch")
	change("DELETE", put.header.Get("ETag"), nil).is(204)
}

func TestKeysThatSeeDifferentEndpointsHaveDifferentETags(t *testing.T) {
	t.Parallel()
	s := serve(t)
	whole := s.post("/integrations", rest("crm", "https://a.example", members{"endpoints": []any{endpoint("get_a"), endpoint("get_b")}})).is(201).header.Get("ETag")
	narrow := s.narrowed(domain.Scope{Tools: []string{"crm__get_a"}}, access.View)
	got := s.send(request{method: "GET", path: "/integrations/crm", key: narrow, header: map[string]string{"If-None-Match": whole}}).is(200)
	require.Len(t, got.at("endpoints"), 1)
	s.send(request{method: "GET", path: "/integrations/crm", key: narrow, header: map[string]string{"If-None-Match": got.header.Get("ETag")}}).is(304)
}

func TestARepetitionGetsTheFirstResponseAgain(t *testing.T) {
	t.Parallel()
	u := listen(t, nil)
	s := serve(t)
	idempotent := func(method, path, key string, body any) reply {
		return s.send(request{method: method, path: path, body: body, header: map[string]string{"Idempotency-Key": key}})
	}
	first := idempotent("POST", "/integrations", "k1", rest("crm", u.url)).is(201)
	require.Empty(t, first.header.Get("Idempotent-Replayed"))
	change := idempotent("PUT", "/integrations/crm", "k2", members{"display_name": "two"}).is(200)
	s.put("/integrations/crm", members{"display_name": "three"}).is(200)
	s.post("/integrations/crm/test-connection", nil).is(200)
	soon(t, func() bool { return s.get("/integrations/crm").at("last_test_status") != nil })
	repeat := func() {
		again := idempotent("POST", "/integrations", "k1", rest("crm", u.url)).is(201)
		require.Equal(t, "true", again.header.Get("Idempotent-Replayed"))
		require.JSONEq(t, first.text, again.text)
		for _, h := range []string{"ETag", "Event-Position", "Location"} {
			require.Equal(t, first.header.Get(h), again.header.Get(h), h)
		}
		again = idempotent("PUT", "/integrations/crm", "k2", members{"display_name": "two"}).is(200)
		require.Equal(t, "true", again.header.Get("Idempotent-Replayed"))
		require.JSONEq(t, change.text, again.text)
	}
	repeat()
	require.Equal(t, "three", s.get("/integrations/crm").at("display_name"))
	s.delete("/integrations/crm").is(204)
	repeat()
	s.get("/integrations/crm").is(404)

	idempotent("POST", "/integrations", "k1", rest("crm", u.url, members{"display_name": "Other"})).is(422, "idempotency_key_reused")
	idempotent("POST", "/integrations", "k1", rest("other", u.url)).is(422, "idempotency_key_reused")
	idempotent("PUT", "/integrations/crm", "k1", members{"display_name": "two"}).is(422, "idempotency_key_reused")
	s.send(request{
		method: "POST", path: "/integrations", body: rest("long", u.url), wrong: true,
		header: map[string]string{"Idempotency-Key": strings.Repeat("k", 256)},
	}).is(422, "idempotency_key_invalid")

	another := s.issue("acme", "Workspace.admin")
	s.send(request{method: "POST", path: "/integrations", body: rest("theirs", u.url), key: another, header: map[string]string{"Idempotency-Key": "k1"}}).is(201)
}

func TestARefusedRequestLeavesItsIdempotencyKeyUnused(t *testing.T) {
	t.Parallel()
	s := serve(t)
	once := map[string]string{"Idempotency-Key": "k"}
	s.send(request{method: "POST", path: "/integrations", body: members{"name": "crm"}, header: once, wrong: true}).is(422)
	s.send(request{method: "POST", path: "/integrations?dry_run=true", body: rest("crm", "https://dry.example"), header: once}).is(200)
	s.send(request{method: "POST", path: "/integrations", body: rest("crm", "https://a.example"), header: once}).is(201)
	dry := s.send(request{method: "POST", path: "/integrations?dry_run=true", body: rest("crm2", "https://a.example"), header: once}).is(200)
	require.NotEmpty(t, dry.at("changes"))
	require.Empty(t, dry.header.Get("Idempotent-Replayed"))
}

func TestConcurrentRepetitionsCreateOnce(t *testing.T) {
	t.Parallel()
	s := serve(t)
	replies := make(chan reply, 16)
	for range 16 {
		go func() {
			replies <- s.send(request{method: "POST", path: "/integrations", body: rest("crm", "https://a.example"), header: map[string]string{"Idempotency-Key": "k"}})
		}()
	}
	texts := map[string]bool{}
	for range 16 {
		texts[(<-replies).text] = true
	}
	require.Len(t, texts, 1, "all have the response of the one that was made")
	require.Equal(t, 201, s.send(request{method: "POST", path: "/integrations", body: rest("crm", "https://a.example"), header: map[string]string{"Idempotency-Key": "k"}}).status)
	require.Equal(t, uint64(1), s.head())
	require.Len(t, s.get("/integrations/crm/history").at("items"), 1)
}

func TestADryRunShowsWhatWouldChangeAndWritesNothing(t *testing.T) {
	t.Parallel()
	s := serve(t)
	s.create(rest("crm", "https://a.example", members{"auth": members{"bearer_token_value": "t"}}))
	before := s.head()

	created := s.post("/integrations?dry_run=true", rest("new", "https://b.example")).is(200)
	require.Equal(t, "new", created.at("integration", "name"))
	require.Empty(t, created.header.Get("Event-Position"))
	s.post("/integrations?dry_run=true", rest("crm", "https://b.example")).is(409, "name_taken")
	s.send(request{method: "POST", path: "/integrations?dry_run=true", body: members{"name": "x"}, wrong: true}).is(422)

	changed := s.put("/integrations/crm?dry_run=true", members{"display_name": "Sales", "auth": members{"bearer_token_value": "u"}}).is(200)
	require.Equal(t, []any{
		members{"pointer": "/auth/secrets/bearer_token_value", "secret": true},
		members{"pointer": "/display_name", "old": "The crm", "new": "Sales"},
	}, changed.at("changes"))
	require.InDelta(t, 2, changed.at("integration", "version"), 0)
	require.Empty(t, s.put("/integrations/crm?dry_run=true", members{"display_name": "The crm"}).is(200).at("changes"))

	gone := s.delete("/integrations/crm?dry_run=true").is(200)
	require.Nil(t, gone.at("integration"))

	require.Equal(t, before, s.head())
	require.Equal(t, "The crm", s.get("/integrations/crm").is(200).at("display_name"))
	s.get("/integrations/new").is(404)
	s.get("/integrations/new/history").is(404)
	for _, odd := range []string{"dry_run", "dry_run=", "dry_run=1", "dry_run=True", "dry_run=true&dry_run=true", "dry_run=true;x=1", "dry_run=%zz"} {
		s.send(request{method: "DELETE", path: "/integrations/crm?" + odd, wrong: true}).is(422)
	}
	require.Equal(t, before, s.head())
	require.Equal(t, "2", s.send(request{method: "DELETE", path: "/integrations/crm?dry_run=false"}).is(204).header.Get("Event-Position"))
}

func TestAChangeThatChangesNothingWritesNothing(t *testing.T) {
	t.Parallel()
	s := serve(t)
	s.create(rest("crm", "https://a.example"))
	got := s.put("/integrations/crm", members{"display_name": "The crm", "enabled": true}).is(200)
	got.tagged(1)
	require.Equal(t, "1", got.header.Get("Event-Position"))
	require.Equal(t, uint64(1), s.head())
}
