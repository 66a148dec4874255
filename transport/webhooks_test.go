package transport_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/access"
)

const hooks = "/webhook-destinations"

func TestAWebhookDestinationReceivesTheEventsOfTheFeed(t *testing.T) {
	t.Parallel()
	s := serve(t)
	bodies, headers := make(chan string, 10), make(chan http.Header, 10)
	u := listen(t, func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		bodies <- string(body)
		headers <- r.Header
	})
	made := s.post(hooks, members{"url": u.url, "description": "CRM", "event_types": []string{"integration.created"}}).is(201)
	secret, id := made.at("secret").(string), made.at("id").(string)
	path := hooks + "/" + id
	require.Equal(t, "/v1/acme"+path, made.header.Get("Location"))
	s.create(rest("crm", "https://a.example", members{"auth": members{"type": "bearer_token", "bearer_token_value": "planted-canary-1"}}))
	body, header := <-bodies, <-headers
	hook, err := standardwebhooks.NewWebhook(secret)
	require.NoError(t, err)
	require.NoError(t, hook.Verify([]byte(body), header))
	require.Regexp(t, `^\{"type":"integration.created","timestamp":"[^"]+Z","data":\{"position":1,"integration_id":"[^"]+","name":"crm","version":1,"type":"integration.created",`, body)
	require.NotContains(t, body, "planted-canary-1")
	require.Contains(t, body, `"address":null`, "the address of the caller is not sent")

	var log reply
	soon(t, func() bool { log = s.get(path + "/deliveries").is(200); return len(log.at("items").([]any)) == 1 })
	require.Equal(t, header.Get("webhook-id"), log.at("items", 0, "id"))
	require.Equal(t, "delivered", log.at("items", 0, "status"))
	tested := s.post(path+"/test", nil).is(200)
	require.Equal(t, "delivered", tested.at("status"))
	require.Contains(t, <-bodies, `"type":"webhook.test"`)
	first := s.get(path + "/deliveries?limit=1").is(200)
	require.Equal(t, "webhook.test", first.at("items", 0, "type"))
	second := s.get(path + "/deliveries?limit=1&continuation_token=" + first.at("continuation_token").(string)).is(200)
	require.Equal(t, "integration.created", second.at("items", 0, "type"))
	require.Nil(t, second.at("continuation_token"))
	s.send(request{method: "GET", path: path + "/deliveries?status=lost&limit=0", wrong: true}).is(422)
	s.get(path+"/deliveries?status=failed&continuation_token="+first.at("continuation_token").(string)).is(422, "token_mismatch")

	s.post(path+"/deliveries/"+header.Get("webhook-id")+"/redeliver", nil).is(202)
	require.Equal(t, body, <-bodies)
	s.post(path+"/deliveries/msg_c7/redeliver", nil).is(404, "delivery_not_found")

	rotated := s.post(path+"/rotate-secret", nil).is(200)
	require.NotEqual(t, secret, rotated.at("secret"))
	require.NotNil(t, rotated.at("signing_secret", "previous_expires_at"))
	require.InDelta(t, 2, rotated.at("signing_secret", "version"), 0)
	require.Nil(t, s.post(path+"/rotate-secret", members{"overlap_seconds": 0}).is(200).at("signing_secret", "previous_expires_at"))
	for _, got := range []reply{s.get(path).is(200), s.get(hooks).is(200), s.put(path, members{"enabled": false, "description": nil}).is(200), s.get(path + "/deliveries")} {
		require.NotContains(t, got.text, "whsec_")
	}
	require.NotContains(t, s.log.String(), strings.TrimPrefix(secret, "whsec_"))
	require.NotContains(t, s.log.String(), strings.TrimPrefix(rotated.at("secret").(string), "whsec_"))
	require.Empty(t, s.get(path).at("description"))
	require.False(t, s.get(path).at("enabled").(bool))
	require.Equal(t, u.url, s.get(path).at("url"))
	s.delete(path).is(204)
	s.get(path).is(404, "webhook_destination_not_found")
	require.InDelta(t, 0, s.get(hooks).at("total"), 0)
}

