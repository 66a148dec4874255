package commands_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/audit"
	"github.com/seed677028b5/integrations/commands"
	"github.com/seed677028b5/integrations/connectors"
	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/eventstore"
	"github.com/seed677028b5/integrations/internal/natstest"
	"github.com/seed677028b5/integrations/vault"
)

var ann = commands.Caller{Workspace: "acme", Actor: "key-ann", Address: "192.0.2.1", RequestID: "req-1"}

// clock is a clock that tests move.
type clock struct{ atomic.Int64 }

func (c *clock) now() time.Time { return time.UnixMicro(c.Load()).UTC() }

func (c *clock) add(d time.Duration) { c.Add(d.Microseconds()) }

type fixture struct {
	*commands.Service
	events *eventstore.Store
	vault  *vault.Vault
	clock  *clock
}

// start returns a service on a real log, a real vault and real connectors.
func start(t *testing.T) fixture {
	t.Helper()
	return startOn(t, natstest.Connect(t), 1)
}

func openEvents(t *testing.T, nc *nats.Conn, replicas int) *eventstore.Store {
	t.Helper()
	events, err := eventstore.Open(t.Context(), nc, eventstore.Config{
		Durable: func(context.Context) (bool, error) { return true, nil }, Replicas: replicas, Timeout: time.Duration(replicas) * 2 * time.Second,
	})
	require.NoError(t, err)
	return events
}

func startOn(t *testing.T, nc *nats.Conn, replicas int) fixture {
	t.Helper()
	events := openEvents(t, nc, replicas)
	v, err := vault.Open(t.Context(), nc, vault.RootKeys{File: filepath.Join(t.TempDir(), "root.keyset")}, replicas)
	require.NoError(t, err)
	c := &clock{}
	c.Store(time.Now().UnixMicro())
	outside, err := connectors.New(connectors.Config{AllowLoopback: true, Now: c.now})
	require.NoError(t, err)
	return fixture{
		Service: &commands.Service{
			Events: events, Vault: v, Connectors: outside, Rules: connectors.Rules(), Now: c.now,
			NewID: rand.Text, Log: slog.New(slog.DiscardHandler),
		},
		events: events, vault: v, clock: c,
	}
}

func doc(t *testing.T, format string, args ...any) domain.Document {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(fmt.Sprintf(format, args...)))
	d.UseNumber()
	var document domain.Document
	require.NoError(t, d.Decode(&document))
	return document
}

const crm = `{"name": "crm", "display_name": "CRM", "base_url": "https://crm.example.com", "auth": {"bearer_token_value": "%s"}}`

func (f fixture) create(t *testing.T, document domain.Document) domain.Integration {
	t.Helper()
	out, err := f.CreateIntegration(t.Context(), ann, document, commands.Condition{})
	require.NoError(t, err)
	return out.Integration
}

// secrets returns the ids of all secrets in the vault.
func (f fixture) secrets(t *testing.T) []string {
	t.Helper()
	ids := []string{}
	require.NoError(t, f.vault.Each(t.Context(), func(s vault.Stored) error { ids = append(ids, s.ID); return nil }))
	return ids
}

func head(t *testing.T, f fixture) uint64 {
	t.Helper()
	position, err := f.events.Head(t.Context())
	require.NoError(t, err)
	return position
}

func codeOf(t *testing.T, err error) string {
	t.Helper()
	var refusal *domain.Error
	require.ErrorAs(t, err, &refusal)
	return refusal.Code
}

func TestAnIntegrationIsCreatedChangedAndDeleted(t *testing.T) {
	f := start(t)
	made := f.create(t, doc(t, crm, "t1"))
	out, err := f.UpdateIntegration(t.Context(), ann, made.ID, doc(t, `{"enabled": false}`), commands.Condition{IfVersions: []uint64{1}})
	require.NoError(t, err)
	require.Equal(t, uint64(2), out.Integration.Version)
	out, err = f.DeleteIntegration(t.Context(), ann, made.ID, "no longer used", commands.Condition{})
	require.NoError(t, err)
	require.Equal(t, head(t, f), out.Position)
	require.Empty(t, f.secrets(t), "its secrets are destroyed too")
	_, err = f.DeleteIntegration(t.Context(), ann, made.ID, "", commands.Condition{})
	require.Equal(t, "integration_not_found", codeOf(t, err))

	again := f.create(t, doc(t, crm, "t2"))
	require.Equal(t, made.ID, again.ID)
	require.Equal(t, uint64(4), again.Version, "its history continues")
}

