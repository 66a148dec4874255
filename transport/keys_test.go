package transport_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/access"
)

func TestAnAPIKeyIsShownOnceAndWorksUntilItIsRevoked(t *testing.T) {
	t.Parallel()
	s := serve(t)
	made := s.post("/api-keys", members{"name": "reader", "permissions": []string{"Integration.view", "Integration.view"}, "expires_at": nil}).is(201)
	text, id := made.at("key").(string), made.at("id").(string)
	require.Equal(t, []any{"Integration.view"}, made.at("permissions"))
	require.Nil(t, made.at("expires_at"))
	require.Nil(t, made.at("last_used_at"))
	s.send(request{method: "GET", path: "/integrations", key: text}).is(200)
	s.send(request{method: "POST", path: "/integrations", key: text, body: rest("crm", "https://a.example")}).is(403)
	s.send(request{method: "GET", path: "/api-keys", key: text}).is(403)
	s.send(request{method: "GET", path: "/v1/other/integrations", key: text}).is(403)

	listed := s.get("/api-keys").is(200)
	require.InDelta(t, 2, listed.at("total"), 0)
	hidden(t, "the list of keys", listed.text, text, text[21:85])
	require.NotContains(t, listed.text, "sha256")
	for n := range listed.at("items").([]any) {
		if listed.at("items", n, "id") == id {
			require.NotNil(t, listed.at("items", n, "last_used_at"))
		}
	}
	s.delete("/api-keys/" + id).is(204)
	s.send(request{method: "GET", path: "/integrations", key: text}).is(401)
	s.delete("/api-keys/"+id).is(404, "api_key_not_found")
	s.post("/api-keys/"+id+"/rotate", nil).is(404, "api_key_not_found")
	require.InDelta(t, 1, s.get("/api-keys").at("total"), 0)
	require.NotContains(t, s.log.String(), text[21:85])
}

func TestTheOldTextOfARotatedKeyStaysValidForAWhile(t *testing.T) {
	t.Parallel()
	s := serve(t)
	works := func(text string) bool {
		return s.send(request{method: "GET", path: "/integrations", key: text}).status == 200
	}
	made := s.post("/api-keys", members{"name": "k", "permissions": []string{"Integration.view"}}).is(201)
	first, path := made.at("key").(string), "/api-keys/"+made.at("id").(string)+"/rotate"
	second := s.post(path, members{"overlap_seconds": 3600}).is(200)
	require.NotNil(t, second.at("rotated_at"))
	require.Equal(t, made.at("id"), second.at("id"))
	require.True(t, works(first))
	require.True(t, works(second.at("key").(string)))
	third := s.post(path, members{"overlap_seconds": 0}).is(200).at("key").(string)
	require.False(t, works(second.at("key").(string)))
	require.True(t, works(third))
	fourth := s.post(path, members{"overlap_seconds": 1}).is(200).at("key").(string)
	soon(t, func() bool { return !works(third) })
	require.True(t, works(fourth))
	require.True(t, works(fourth))
	s.post(path, nil).is(200)
	require.True(t, works(fourth), "an hour by default")
	for _, body := range []string{`{"overlap_seconds":-1}`, `{"overlap_seconds":604801}`, `{"overlap_seconds":"1"}`, `{"overlap_seconds":null}`, `{"overlap_seconds":1.5}`, `{"overlap":1}`, `[]`} {
		s.send(request{method: "POST", path: path, body: body, wrong: true}).is(422)
	}
}

