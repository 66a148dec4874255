package transport_test

import (
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/access"
	"github.com/seed677028b5/integrations/domain"
)

// booking returns an upstream that books, behind an endpoint whose calls need an approval and
// another one. Sent returns the bodies of the calls that have arrived.
func (s *service) booking(t *testing.T) (u *upstream, sent func() []string) {
	t.Helper()
	var mu sync.Mutex
	all := []string{}
	u = listen(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		mu.Lock()
		all = append(all, string(body))
		mu.Unlock()
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusCreated)
		_, _ = w.Write([]byte(`{"booked": true, "token": "planted-canary-2"}`))
	})
	schema := members{"type": "object", "properties": members{"patient": members{"type": "string"}}, "required": []string{"patient"}}
	s.create(rest("clinic", u.url, members{"auth": members{"type": "bearer_token", "bearer_token_value": "planted-canary-2"}, "endpoints": []any{
		endpoint("book", members{"method": "POST", "approval": "writes", "record": "bodies", "input_schema": schema}),
		endpoint("slots", members{"approval": "writes"}),
	}}))
	return u, func() []string {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(all)
	}
}

const bookPath = "/integrations/clinic/endpoints/book/"

// as sends a request with a key.
func (s *service) as(key, method, path string, body any) reply {
	s.t.Helper()
	return s.send(request{method: method, path: path, body: body, key: key})
}