func TestOneOfTheRacingCreatorsWinsAndOneSecretIsLeft(t *testing.T) {
	f := start(t)
	var won, lost atomic.Int32
	var wg sync.WaitGroup
	for n := range 32 {
		wg.Go(func() {
			_, err := f.CreateIntegration(t.Context(), ann, doc(t, crm, fmt.Sprint("t", n)), commands.Condition{})
			switch {
			case err == nil:
				won.Add(1)
			case codeOf(t, err) == "name_taken":
				lost.Add(1)
			}
		})
	}
	wg.Wait()
	require.Equal(t, [2]int32{1, 31}, [2]int32{won.Load(), lost.Load()})
	require.Equal(t, uint64(1), head(t, f))
	require.Len(t, f.secrets(t), 1)
}

func TestRacingUpdatesAreDecidedAgainAndNoneIsLost(t *testing.T) {
	f := start(t)
	made := f.create(t, doc(t, `{"name": "crm", "display_name": "CRM", "base_url": "https://crm.example.com"}`))
	const writers = 6
	var wg sync.WaitGroup
	for n := range writers {
		wg.Go(func() {
			_, err := f.UpdateIntegration(t.Context(), ann, made.ID, doc(t, `{"display_name": "CRM %d"}`, n), commands.Condition{})
			require.NoError(t, err)
		})
	}
	wg.Wait()
	require.Equal(t, uint64(1+writers), head(t, f))
	entries, more, err := audit.Log{Events: f.Events}.History(t.Context(), "acme", made.ID, 0, 50)
	require.NoError(t, err)
	require.False(t, more)
	for n, e := range entries {
		require.Equal(t, uint64(n+1), e.Version)
	}
}

func TestAnUpdateOnAnotherVersionIsStale(t *testing.T) {
	f := start(t)
	made := f.create(t, doc(t, crm, "t1"))
	for _, stale := range [][]uint64{{}, {2}, {7, 9}} {
		_, err := f.UpdateIntegration(t.Context(), ann, made.ID, doc(t, `{"auth": {"bearer_token_value": "t2"}}`), commands.Condition{IfVersions: stale})
		require.Equal(t, domain.Stale, domain.KindOf(err))
	}
	require.Equal(t, uint64(1), head(t, f))
	require.Len(t, f.secrets(t), 1)
}

func TestAReplacedSecretIsDestroyedAndTheNewOneUsed(t *testing.T) {
	var got atomic.Value
	upstream := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got.Store(r.Header.Get("Authorization")) }))
	defer upstream.Close()
	f := start(t)
	made := f.create(t, doc(t, `{"name": "crm", "display_name": "CRM", "base_url": %q, "auth": {"bearer_token_value": "first"},
		"endpoints": [{"name": "list", "description": "List.", "path": "/items", "method": "GET"}]}`, upstream.URL))
	before := f.secrets(t)
	_, err := f.UpdateIntegration(t.Context(), ann, made.ID, doc(t, `{"auth": {"bearer_token_value": "second"}}`), commands.Condition{})
	require.NoError(t, err)
	require.Len(t, f.secrets(t), 1)
	require.NotEqual(t, before, f.secrets(t))
	result, err := f.TestEndpoint(t.Context(), ann, made.ID, "list", nil, false)
	require.NoError(t, err)
	require.Empty(t, result.Error)
	require.Equal(t, "Bearer second", got.Load())
}