func TestAKeyCanNotGrantPermissionsItLacks(t *testing.T) {
	t.Parallel()
	s := serve(t)
	manager := s.issue("acme", access.ManageKeys, access.View)
	as := func(method, path string, body any) reply {
		return s.send(request{method: method, path: path, body: body, key: manager})
	}
	as("POST", "/api-keys", members{"name": "fine", "permissions": []string{"Integration.view", "ApiKey.manage"}}).is(201)
	for _, p := range []string{"Workspace.admin", "Integration.create", "Integration.invoke"} {
		as("POST", "/api-keys", members{"name": "more", "permissions": []string{"Integration.view", p}}).is(403, "forbidden")
	}
	admin := s.post("/api-keys", members{"name": "admin", "permissions": []string{"Workspace.admin"}}).is(201)
	as("POST", "/api-keys/"+admin.at("id").(string)+"/rotate", nil).is(403, "forbidden")
	as("DELETE", "/api-keys/"+admin.at("id").(string), nil).is(403, "forbidden")
	invoking := s.post("/api-keys", members{"name": "agent", "permissions": []string{"Integration.invoke"}}).is(201).at("id").(string)
	as("DELETE", "/api-keys/"+invoking, nil).is(403, "forbidden")
	viewing := s.post("/api-keys", members{"name": "viewer", "permissions": []string{"Integration.view"}}).is(201).at("id").(string)
	as("DELETE", "/api-keys/"+viewing, nil).is(204)
	s.send(request{method: "GET", path: "/api-keys", key: admin.at("key").(string)}).is(200)

	// A key of another workspace, and the operator's, are not found.
	theirs, _, err := s.stores.keys.Issue(t.Context(), access.Key{Workspace: "other", Name: "theirs", Permissions: []access.Permission{access.View}})
	require.NoError(t, err)
	operators, _, err := s.stores.keys.Issue(t.Context(), access.Key{Name: "operator", Permissions: []access.Permission{access.Admin}})
	require.NoError(t, err)
	for _, id := range []string{theirs.ID, operators.ID, "0000000000000000", "x"} {
		s.delete("/api-keys/"+id).is(404, "api_key_not_found")
		s.post("/api-keys/"+id+"/rotate", nil).is(404, "api_key_not_found")
		require.NotContains(t, s.get("/api-keys").text, id+`"`)
	}
}

func TestAKeyCanNotIssueOneThatIsValidForLonger(t *testing.T) {
	t.Parallel()
	s := serve(t)
	until := time.Now().Add(time.Hour).UTC().Truncate(time.Second)
	for _, mine := range []access.Permission{access.ManageKeys, access.Admin} {
		_, short, err := s.stores.keys.Issue(t.Context(), access.Key{Workspace: "acme", Name: "short", Permissions: []access.Permission{mine}, ExpiresAt: until})
		require.NoError(t, err)
		as := func(path string, body any) reply {
			return s.send(request{method: "POST", path: path, body: body, key: short})
		}
		same := members{"name": "n", "permissions": []string{"ApiKey.manage"}, "expires_at": until.Format(time.RFC3339)}
		made := as("/api-keys", same).is(201).at("id").(string)
		as("/api-keys", members{"name": "n", "permissions": []string{"ApiKey.manage"}}).is(403, "forbidden")
		as("/api-keys", members{"name": "n", "permissions": []string{"ApiKey.manage"}, "expires_at": until.Add(time.Second).Format(time.RFC3339)}).is(403, "forbidden")
		as("/api-keys/"+made+"/rotate", nil).is(200)
		ever := s.post("/api-keys", members{"name": "ever", "permissions": []string{"ApiKey.manage"}}).is(201).at("id").(string)
		as("/api-keys/"+ever+"/rotate", nil).is(403, "forbidden")
	}
}

func TestAKeyEndsWhenItExpires(t *testing.T) {
	t.Parallel()
	s := serve(t)
	made := s.post("/api-keys", members{"name": "short", "permissions": []string{"Integration.view"}, "expires_at": time.Now().Add(2 * time.Second).Format(time.RFC3339Nano)}).is(201)
	require.NotNil(t, made.at("expires_at"))
	key := made.at("key").(string)
	s.send(request{method: "GET", path: "/integrations", key: key}).is(200)
	soon(t, func() bool { return s.send(request{method: "GET", path: "/integrations", key: key}).status == 401 })
	for body, at := range map[string][]string{
		`{}`:                            {"/name", "/permissions"},
		`{"name":"x","permissions":[]}`: {"/permissions"},
		`{"name":"","permissions":["Integration.view"]}`:                                            {"/name"},
		`{"name":1,"permissions":"Integration.view"}`:                                               {"/name", "/permissions"},
		`{"name":"x","permissions":["Integration.view","Root",1]}`:                                  {"/permissions/1", "/permissions/2"},
		`{"name":"x","permissions":["Integration.view"],"expires_at":"2020-01-01T00:00:00Z"}`:       {"/expires_at"},
		`{"name":"x","permissions":["Integration.view"],"expires_at":"soon"}`:                       {"/expires_at"},
		`{"name":"x","permissions":["Integration.view"],"expires_at":5}`:                            {"/expires_at"},
		`{"name":"x","permissions":["Integration.view"],"expires_at":"9999-12-31T23:59:59-23:59"}`:  {"/expires_at"},
		`{"name":"x","permissions":["Integration.view"],"id":"me","workspace_id":"other","a/b~":1}`: {"/a~1b~0", "/id", "/workspace_id"},
	} {
		require.ElementsMatch(t, at, s.send(request{method: "POST", path: "/api-keys", body: body, wrong: true}).is(422).pointers(), body)
	}
}
