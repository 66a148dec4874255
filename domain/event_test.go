package domain_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/seed677028b5/integrations/domain"
)

// everything is an integration with every field set.
func everything(t testing.TB) domain.Integration {
	t.Helper()
	data, err := os.ReadFile("testdata/everything.json")
	require.NoError(t, err)
	return created(t, string(data))
}

// samples has one event of each type, with every field set.
func samples(t testing.TB) map[string]domain.Event {
	t.Helper()
	i := asFirstStored(everything(t))
	p := domain.Approval{
		ID: "a-1", Workspace: i.Workspace, Integration: i.ID, Name: "crm", Incarnation: 1, ConfigVersion: 3, Endpoint: "book", Method: "POST", Kind: domain.MCPCall,
		State: domain.ApprovalMade, Version: 4, Parameters: "hmac", Key: "agent", Subject: "hmac-2", RequestedAt: noon, ExpiresAt: noon, DecidedBy: "boss",
		DecidedAt: noon, Reason: "fine", Attempt: "x-1", StartedAt: noon, EndedAt: noon, Cause: domain.CancelChanged, Outcome: domain.CallOK, StatusCode: 201, Duration: 1234,
	}
	all := authorizationSamples()
	maps.Copy(all, map[string]domain.Event{
		"approval.requested":       domain.CallRequested{Approval: p},
		"approval.approved":        domain.CallApproved{Approval: p},
		"approval.denied":          domain.CallDenied{Approval: p},
		"approval.expired":         domain.CallExpired{Approval: p},
		"approval.started":         domain.CallStarted{Approval: p},
		"approval.made":            domain.CallMade{Approval: p},
		"approval.cancelled":       domain.CallCancelled{Approval: p},
		"approval.outcome_unknown": domain.CallLost{Approval: p},
		"integration.created":      domain.IntegrationCreated{Integration: i},
		"integration.updated":      domain.IntegrationUpdated{Integration: i, Changed: []string{"/base_url", "/enabled"}},
		"integration.deleted":      domain.IntegrationDeleted{ID: i.ID, Workspace: i.Workspace, Name: i.Name, Version: 9, At: noon, Reason: "replaced"},
		"integration.probed": domain.IntegrationProbed{ID: i.ID, Workspace: i.Workspace, Incarnation: 1, Probe: domain.Probe{
			Status: domain.AuthFailed, AuthResolved: true, HTTPStatus: 401, Duration: 1234, Message: "HEAD answered 401.", At: noon,
			Steps: []domain.ProbeStep{{Name: "request", Detail: "HEAD answered 401."}},
		}, Days: []domain.ProbeDay{{Date: "2026-05-06", Total: 1}}},
		"integration.invoked": domain.IntegrationInvoked{
			ID: i.ID, Workspace: i.Workspace, Incarnation: 1, Endpoint: "list_slots", Kind: domain.ToolCall, StatusCode: 503, Outcome: domain.OutcomeOf(domain.CallUpstreamError),
			Attempts: 3, Duration: 1234, At: noon,
		},
	})
	return all
}

// asFirstStored is i with its secret destinations as the first version recorded
// them: a token had the place of the secret it was issued for, and neither the path
// of a token in a response nor the identity of a private key was recorded.
func asFirstStored(i domain.Integration) domain.Integration {
	auths := []*domain.Auth{i.Auth}
	for _, e := range i.Endpoints {
		auths = append(auths, e.Auth)
	}
	for _, a := range auths {
		secret := a.Secret()
		secret.Destinations = slices.DeleteFunc(secret.Destinations, func(d string) bool {
			_, place, _ := strings.Cut(d, " ")
			return strings.HasPrefix(place, "reads ") || strings.HasPrefix(place, "as ")
		})
		if secret.ID != "" {
			a.Secrets[a.SecretField()] = secret
		}
		all := secret.Destinations
		for n, d := range all {
			if origin, ok := strings.CutSuffix(d, " "+domain.TokenPlace); ok {
				_, place, _ := strings.Cut(all[len(all)-1-n], " ")
				all[n] = origin + " " + place
			}
		}
	}
	return i
}

