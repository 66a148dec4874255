package transport_test

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/access"
	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/internal/natstest"
)

func TestBodiesOfCallsAreKeptSealedAndReadWithTheirPermission(t *testing.T) {
	t.Parallel()
	nc := natstest.Connect(t)
	s := serve(t, func(set *settings) { set.nats = nc })
	u := listen(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"name": "Ann Answer", "echo": "planted-canary-3"}`))
	})
	kept := members{"method": "POST", "record": "bodies", "input_schema": members{"type": "object", "properties": members{"who": members{"type": "string"}}}}
	s.create(rest("clinic", u.url, members{"auth": members{"type": "bearer_token", "bearer_token_value": "planted-canary-3"}, "endpoints": []any{
		endpoint("find", kept), endpoint("list"),
	}}))
	agent, auditor := s.issue("acme", access.Invoke), s.issue("acme", access.ReadBodies)
	s.as(agent, "POST", "/integrations/clinic/endpoints/find/invoke", members{"params": members{"who": "Ann Question"}}).is(200)
	s.as(agent, "POST", "/integrations/clinic/endpoints/list/invoke", nil).is(200)
	s.as(agent, "POST", "/integrations/clinic/endpoints/find/invoke", members{"params": members{"who": strings.Repeat("x", 70_000)}}).is(200)
	calls := s.get("/integrations/clinic/calls").is(200)
	require.Equal(t, []any{true, false, true}, []any{calls.at("items", 0, "bodies"), calls.at("items", 1, "bodies"), calls.at("items", 2, "bodies")})
	path := func(n int) string {
		return fmt.Sprintf("/integrations/clinic/calls/%v/bodies", calls.at("items", n, "position"))
	}
	got := s.as(auditor, "GET", path(2), nil).is(200)
	require.Equal(t, `{"who":"Ann Question"}`, got.at("request"))
	require.Contains(t, got.at("response"), "Ann Answer")
	require.NotContains(t, got.text, "planted-canary-3")
	require.Equal(t, []any{"POST", u.url + "/find", false}, []any{got.at("method"), got.at("url"), got.at("request_truncated")})
	s.as(auditor, "GET", path(1), nil).is(404, "bodies_not_found")
	require.Equal(t, true, s.as(auditor, "GET", path(0), nil).is(200).at("request_truncated"))
	s.as(s.issue("acme", access.View, access.Invoke), "GET", path(2), nil).is(403, "forbidden")
	s.as(auditor, "GET", "/integrations/clinic/calls/99/bodies", nil).is(404, "call_not_found")
	s.send(request{method: "GET", path: "/integrations/clinic/calls/x/bodies", key: auditor, wrong: true}).is(404, "call_not_found")
	narrow := s.narrowed(domain.Scope{Tools: []string{"clinic__list"}}, access.ReadBodies)
	s.as(narrow, "GET", path(2), nil).is(404, "call_not_found")
	requireNowhere(t, nc, "Ann Question", "Ann Answer")
	require.NotContains(t, s.log.String(), "Ann Question")

	s.delete("/integrations/clinic").is(204)
	s.create(rest("clinic", u.url, members{"endpoints": []any{endpoint("find", kept)}}))
	s.as(auditor, "GET", path(2), nil).is(404, "bodies_not_found")
}

func TestACallWhoseBodiesCouldNotBeKeptShowsThat(t *testing.T) {
	t.Parallel()
	nc := natstest.Connect(t)
	s := serve(t, func(set *settings) { set.nats = nc })
	u := listen(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	s.create(rest("clinic", u.url, members{"endpoints": []any{endpoint("find", members{"record": "bodies"})}}))
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	require.NoError(t, js.DeleteStream(t.Context(), "CALL_BODIES"))
	s.post("/integrations/clinic/endpoints/find/invoke", nil).is(200)
	calls := s.get("/integrations/clinic/calls").is(200)
	require.Len(t, calls.at("items"), 1)
	require.Equal(t, false, calls.at("items", 0, "bodies"))
	require.Contains(t, s.log.String(), "keeping the bodies of a call failed")
}

func TestSecretsThatACallerGivesAreNotAmongTheBodies(t *testing.T) {
	t.Parallel()
	s := serve(t)
	u := listen(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(members{"echo": string(body), "at": r.URL.String()})
	})
	schema := members{"type": "object", "$defs": members{"hidden": members{"type": "string", "writeOnly": true}}, "properties": members{
		"user": members{"type": "string"}, "login_password": members{"type": "string"}, "code": members{"type": "string", "format": "password"}, "page_token": members{"type": "string"},
		"card": members{"type": "object", "properties": members{"number": members{"$ref": "#/$defs/hidden"}, "name": members{"type": "string"}}},
		"keys": members{"type": "array", "items": members{"anyOf": []any{members{"type": "integer", "writeOnly": true}}}},
	}}
	kept := func(more members) members {
		all := members{"method": "POST", "record": "bodies", "input_schema": schema}
		maps.Copy(all, more)
		return all
	}
	s.create(rest("clinic", u.url, members{"endpoints": []any{
		endpoint("json", kept(nil)), endpoint("form", kept(members{"body": members{"format": "form"}})), endpoint("path", kept(members{"path": "/of/{user}/{code}", "method": "DELETE"})),
	}}))
	auditor := s.issue("acme", access.ReadBodies)
	params := members{"user": "amy", "login_password": "hunter two", "code": "c0de-4711", "page_token": "p-7", "card": members{"number": "4111-1111", "name": "A"}, "keys": []any{123456}}
	for name, want := range map[string]string{
		"json": `{"card":{"name":"A","number":"[secret]"},"code":"[secret]","keys":["[secret]"],"login_password":"[secret]","page_token":"p-7","user":"amy"}`,
		"form": "page_token=p-7", "path": "",
	} {
		given := maps.Clone(params)
		if name != "json" {
			delete(given, "card")
			delete(given, "keys")
		}
		result := s.post("/integrations/clinic/endpoints/"+name+"/invoke", members{"params": given}).is(200)
		require.Contains(t, result.text, "c0de-4711", "the caller gets what the upstream answers")
		position := s.get("/integrations/clinic/calls?limit=1").is(200).at("items", 0, "position")
		got := s.as(auditor, "GET", fmt.Sprintf("/integrations/clinic/calls/%v/bodies", position), nil).is(200)
		for _, secret := range []string{"hunter", "c0de-4711", "4111-1111", "123456"} {
			require.NotContains(t, got.text, secret, name)
		}
		require.Contains(t, got.at("request"), want, name)
		require.Contains(t, got.text, "amy", name)
	}
}

// requireNowhere requires that no message of any stream has a text.
func requireNowhere(t *testing.T, nc *nats.Conn, texts ...string) {
	t.Helper()
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	names := js.StreamNames(t.Context())
	for name := range names.Name() {
		stream, err := js.Stream(t.Context(), name)
		require.NoError(t, err)
		for at := stream.CachedInfo().State.FirstSeq; at <= stream.CachedInfo().State.LastSeq; at++ {
			if msg, err := stream.GetMsg(t.Context(), at); err == nil {
				for _, text := range texts {
					require.NotContains(t, fmt.Sprint(msg.Subject, msg.Header, string(msg.Data)), text, name)
				}
			}
		}
	}
	require.NoError(t, names.Err())
}