func TestACallThatNeedsAnApprovalIsAskedForShownDecidedAndMadeOnce(t *testing.T) {
	t.Parallel()
	s := serve(t)
	u, sent := s.booking(t)
	require.Equal(t, "writes", s.get("/integrations/clinic").is(200).at("endpoints", 0, "approval"))
	agent, boss := s.issue("acme", access.Invoke, access.View, access.Decide, access.ManageKeys), s.issue("acme", access.View, access.Decide)
	reader := s.issue("acme", access.View)
	params := members{"params": members{"patient": "Ann"}}
	stream := s.listenTo("/v1/acme/approvals/events/stream", reader, "0")

	s.as(agent, "POST", bookPath+"invoke", members{"params": members{}}).is(422, "required")
	s.post("/integrations/clinic/endpoints/slots/invoke", nil).is(200)
	require.Len(t, u.requests(), 1, "a call that reads needs none")
	asked := s.as(agent, "POST", bookPath+"invoke", params).is(202)
	require.Equal(t, "approval_required", asked.at("error_code"))
	id := asked.at("approval", "id").(string)
	path := "/approvals/" + id
	require.Equal(t, id, s.as(agent, "POST", bookPath+"invoke", params).is(202).at("approval", "id"))
	require.NotEqual(t, id, s.as(boss, "POST", bookPath+"test", params).is(202).at("approval", "id"), "a test sends it too")
	s.as(reader, "POST", bookPath+"test", members{"params": members{"patient": "Ann"}, "dry_run": true}).is(200)

	require.Equal(t, members{"patient": "Ann"}, s.as(boss, "GET", path, nil).is(200).at("parameters"))
	require.Equal(t, members{"patient": "Ann"}, s.as(agent, "GET", path, nil).is(200).at("parameters"), "who asked knows them")
	require.Nil(t, s.as(reader, "GET", path, nil).is(200).at("parameters"))
	s.as(agent, "POST", path+"/approve", nil).is(403, "own_approval")
	child := s.as(agent, "POST", "/api-keys", members{"name": "mine", "permissions": []string{"Approval.decide", "ApiKey.manage"}}).is(201).at("key").(string)
	s.as(child, "POST", path+"/approve", nil).is(403, "own_approval")
	grandchild := s.as(child, "POST", "/api-keys", members{"name": "its", "permissions": []string{"Approval.decide"}}).is(201).at("key").(string)
	s.as(grandchild, "POST", path+"/deny", members{"reason": "no"}).is(403, "own_approval")
	s.send(request{method: "DELETE", path: "/api-keys/" + s.as(child, "GET", "/v1/auth/me", nil).at("id").(string), key: agent}).is(204)
	s.as(grandchild, "POST", path+"/approve", nil).is(403, "own_approval") // the key in between is gone
	other := s.issue("acme", access.Decide, access.View)
	theirs := s.as(agent, "POST", "/api-keys/"+s.as(other, "GET", "/v1/auth/me", nil).at("id").(string)+"/rotate", members{}).is(200).at("key").(string)
	s.as(theirs, "POST", path+"/approve", nil).is(403, "own_approval") // who rotates a key has it
	s.send(request{method: "POST", path: path + "/deny", body: members{}, key: boss, wrong: true}).is(422, "required")
	s.send(request{method: "POST", path: path + "/approve", body: members{"version": 0, "reason": 7, "odd": 1}, key: boss, wrong: true}).is(422)
	require.Len(t, u.requests(), 1)

	require.Equal(t, "approved", s.as(boss, "POST", path+"/approve", members{"reason": "she called"}).is(200).at("state"))
	s.as(boss, "POST", path+"/approve", nil).is(409, "approval_decided")
	var made reply
	soon(t, func() bool { made = s.as(agent, "GET", path, nil).is(200); return made.at("state") == "made" })
	require.Equal(t, []any{"ok", 201., "she called"}, []any{made.at("outcome"), made.at("status_code"), made.at("reason")})
	require.Equal(t, true, made.at("answer", "raw_response", "booked"))
	require.NotContains(t, made.text, "planted-canary-2")
	require.Nil(t, s.as(boss, "GET", path, nil).is(200).at("answer"), "the answer is for who asked")
	require.Equal(t, true, s.as(agent, "POST", bookPath+"invoke", params).is(200).at("raw_response", "booked"))
	require.Equal(t, []string{"", `{"patient":"Ann"}`}, sent())
	require.NotEqual(t, id, s.as(agent, "POST", bookPath+"invoke", params).is(202).at("approval", "id"))

	call := s.get("/integrations/calls?endpoint=book").is(200)
	require.Equal(t, []any{id, true}, []any{call.at("items", 0, "approval_id"), call.at("items", 0, "bodies")})
	for _, want := range []string{"approval.requested", "approval.requested", "approval.approved", "approval.started", "approval.made"} {
		name, data, ok := stream.next()
		require.True(t, ok)
		require.Equal(t, want, name)
		holds(t, "Decided", []byte(data))
		require.NotContains(t, data, "Ann")
	}
	events := s.get("/approvals/events?integration_id=clinic").is(200)
	require.Equal(t, "approval.requested", events.at("items", 0, "type"))
	require.Equal(t, "approval.made", events.at("items", 1, "type"))
	require.Len(t, strings.Split(strings.TrimSpace(s.send(request{method: "GET", path: "/approvals/events", header: map[string]string{"Accept": "application/x-ndjson"}}).is(200).text), "\n"), 6)
	require.NotContains(t, s.log.String(), "Ann")
}

func TestNobodyDecidesAloneByWayOfKeysThatTheyIssued(t *testing.T) {
	t.Parallel()
	s := serve(t)
	_, sent := s.booking(t)
	issued := func(by string, permissions ...string) (key, id string) {
		made := s.as(by, "POST", "/api-keys", members{"name": "k", "permissions": permissions}).is(201)
		return made.at("key").(string), made.at("id").(string)
	}
	ask := func(key, patient string) string {
		return "/approvals/" + s.as(key, "POST", bookPath+"invoke", members{"params": members{"patient": patient}}).is(202).at("approval", "id").(string)
	}
	approve := func(key, path string) reply { return s.as(key, "POST", path+"/approve", nil) }

	manager := s.issue("acme", access.Invoke, access.View, access.Decide, access.ManageKeys)
	asks, _ := issued(manager, "Integration.invoke", "Integration.view")
	decides, _ := issued(manager, "Approval.decide", "Integration.view")
	path := ask(asks, "Ann")
	approve(decides, path).is(403, "own_approval")
	approve(manager, path).is(403, "own_approval")
	s.send(request{method: "DELETE", path: "/api-keys/" + s.as(manager, "GET", "/v1/auth/me", nil).at("id").(string)}).is(204)
	approve(decides, path).is(403, "own_approval") // both secrets are still in one hand
	approve(s.issue("acme", access.Decide, access.View), path).is(200)

	admin := s.issue("acme", access.Admin)
	asks, _ = issued(admin, "Integration.invoke", "Integration.view")
	decides, _ = issued(admin, "Approval.decide", "Integration.view")
	approve(admin, ask(asks, "Bob")).is(200)
	s.send(request{method: "DELETE", path: "/api-keys/" + s.as(admin, "GET", "/v1/auth/me", nil).at("id").(string)}).is(204)
	approve(decides, ask(asks, "Cid")).is(200)
	soon(t, func() bool { return len(sent()) == 3 })
}