func TestADryRunWritesNothing(t *testing.T) {
	f := start(t)
	dry := commands.Condition{DryRun: true}
	out, err := f.CreateIntegration(t.Context(), ann, doc(t, crm, "t1"), dry)
	require.NoError(t, err)
	require.Equal(t, "crm", out.Integration.Name)
	require.Zero(t, head(t, f))
	require.Empty(t, f.secrets(t))
	made := f.create(t, doc(t, crm, "t1"))
	out, err = f.UpdateIntegration(t.Context(), ann, made.ID, doc(t, `{"enabled": false}`), dry)
	require.NoError(t, err)
	require.Equal(t, []domain.Change{{Pointer: "/enabled", Old: true, New: false}}, out.Changes)
	_, err = f.DeleteIntegration(t.Context(), ann, made.ID, "", dry)
	require.NoError(t, err)
	require.Equal(t, uint64(1), head(t, f))
	require.Len(t, f.secrets(t), 1)
}

func TestARepeatedRequestIsMadeOnce(t *testing.T) {
	f := start(t)
	once := commands.Condition{IdempotencyKey: "k1", Request: "r1"}
	first, err := f.CreateIntegration(t.Context(), ann, doc(t, crm, "t1"), once)
	require.NoError(t, err)
	require.False(t, first.Replayed)
	_, err = f.UpdateIntegration(t.Context(), ann, first.Integration.ID, doc(t, `{"enabled": false}`), commands.Condition{})
	require.NoError(t, err)
	again, err := f.CreateIntegration(t.Context(), ann, doc(t, crm, "t1"), once)
	require.NoError(t, err)
	require.True(t, again.Replayed)
	require.Equal(t, first.Integration, again.Integration, "the first result, whatever happened since")
	require.Equal(t, first.Position, again.Position)

	_, err = f.CreateIntegration(t.Context(), ann, doc(t, crm, "t1"), commands.Condition{IdempotencyKey: "k1", Request: "r2"})
	require.Equal(t, "idempotency_key_reused", codeOf(t, err))
	bob := ann
	bob.Actor = "key-bob"
	_, err = f.CreateIntegration(t.Context(), bob, doc(t, crm, "t1"), once)
	require.Equal(t, "name_taken", codeOf(t, err), "each caller has its own keys")
	require.Equal(t, uint64(2), head(t, f))
}

func TestTheStoredHashOfARequestConfirmsNoGuessedSecret(t *testing.T) {
	nc := natstest.Connect(t)
	f := startOn(t, nc, 1)
	const hash = "the hash of a request with a secret in it, as someone who guesses the secret can compute it"
	_, err := f.CreateIntegration(t.Context(), ann, doc(t, crm, "t1"), commands.Condition{IdempotencyKey: "k1", Request: hash})
	require.NoError(t, err)
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	kept, err := js.KeyValue(t.Context(), "IDEMPOTENCY")
	require.NoError(t, err)
	keys, err := kept.Keys(t.Context())
	require.NoError(t, err)
	require.Len(t, keys, 1)
	entry, err := kept.Get(t.Context(), keys[0])
	require.NoError(t, err)
	require.NotContains(t, string(entry.Value()), hash)
	require.Contains(t, string(entry.Value()), `"request"`)
}

func TestARepeatedRequestThatChangedNothingUndoesNothing(t *testing.T) {
	f := start(t)
	made := f.create(t, doc(t, crm, "t1"))
	once := commands.Condition{IdempotencyKey: "k1", Request: "r1"}
	first, err := f.UpdateIntegration(t.Context(), ann, made.ID, doc(t, `{"enabled": true}`), once)
	require.NoError(t, err)
	require.False(t, first.Replayed)
	_, err = f.UpdateIntegration(t.Context(), ann, made.ID, doc(t, `{"enabled": false}`), commands.Condition{})
	require.NoError(t, err)
	again, err := f.UpdateIntegration(t.Context(), ann, made.ID, doc(t, `{"enabled": true}`), once)
	require.NoError(t, err)
	require.True(t, again.Replayed)
	require.Equal(t, first.Integration, again.Integration)
	require.Equal(t, first.Position, again.Position)
	_, err = f.UpdateIntegration(t.Context(), ann, made.ID, doc(t, `{"display_name": "Other"}`), commands.Condition{IdempotencyKey: "k1", Request: "r2"})
	require.Equal(t, "idempotency_key_reused", codeOf(t, err))
	require.Equal(t, uint64(2), head(t, f))
}