func TestAWrongWebhookDestinationIsRefusedWithEveryProblem(t *testing.T) {
	t.Parallel()
	s := serve(t)
	path := hooks + "/" + s.post(hooks, members{"url": "https://a.example"}).is(201).at("id").(string)
	for body, at := range map[string][]string{
		`{}`: {"/url"},
		`{"url":"ftp://a.example","event_types":["integration.moved"],"enabled":1,"secret":"x"}`: {"/url", "/event_types/0", "/enabled", "/secret"},
		`{"url":"https://u:p@a.example/#x"}`:                                                     {"/url"},
	} {
		require.ElementsMatch(t, at, s.send(request{method: "POST", path: hooks, body: body, wrong: true}).is(422).pointers(), body)
	}
	require.ElementsMatch(t, []string{"/id", "/url"}, s.send(request{method: "PUT", path: path, body: `{"id":"x","url":""}`, wrong: true}).is(422).pointers())
	for _, action := range []string{"/test", "/rotate-secret", "/deliveries/msg_c1/redeliver"} {
		require.Equal(t, []string{"/x"}, s.send(request{method: "POST", path: path + action, body: `{"x":1}`, wrong: true}).is(422).pointers(), action)
	}
}

func TestAWebhookDestinationOfAnotherWorkspaceIsNotFound(t *testing.T) {
	t.Parallel()
	s := serve(t)
	id := s.post(hooks, members{"url": "https://a.example"}).is(201).at("id").(string)
	outsider := s.issue("other", access.Admin)
	for _, o := range operations(t) {
		if !strings.Contains(o.path, "{destination_id}") {
			continue
		}
		var body any
		switch {
		case o.method == "PUT":
			body = members{}
		case strings.HasSuffix(o.path, "/verify"):
			body = members{"id": "msg_c1", "timestamp": "1", "signature": "v1,x", "body": "{}"}
		}
		path := strings.NewReplacer("{workspace_id}", "other", "{destination_id}", id, "{delivery_id}", "msg_c1").Replace(o.path)
		s.send(request{method: o.method, path: path, key: outsider, body: body}).is(404, "webhook_destination_not_found")
	}
	s.get(hooks + "/" + id).is(200)
}

func TestASignatureIsCheckedWithTheSecretsOfItsDestination(t *testing.T) {
	t.Parallel()
	s := serve(t)
	got := make(chan *http.Request, 1)
	bodies := make(chan string, 1)
	u := listen(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got <- r.Clone(context.Background())
		bodies <- string(body)
		w.WriteHeader(http.StatusNoContent)
	})
	d := s.post("/webhook-destinations", members{"url": u.url}).is(201).at("id").(string)
	path := "/webhook-destinations/" + d
	s.post(path+"/test", nil).is(200)
	r, body := <-got, <-bodies
	right := members{"id": r.Header.Get("webhook-id"), "timestamp": r.Header.Get("webhook-timestamp"), "signature": r.Header.Get("webhook-signature"), "body": body}
	verify := func(change members) []any {
		sent := members{}
		for name, value := range right {
			sent[name] = value
		}
		for name, value := range change {
			sent[name] = value
		}
		a := s.post(path+"/verify", sent).is(200)
		return []any{a.at("valid"), a.at("secret_version"), a.at("current")}
	}
	require.Equal(t, []any{true, 1., true}, verify(nil))
	require.Equal(t, []any{false, nil, false}, verify(members{"body": body + " "}))
	require.Equal(t, []any{false, nil, false}, verify(members{"id": "msg_other"}))
	require.Equal(t, []any{false, nil, false}, verify(members{"timestamp": "soon"}))
	s.post(path+"/rotate-secret", members{"overlap_seconds": 0}).is(200)
	require.Equal(t, []any{true, 1., false}, verify(nil), "by the previous secret")
	other := s.post("/webhook-destinations", members{"url": u.url}).is(201).at("id").(string)
	require.Equal(t, false, s.post("/webhook-destinations/"+other+"/verify", right).is(200).at("valid"))
	s.send(request{method: "POST", path: path + "/verify", body: members{"id": 1, "odd": true}, wrong: true}).is(422, "validation_failed")
}