func TestACallWhoseAskerMayNoLongerMakeItIsNotMade(t *testing.T) {
	t.Parallel()
	s := serve(t)
	u, _ := s.booking(t)
	boss := s.issue("acme", access.Decide, access.View)
	agent := s.as(s.issue("acme", access.Admin), "POST", "/api-keys", members{"name": "agent", "permissions": []string{"Integration.invoke", "Integration.view"}}).is(201)
	asked := s.as(agent.at("key").(string), "POST", bookPath+"invoke", members{"params": members{"patient": "Ann"}}).is(202)
	path := "/approvals/" + asked.at("approval", "id").(string)
	s.send(request{method: "DELETE", path: "/api-keys/" + agent.at("id").(string)}).is(204)
	s.as(boss, "POST", path+"/approve", nil).is(200)
	var after reply
	soon(t, func() bool { after = s.as(boss, "GET", path, nil).is(200); return after.at("ended_at") != nil })
	require.Equal(t, []any{"cancelled", "forbidden"}, []any{after.at("state"), after.at("cause")})
	require.Empty(t, u.requests())
}

func TestApprovalsAreListedNewestFirstByState(t *testing.T) {
	t.Parallel()
	s := serve(t)
	s.booking(t)
	agent := s.issue("acme", access.Invoke)
	var ids []any
	for _, patient := range []string{"a", "b", "c"} {
		ids = append([]any{s.as(agent, "POST", bookPath+"invoke", members{"params": members{"patient": patient}}).is(202).at("approval", "id")}, ids...)
	}
	denied := s.post("/approvals/"+ids[1].(string)+"/deny", members{"reason": "no"}).is(200)
	require.Equal(t, "denied", denied.at("state"))
	list := func(query string) (all []any) {
		page := s.get("/approvals?limit=1" + query).is(200)
		for {
			for _, item := range page.at("items").([]any) {
				all = append(all, item.(members)["id"])
			}
			token := page.at("continuation_token")
			if token == nil {
				return all
			}
			page = s.get("/approvals?limit=1" + query + "&continuation_token=" + token.(string)).is(200)
		}
	}
	require.Equal(t, ids, list(""))
	require.Equal(t, []any{ids[0], ids[2]}, list("&state=waiting"))
	require.Equal(t, []any{ids[1]}, list("&state=denied&integration_id=clinic"))
	require.Empty(t, list("&key=nobody"))
	s.send(request{method: "GET", path: "/approvals?state=lost", wrong: true}).is(422, "enum")
	token := s.get("/approvals?limit=1").at("continuation_token").(string)
	s.get("/approvals?limit=1&state=waiting&continuation_token="+token).is(422, "token_mismatch")
	s.as(agent, "POST", bookPath+"invoke", members{"params": members{"patient": "b"}}).is(403, "approval_denied")
	s.as(agent, "POST", bookPath+"invoke", members{"params": members{"patient": "b"}}).is(202)
}

