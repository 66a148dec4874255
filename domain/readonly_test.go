package domain_test

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/domain"
)

func TestWhatIsShownCanBeSentBack(t *testing.T) {
	i := created(t, keyed)
	by := domain.Attempt{At: later, ID: "a2"}
	for _, same := range []string{
		`{"id": "` + string(i.ID) + `", "workspace_id": "acme", "name": "crm", "builtin": false, "version": 1, "created_at": "2026-05-06T12:00:00Z",
			"updated_at": "2026-05-06T12:00:00.000000Z", "last_test_status": "timeout", "last_test_message": "It timed out.", "last_tested_at": "2026-05-07T12:00:00Z", "removed_endpoints": ["list"]}`,
		`{"version": 1.0, "created_at": "2026-05-06T14:00:00+02:00", "last_test_status": null, "last_tested_at": null}`,
		`{"auth": {"type": "api_key_header", "secrets": {"api_key_value": {"set": true, "version": 1, "updated_at": "2026-05-06T12:00:00Z"}}}}`,
		`{"auth": {"type": "api_key_header", "secrets": null, "username": null, "password_value": null, "exchange_param_headers": null}}`,
		`{"mcp_url": "", "mcp_command": "", "mcp_transport": null, "mcp_args": [], "mcp_headers": {}}`,
	} {
		d, err := i.Update(doc(t, same), by, rules)
		require.NoError(t, err, same)
		require.Nil(t, d.Event, same)
	}
	for _, c := range []struct{ over, pointer, code string }{
		{`{"id": "x"}`, "/id", "immutable"},
		{`{"workspace_id": "w"}`, "/workspace_id", "immutable"},
		{`{"name": "other"}`, "/name", "immutable"},
		{`{"builtin": true}`, "/builtin", "read_only"},
		{`{"version": 2}`, "/version", "read_only"},
		{`{"version": "1"}`, "/version", "read_only"},
		{`{"created_at": "2026-05-06T12:00:01Z"}`, "/created_at", "read_only"},
		{`{"updated_at": 7}`, "/updated_at", "read_only"},
		{`{"last_test_status": "fine"}`, "/last_test_status", "read_only"},
		{`{"last_test_message": 1}`, "/last_test_message", "read_only"},
		{`{"last_tested_at": "yesterday"}`, "/last_tested_at", "read_only"},
		{`{"auth": {"secrets": {}}}`, "/auth/secrets", "read_only"},
		{`{"auth": {"secrets": {"api_key_value": {"set": true, "version": 2, "updated_at": "2026-05-06T12:00:00Z"}}}}`, "/auth/secrets", "read_only"},
		{`{"auth": {"secrets": {"api_key_value": "k2"}}}`, "/auth/secrets", "read_only"},
		{`{"auth": {"username": "u"}}`, "/auth/username", "unknown_member"},
		{`{"base_url": ""}`, "/base_url", "too_short"},
	} {
		_, err := i.Update(doc(t, c.over), by, rules)
		requireProblem(t, err, c.pointer, c.code)
	}
	tools := created(t, `{"name": "tools", "display_name": "T", "protocol": "mcp", "mcp_transport": "http", "mcp_url": "https://a.example", "base_url": "", "mcp_command": ""}`)
	require.Empty(t, tools.BaseURL)
}

func TestAMergeKeepsTheEndpointsThatItDoesNotName(t *testing.T) {
	i := created(t, calling)
	require.Len(t, i.Endpoints, 1)
	by := domain.Attempt{At: later, ID: "a2"}
	d, err := i.Merge(doc(t, `{"endpoints": [{"name": "new", "description": "New.", "path": "/new"}]}`), by, rules)
	require.NoError(t, err)
	next := domain.Evolve(i, d.Event)
	require.Equal(t, []string{"/endpoints"}, d.Event.(domain.IntegrationUpdated).Changed)
	require.Equal(t, i.Endpoints[0], next.Endpoints[0], "with its secret, in its place")
	require.Equal(t, "new", next.Endpoints[1].Name)
	require.Empty(t, domain.RemovedEndpoints(i.Configuration, next.Configuration))

	d, err = next.Merge(doc(t, `{"endpoints": [{"name": "new", "description": "Newer.", "path": "/new"}]}`), by, rules)
	require.NoError(t, err)
	require.Equal(t, []string{"/endpoints/1/description"}, d.Event.(domain.IntegrationUpdated).Changed)

	d, err = next.Update(doc(t, `{"endpoints": [{"name": "new", "description": "New.", "path": "/new"}]}`), by, rules)
	require.NoError(t, err)
	require.Equal(t, []string{next.Endpoints[0].Name}, domain.RemovedEndpoints(next.Configuration, domain.Evolve(next, d.Event).Configuration))

	_, err = next.Merge(doc(t, `{"endpoints": [`+strings.TrimSuffix(strings.Repeat(`{"name": "e", "description": "d", "path": "/p"},`, 2), ",")+`]}`), by, rules)
	requireProblem(t, err, "/endpoints/1/name", "duplicate")
}

func TestNullIsAcceptedForEveryMemberOfAnAuth(t *testing.T) {
	i := created(t, keyed)
	members := map[string]any{}
	for _, field := range reflect.VisibleFields(reflect.TypeFor[domain.Auth]()) {
		if name, _, _ := strings.Cut(field.Tag.Get("json"), ","); !field.Anonymous {
			members[name] = nil
		}
	}
	d, err := i.Update(domain.Document{"auth": members}, domain.Attempt{At: later}, rules)
	require.NoError(t, err)
	require.Nil(t, d.Event)
}

func TestAWholeNumberHasManySpellings(t *testing.T) {
	for text, want := range map[string]int64{"3": 3, "3.0": 3, "1e2": 100, "1.5e1": 15, "-0.0": 0, "9007199254740993": 9007199254740993} {
		got, whole := domain.WholeNumber(json.Number(text))
		require.True(t, whole, text)
		require.Equal(t, want, got, text)
	}
	for _, text := range []string{"1.5", "1e-1", "1e300", "99999999999999999999", "", "x"} {
		_, whole := domain.WholeNumber(json.Number(text))
		require.False(t, whole, text)
	}
}

func TestARefusalBeginsWithItsFirstProblem(t *testing.T) {
	for _, c := range []struct {
		problems []domain.Problem
		want     string
	}{
		{[]domain.Problem{{Pointer: "/name", Detail: "must have at least 2 characters"}, {Pointer: "/a", Detail: "is required"}}, "name must have at least 2 characters (and 1 more)"},
		{[]domain.Problem{{Pointer: "/endpoints/0/a~1b", Detail: "there is no such member here"}}, "endpoints/0/a/b: there is no such member here"},
		{[]domain.Problem{{Detail: "must be a JSON object"}}, "the body must be a JSON object"},
		{[]domain.Problem{{Detail: "the body is not JSON"}}, "the body is not JSON"},
	} {
		refusal, _ := domain.RefuseAll(c.problems).(*domain.Error) //nolint:errorlint // it is not wrapped
		require.Equal(t, c.want, refusal.Message)
	}
}