// TestEveryVersionEverStoredIsRead reads testdata/history, which has one file for
// each version of each event that was ever stored. Files there never change; a new
// version adds one.
func TestEveryVersionEverStoredIsRead(t *testing.T) {
	var codec domain.Codec
	present := samples(t)
	seen := map[string]bool{}
	files, err := filepath.Glob("testdata/history/*.json")
	require.NoError(t, err)
	for _, file := range files {
		name, version, ok := strings.Cut(strings.TrimSuffix(filepath.Base(file), ".json"), ".v")
		require.True(t, ok, file)
		number, err := strconv.Atoi(version)
		require.NoError(t, err, file)
		data, err := os.ReadFile(file)
		require.NoError(t, err)
		e, err := codec.Decode(domain.Encoded{Name: name, Version: number, Data: data})
		require.NoError(t, err, file)
		require.Equal(t, present[name], e, file)
		seen[fmt.Sprint(name, number)] = true
	}
	for name, e := range present {
		encoded, err := codec.Encode(e)
		require.NoError(t, err)
		require.True(t, seen[fmt.Sprint(encoded.Name, encoded.Version)], "testdata/history has no file of %s version %d", name, encoded.Version)
		require.Equal(t, name, encoded.Name)
		file, err := os.ReadFile(fmt.Sprintf("testdata/history/%s.v%d.json", encoded.Name, encoded.Version))
		require.NoError(t, err)
		require.JSONEq(t, string(file), string(encoded.Data), "the stored form of %s changed: give it a new version", name)
	}
}

func TestUnknownEventsAreNotDecoded(t *testing.T) {
	var codec domain.Codec
	for _, stored := range []domain.Encoded{
		{Name: "integration.renamed", Version: 1, Data: []byte(`{}`)},
		{Name: "integration.created", Version: 0, Data: []byte(`{}`)},
		{Name: "integration.created", Version: 2, Data: []byte(`{}`)},
		{Name: "integration.created", Version: 1, Data: []byte(`[`)},
		{Name: "integration.created", Version: 1, Data: []byte(`[]`)},
	} {
		_, err := codec.Decode(stored)
		require.Error(t, err, stored.Name)
	}
}

func TestAProbeAndACallChangeNothing(t *testing.T) {
	i := everything(t)
	require.Equal(t, i, domain.Evolve(i, samples(t)["integration.probed"]))
	require.Equal(t, i, domain.Evolve(i, samples(t)["integration.invoked"]))
	require.Equal(t, i, domain.Evolve(i, nil))
}

func TestAnyHistoryHasVersionsWithoutGaps(t *testing.T) {
	updates := []string{
		`{"enabled": false}`, `{"enabled": true}`, `{"auth": null}`, `{"auth": {"bearer_token_value": "t"}}`, `{"base_url": "https://b.example.com"}`,
		`{"base_url": "https://crm.example.com/v2"}`, `{"endpoints": []}`, `{"endpoints": [{"name": "e", "description": "d", "path": "/p", "base_url": "https://c.example.com"}]}`, `{"protocol": "soap"}`,
	}
	rapid.Check(t, func(rt *rapid.T) {
		var state domain.Integration
		recorded := uint64(0)
		for n := range rapid.IntRange(1, 30).Draw(rt, "updates") {
			attempt := domain.Attempt{At: noon, ID: fmt.Sprint("a", n)}
			var d domain.Decision
			var err error
			switch rapid.IntRange(0, 5).Draw(rt, "kind") {
			case 0:
				d, err = state.Create("acme", doc(t, keyed), attempt, rules)
			case 1:
				d, err = state.Delete("", attempt)
			default:
				d, err = state.Update(doc(t, rapid.SampledFrom(updates).Draw(rt, "update")), attempt, rules)
			}
			if err != nil || d.Event == nil {
				require.Empty(rt, d.Seal, "a decision without an event seals nothing")
				continue
			}
			recorded++
			state = domain.Evolve(state, d.Event)
			require.Equal(rt, recorded, state.Version)
			for _, s := range d.Seal {
				require.Contains(rt, state.Secrets(), s.Ref, "the state references every sealed secret")
			}
			for _, ref := range state.Secrets() {
				require.NotEmpty(rt, ref.ID)
				require.NotEmpty(rt, ref.Destinations, "a secret always has a destination")
			}
		}
	})
}

func FuzzDecodeAndEvolve(f *testing.F) {
	var codec domain.Codec
	for name, e := range samples(f) {
		encoded, err := codec.Encode(e)
		require.NoError(f, err)
		f.Add(name, encoded.Version, encoded.Data)
	}
	f.Fuzz(func(_ *testing.T, name string, version int, data []byte) {
		e, err := codec.Decode(domain.Encoded{Name: name, Version: version, Data: data})
		if err != nil {
			return
		}
		i := domain.Evolve(domain.Integration{}, e) // no recorded event makes later code panic
		i = domain.Evolve(i, e)
		_ = i.Secrets()
		_, _ = i.Update(domain.Document{"enabled": false, "auth": map[string]any{}}, domain.Attempt{At: noon}, rules)
		_, _ = i.Delete("", domain.Attempt{At: noon})
		_ = domain.Changes(domain.Configuration{}, i.Configuration)
	})
}