func TestARefusedRequestDoesNotConsumeItsIdempotencyKey(t *testing.T) {
	f := start(t)
	_, err := f.CreateIntegration(t.Context(), ann, doc(t, `{"name": "X"}`), commands.Condition{IdempotencyKey: "k1", Request: "r1"})
	require.Equal(t, domain.Invalid, domain.KindOf(err))
	_, err = f.CreateIntegration(t.Context(), ann, doc(t, crm, "t1"), commands.Condition{IdempotencyKey: "k1", Request: "r2"})
	require.NoError(t, err)
}

func TestARepetitionNeverUndoesLaterChanges(t *testing.T) {
	f := start(t)
	made := f.create(t, doc(t, crm, "t1"))
	on := commands.Condition{IdempotencyKey: "k1", Request: "r1"}
	out, err := f.UpdateIntegration(t.Context(), ann, made.ID, doc(t, `{"enabled": false}`), on)
	require.NoError(t, err)
	_, err = f.UpdateIntegration(t.Context(), ann, made.ID, doc(t, `{"enabled": true}`), commands.Condition{})
	require.NoError(t, err)
	again, err := f.UpdateIntegration(t.Context(), ann, made.ID, doc(t, `{"enabled": false}`), on)
	require.NoError(t, err)
	require.True(t, again.Replayed)
	require.Equal(t, out.Integration, again.Integration)
	require.Equal(t, uint64(3), head(t, f))
}

func TestConcurrentRepetitionsAreMadeOnce(t *testing.T) {
	f := start(t)
	made := f.create(t, doc(t, crm, "t1"))
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			out, err := f.UpdateIntegration(t.Context(), ann, made.ID, doc(t, `{"display_name": "Once"}`), commands.Condition{IdempotencyKey: "k", Request: "r"})
			require.NoError(t, err)
			require.Equal(t, uint64(2), out.Integration.Version)
		})
	}
	wg.Wait()
	require.Equal(t, uint64(2), head(t, f))
}

func TestARepetitionIsNotMadeAgainOnTopOfAnotherChange(t *testing.T) {
	f := start(t)
	made := f.create(t, doc(t, crm, "t1"))
	on := commands.Condition{IdempotencyKey: "k", Request: "r"}
	replace := doc(t, `{"auth": {"bearer_token_value": "t2"}}`)
	slow, meanwhile := *f.Service, sync.Once{}
	var first commands.Outcome
	slow.Now = func() time.Time { // called after it has read the integration
		meanwhile.Do(func() {
			var err error
			first, err = f.UpdateIntegration(t.Context(), ann, made.ID, replace, on)
			require.NoError(t, err)
			_, err = f.UpdateIntegration(t.Context(), ann, made.ID, doc(t, `{"enabled": false}`), commands.Condition{})
			require.NoError(t, err)
		})
		return f.Now()
	}
	out, err := slow.UpdateIntegration(t.Context(), ann, made.ID, replace, on)
	require.NoError(t, err)
	require.True(t, out.Replayed)
	require.Equal(t, first.Integration, out.Integration)
	require.Equal(t, uint64(3), head(t, f))
	ref := first.Integration.Auth.Secret()
	require.Equal(t, []string{ref.ID}, f.secrets(t))
}

func TestRacingRepetitionsLeaveTheSecretOfTheRecordedOne(t *testing.T) {
	f := start(t)
	made := f.create(t, doc(t, crm, "t1"))
	on := commands.Condition{IdempotencyKey: "k", Request: "r"}
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			_, err := f.UpdateIntegration(t.Context(), ann, made.ID, doc(t, `{"auth": {"bearer_token_value": "t2"}}`), on)
			require.NoError(t, err)
		})
	}
	wg.Wait()
	require.Equal(t, uint64(2), head(t, f))
	last, err := f.events.Load(t.Context(), "acme", made.ID)
	require.NoError(t, err)
	ref := domain.Evolve(domain.Integration{}, last.Event).Auth.Secret()
	require.Equal(t, []string{ref.ID}, f.secrets(t), "those of the others are destroyed immediately")
}