func TestAKeySeesAndDecidesAboutCallsOfItsToolsOnly(t *testing.T) {
	t.Parallel()
	s := serve(t)
	s.booking(t)
	s.create(rest("lab", "https://lab.example", members{"endpoints": []any{endpoint("order", members{"method": "POST", "approval": "always"})}}))
	hidden := s.post("/integrations/lab/endpoints/order/invoke", nil).is(202).at("approval", "id").(string)
	seen := s.post(bookPath+"invoke", members{"params": members{"patient": "Ann"}}).is(202).at("approval", "id").(string)
	key := s.narrowed(domain.Scope{Tools: []string{"clinic__*"}}, access.View, access.Decide, access.Invoke)
	page := s.as(key, "GET", "/approvals", nil).is(200)
	require.Len(t, page.at("items"), 1)
	require.Equal(t, seen, page.at("items", 0, "id"))
	require.NotContains(t, s.as(key, "GET", "/approvals/events", nil).is(200).text, "lab")
	unknown := s.as(key, "GET", "/approvals/none", nil).is(404, "approval_not_found")
	theirs := s.as(key, "GET", "/approvals/"+hidden, nil).is(404, "approval_not_found")
	delete(unknown.json, "request_id")
	delete(theirs.json, "request_id")
	require.Equal(t, unknown.json, theirs.json)
	s.as(key, "POST", "/approvals/"+hidden+"/approve", nil).is(404, "approval_not_found")
	s.as(key, "POST", "/approvals/"+seen+"/approve", nil).is(200)
	s.send(request{method: "GET", path: "/v1/other/approvals/" + seen, key: s.issue("other", access.Admin)}).is(404, "approval_not_found")
	for _, odd := range []string{"*", ">", "a.b", "%20"} {
		s.send(request{method: "GET", path: "/approvals/" + odd, wrong: true}).is(404, "approval_not_found")
	}
}

func TestAnAgentAsksOverMCPAndGetsTheAnswerByAskingAgain(t *testing.T) {
	t.Parallel()
	s := serve(t)
	_, sent := s.booking(t)
	session, err := s.mcp(t, s.issue("acme", access.Invoke))
	require.NoError(t, err)
	defer func() { _ = session.Close() }()
	ask := func() *mcp.CallToolResult { return callTool(t, session, "clinic__book", members{"patient": "Ann"}) }
	first := ask()
	require.True(t, first.IsError)
	require.Contains(t, firstText(first), "call again with the same arguments")
	id := first.Meta["integrations/approval"].(map[string]any)["id"].(string)
	require.Contains(t, firstText(first), id)
	require.Empty(t, sent())
	require.Equal(t, "mcp", s.get("/approvals/"+id).is(200).at("kind"))
	s.post("/approvals/"+id+"/approve", nil).is(200)
	soon(t, func() bool { return s.get("/approvals/"+id).is(200).at("state") == "made" })
	again := ask()
	require.False(t, again.IsError, firstText(again))
	require.Contains(t, firstText(again), `"booked":true`)
	require.Len(t, sent(), 1)

	denied := ask().Meta["integrations/approval"].(map[string]any)["id"].(string)
	s.post("/approvals/"+denied+"/deny", members{"reason": "she moved"}).is(200)
	no := ask()
	require.True(t, no.IsError)
	require.Contains(t, firstText(no), "she moved")
}

func TestWebhooksTellOfApprovals(t *testing.T) {
	t.Parallel()
	s := serve(t)
	s.booking(t)
	got := make(chan string, 10)
	receiver := listen(t, func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got <- string(body)
	})
	s.post(hooks, members{"url": receiver.url, "event_types": []string{"approval.*"}}).is(201)
	id := s.post(bookPath+"invoke", members{"params": members{"patient": "Ann"}}).is(202).at("approval", "id").(string)
	body := <-got
	require.Regexp(t, `^\{"type":"approval.requested","timestamp":"[^"]+Z","data":\{"position":1,`, body)
	require.Contains(t, body, `"id":"`+id+`"`)
	require.NotContains(t, body, "Ann")
	s.as(s.issue("acme", access.Decide), "POST", "/approvals/"+id+"/deny", members{"reason": "no"}).is(200)
	require.Contains(t, <-got, `"type":"approval.denied"`)
}