func TestAnIDIsAUUIDOfWorkspaceAndName(t *testing.T) {
	// As another implementation computes them: uuid.uuid5 of Python.
	for _, c := range []struct{ workspace, name, id string }{
		{"acme", "crm", "fd44da75-d897-5e10-8249-0a97f9107f39"},
		{"", "crm", "955b4e72-ec77-5afa-ae1b-1983453b0423"},
		{"acme", "", "4e1d7aa2-9b3f-547f-bb50-48620a83d547"},
		{"acme/eu", "crm", "57f856a1-5eb7-506b-9b09-6a2d0f44e1c1"},
		{"acme", "Ärzte 🏥", "ebaa96a6-7aae-5aff-b448-a0b4dbd5b44d"},
	} {
		require.Equal(t, domain.ID(c.id), domain.NewID(domain.Workspace(c.workspace), c.name))
	}
	rapid.Check(t, func(rt *rapid.T) {
		w, name := domain.Workspace(rapid.String().Draw(rt, "workspace")), rapid.String().Draw(rt, "name")
		id := domain.NewID(w, name)
		require.Regexp(rt, `^[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`, string(id))
		require.Equal(rt, id, domain.ParseID(w, strings.ToUpper(string(id))))
	})
	require.Equal(t, domain.NewID("acme", "crm"), domain.ParseID("acme", "crm"))
}

func TestAWorkspaceHasNoDotsAndNoWildcards(t *testing.T) {
	for _, good := range []string{"a", "acme_2-EU", "6f1d3c5a-8e42-4b9c-9a77-0b25d4e831fe", strings.Repeat("w", 64)} {
		_, err := domain.ParseWorkspace(good)
		require.NoError(t, err, good)
	}
	for _, bad := range []string{"", "a.b", "*", ">", "a b", "ä", "a\n", "a/b", strings.Repeat("w", 65)} {
		_, err := domain.ParseWorkspace(bad)
		require.Equal(t, domain.Invalid, domain.KindOf(err), bad)
	}
}

func TestTheBuiltinsDifferBetweenWorkspacesOnlyInTheirIDs(t *testing.T) {
	settings := domain.BuiltinSettings{FHIRURL: "https://fhir.example.com/{workspace_id}/r4", SearchEngineID: "cx 1", Disabled: []string{domain.GoogleSearch}}
	all := domain.Builtins("acme", settings)
	require.Len(t, all, 3)
	for _, b := range all {
		require.True(t, b.Builtin && b.Exists())
		require.Equal(t, domain.NewID("acme", b.Name), b.ID)
		require.NotEmpty(t, b.Endpoints)
		require.Equal(t, b.Name != domain.GoogleSearch, b.Enabled)
		found, ok := domain.Builtin("acme", b.ID, settings)
		require.True(t, ok)
		require.Equal(t, b, found)
		_, ok = domain.Builtin("other", b.ID, settings)
		require.False(t, ok)
		for _, e := range b.Endpoints {
			require.True(t, json.Valid(e.InputSchema), e.Name)
		}
	}
	require.Equal(t, "https://fhir.example.com/acme/r4", all[2].BaseURL)
	require.Equal(t, "/customsearch/v1?cx=cx+1", all[1].Endpoints[0].Path)
}

func TestASecretIsNeverPrinted(t *testing.T) {
	type holder struct{ s domain.Secret }
	s := domain.NewSecret("hunter2")
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d", "%t", "%p"} {
		fmt.Fprintf(&out, strings.Repeat(verb, 3), s, &s, holder{s})
	}
	for _, handler := range []slog.Handler{slog.NewJSONHandler(&out, nil), slog.NewTextHandler(&out, nil)} {
		slog.New(handler).Info("x", slog.Any("s", s), slog.Any("h", holder{s}), slog.Any("sealed", domain.SealedSecret{Secret: s}))
	}
	data, err := json.Marshal([]any{s, &s, struct{ S domain.Secret }{s}})
	require.NoError(t, err)
	out.Write(data)
	require.NotContains(t, out.String(), "hunter2")
	require.NotContains(t, out.String(), "68756e74657232")
	require.Equal(t, "hunter2", s.Reveal())
	require.Empty(t, domain.Secret{}.Reveal())
}