func TestTheSweepDestroysSecretsThatNoEventReferences(t *testing.T) {
	f := start(t)
	made := f.create(t, doc(t, crm, "t1"))
	orphan := domain.SealedSecret{Ref: domain.SecretRef{ID: "left-over", Field: "auth.bearer_token_value"}, Secret: domain.NewSecret("x")}
	require.NoError(t, f.vault.Seal(t.Context(), made.Owner(), orphan))
	for _, of := range []string{made.Auth.Secret().ID, "left-over"} { // where a secret was sent goes with it
		_, err := f.vault.Pin(t.Context(), made.Owner(), of, "place", "x")
		require.NoError(t, err)
	}
	sweep := func(want int) {
		t.Helper()
		swept, err := f.Sweep(t.Context(), commands.SweepAtMost)
		require.NoError(t, err)
		require.Equal(t, want, swept)
	}
	sweep(0) // its event may still be on its way
	f.clock.add(commands.SweepAfter - time.Minute)
	sweep(0)
	f.clock.add(2 * time.Minute)
	sweep(2)
	ref := made.Auth.Secret()
	require.ElementsMatch(t, []string{ref.ID, "pin-" + ref.ID}, f.secrets(t))
}

// A log that is unavailable, or lost its end, references none of its secrets.
func TestTheSweepDestroysNothingOnTheAbsenceOfEvidence(t *testing.T) {
	f := start(t)
	for n := range commands.SweepAtMost + 1 {
		orphan := domain.SealedSecret{Ref: domain.SecretRef{ID: fmt.Sprint("left-", n), Field: "auth.bearer_token_value"}, Secret: domain.NewSecret("x")}
		require.NoError(t, f.vault.Seal(t.Context(), domain.Owner{Workspace: "acme", ID: domain.NewID("acme", "crm")}, orphan))
	}
	f.clock.add(commands.SweepAfter + time.Minute)
	refused := func(atMost int, code string) {
		t.Helper()
		swept, err := f.Sweep(t.Context(), atMost)
		require.Zero(t, swept)
		refusal, ok := errors.AsType[*domain.Error](err)
		require.True(t, ok, err)
		require.Equal(t, code, refusal.Code)
		require.Len(t, f.secrets(t), commands.SweepAtMost+1)
	}
	refused(commands.SweepAtMost, "too_many_secrets")
	refused(100, "log_empty")
	f.create(t, doc(t, `{"name": "other", "display_name": "Other", "base_url": "https://other.example.com"}`))
	backup, over := context.WithCancel(t.Context())
	started, ended := make(chan bool), make(chan error)
	go func() {
		ended <- f.events.Lead(backup, commands.BackupLease, func(ctx context.Context) error { close(started); <-ctx.Done(); return nil })
	}()
	<-started
	refused(100, "backup_running")
	over()
	require.NoError(t, <-ended)
	swept, err := f.Sweep(t.Context(), 100)
	require.NoError(t, err)
	require.Equal(t, commands.SweepAtMost+1, swept, "an operator may allow it")
}

func TestAnUnsavedConnectionIsTestedWithTheStoredSecretOnlyAtItsDestination(t *testing.T) {
	var got atomic.Value
	upstream := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got.Store(r.Header.Get("Authorization")) }))
	defer upstream.Close()
	f := start(t)
	made := f.create(t, doc(t, `{"name": "crm", "display_name": "CRM", "base_url": %q, "auth": {"bearer_token_value": "stored"}}`, upstream.URL))

	probe, err := f.TestUnsavedConnection(t.Context(), ann, doc(t, `{"id": %q, "base_url": %q}`, made.ID, upstream.URL+"/v2"))
	require.NoError(t, err)
	require.Equal(t, domain.Healthy, probe.Status)
	require.Equal(t, "Bearer stored", got.Load())

	_, err = f.TestUnsavedConnection(t.Context(), ann, doc(t, `{"id": %q, "base_url": "https://evil.example.com"}`, made.ID))
	require.Equal(t, "secret_required", codeOf(t, err))

	probe, err = f.TestUnsavedConnection(t.Context(), ann, doc(t, `{"base_url": %q, "auth": {"bearer_token_value": "given"}}`, upstream.URL))
	require.NoError(t, err)
	require.Equal(t, domain.Healthy, probe.Status)
	require.Equal(t, "Bearer given", got.Load())
	require.Equal(t, uint64(1), head(t, f), "nothing is recorded")
	require.Len(t, f.secrets(t), 1, "nothing is sealed")
}

