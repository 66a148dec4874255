package transport_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAHistoryShowsWhatChangedAndWhoChangedIt(t *testing.T) {
	t.Parallel()
	s := serve(t)
	s.send(request{method: "POST", path: "/integrations", body: rest("crm", "https://a.example", members{"auth": members{"api_key_value": "one"}}), header: map[string]string{"X-Request-Id": "req-1"}}).is(201)
	s.put("/integrations/crm", members{"display_name": "Two", "auth": members{"api_key_value": "two"}, "endpoints": []any{endpoint("list")}}).is(200)
	s.put("/integrations/crm", members{"endpoints": []any{endpoint("list", members{"timeout_ms": 5000})}, "enabled": false}).is(200)
	s.delete("/integrations/crm").is(204)
	for _, path := range []string{"crm", s.post("/integrations?dry_run=true", rest("crm", "https://a.example")).at("integration", "id").(string)} {
		got := s.get("/integrations/" + path + "/history").is(200)
		items := got.at("items").([]any)
		require.Len(t, items, 4, "the history of a deleted integration stays")
		for n, want := range []string{"integration.created", "integration.updated", "integration.updated", "integration.deleted"} {
			require.Equal(t, want, got.at("items", n, "type"))
			require.InDelta(t, n+1, got.at("items", n, "version"), 0)
			require.Len(t, got.at("items", n, "actor"), 16)
			require.Equal(t, "127.0.0.1", got.at("items", n, "address"))
			require.Nil(t, got.at("items", n, "problem"))
		}
		require.Equal(t, "req-1", got.at("items", 0, "request_id"))
		changed := func(n int) map[string]members {
			all := map[string]members{}
			for _, c := range got.at("items", n, "changed").([]any) {
				all[c.(members)["pointer"].(string)] = c.(members)
			}
			return all
		}
		require.Equal(t, "The crm", changed(0)["/display_name"]["new"])
		second := changed(1)
		require.Len(t, second, 3)
		require.Equal(t, members{"pointer": "/display_name", "old": "The crm", "new": "Two"}, second["/display_name"])
		require.Equal(t, members{"pointer": "/auth/secrets/api_key_value", "secret": true}, second["/auth/secrets/api_key_value"])
		require.Contains(t, second, "/endpoints")
		third := changed(2)
		require.Equal(t, members{"pointer": "/enabled", "old": true, "new": false}, third["/enabled"])
		require.Equal(t, members{"pointer": "/endpoints/0/timeout_ms", "old": 30000.0, "new": 5000.0}, third["/endpoints/0/timeout_ms"])
		require.Len(t, third, 2)
		require.Empty(t, got.at("items", 3, "changed"))
	}
	s.get("/integrations/nothing/history").is(404, "integration_not_found")
}

func TestAHistoryIsReadPageByPage(t *testing.T) {
	t.Parallel()
	s := serve(t)
	s.create(rest("crm", "https://a.example"))
	s.create(rest("other", "https://a.example"))
	for n := range 5 {
		s.put("/integrations/crm", members{"display_name": fmt.Sprint(n)}).is(200)
		s.put("/integrations/other", members{"display_name": fmt.Sprint(n)}).is(200)
	}
	for _, limit := range []int{1, 2, 3, 6, 200} {
		var versions []float64
		for token := "0"; ; {
			got := s.get(fmt.Sprintf("/integrations/crm/history?limit=%d&continuation_token=%s", limit, token)).is(200)
			for n := range got.at("items").([]any) {
				versions = append(versions, got.at("items", n, "version").(float64))
			}
			if got.at("has_more") == false {
				require.Nil(t, got.at("continuation_token"))
				break
			}
			token = got.at("continuation_token").(string)
		}
		require.Equal(t, []float64{1, 2, 3, 4, 5, 6}, versions, "pages of %d", limit)
	}
	token := s.get("/integrations/crm/history?limit=1").is(200).at("continuation_token").(string)
	s.get("/integrations/other/history?continuation_token="+token).is(422, "token_mismatch")
	s.get("/integrations?continuation_token="+token).is(422, "token_mismatch")
	s.send(request{method: "GET", path: "/integrations/crm/history?limit=0", wrong: true}).is(422)
}