func TestABuiltinIsCalledWithTheOperatorsKey(t *testing.T) {
	var got atomic.Value
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got.Store(r.Header.Get("X-Goog-Api-Key") + " " + r.URL.String())
		_, _ = w.Write([]byte(`{"results": []}`))
	}))
	defer upstream.Close()
	f := start(t)
	f.Builtins = domain.BuiltinSettings{GeocodeURL: upstream.URL}
	id := domain.NewID("acme", domain.GoogleMaps)
	params := map[string]any{"addressQuery": "1 Main St"}

	result, err := f.TestEndpoint(t.Context(), ann, id, "geocode", params, false)
	require.NoError(t, err)
	require.Equal(t, domain.CallMisconfigured, result.ErrorCode)
	require.Contains(t, result.Error, "INTEGRATIONS_GOOGLE_MAPS_KEY")

	f.Builtins.Keyed = []string{domain.GoogleMaps}
	f.OperatorKeys = map[string]domain.Secret{domain.GoogleMaps: domain.NewSecret("operators-key")}
	result, err = f.TestEndpoint(t.Context(), ann, id, "geocode", params, false)
	require.NoError(t, err)
	require.Empty(t, result.Error)
	require.Equal(t, "operators-key /v4/geocode/address?addressQuery=1+Main+St", got.Load())

	_, err = f.UpdateIntegration(t.Context(), ann, id, doc(t, `{"enabled": false}`), commands.Condition{})
	require.Equal(t, "builtin", codeOf(t, err))
	_, err = f.DeleteIntegration(t.Context(), ann, id, "", commands.Condition{})
	require.Equal(t, "builtin", codeOf(t, err))
}

func TestWithoutNATSAChangeIsUnavailableAndNotPartlyMade(t *testing.T) {
	dir := t.TempDir()
	nc, stop := natstest.Start(t, dir)
	f := startOn(t, nc, 1)
	made := f.create(t, doc(t, crm, "t1"))
	stop()
	_, err := f.UpdateIntegration(t.Context(), ann, made.ID, doc(t, `{"enabled": false}`), commands.Condition{})
	require.Equal(t, domain.Unavailable, domain.KindOf(err))
	_, err = f.CreateIntegration(t.Context(), ann, doc(t, `{"name": "ehr", "display_name": "EHR", "base_url": "https://ehr.example.com"}`), commands.Condition{})
	require.Equal(t, domain.Unavailable, domain.KindOf(err))
}

// Secrets are replaced while endpoints are called: no call fails because its secret is gone.
func TestReplacingASecretBreaksNoCall(t *testing.T) {
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "{}") }))
	defer upstream.Close()
	f := start(t)
	made := f.create(t, doc(t, `{"name": "crm", "display_name": "CRM", "base_url": %q, "auth": {"bearer_token_value": "t"},
		"endpoints": [{"name": "get", "description": "Gets.", "method": "GET", "path": "/x"}]}`, upstream.URL))
	ctx, cancel := context.WithCancel(t.Context())
	var replacing sync.WaitGroup
	defer replacing.Wait()
	defer cancel()
	replaced := make(chan bool, 1000)
	replacing.Go(func() {
		for n := 0; ctx.Err() == nil; n++ {
			_, err := f.UpdateIntegration(t.Context(), ann, made.ID, doc(t, `{"auth": {"bearer_token_value": "t%d"}}`, n), commands.Condition{})
			require.NoError(t, err)
			select {
			case replaced <- true:
			default:
			}
		}
	})
	for len(replaced) < 150 {
		for _, call := range []func() (domain.CallResult, error){
			func() (domain.CallResult, error) { return f.TestEndpoint(t.Context(), ann, made.ID, "get", nil, false) },
			func() (domain.CallResult, error) { return f.InvokeEndpoint(t.Context(), ann, made.ID, "get", nil) },
		} {
			result, err := call()
			if code, ok := errors.AsType[*domain.Error](err); ok && code.Code == "secret_replaced" { // twice during one call
				continue
			}
			require.NoError(t, err)
			require.Empty(t, result.Error)
		}
	}
}
