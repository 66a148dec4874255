package audit_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/audit"
	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/internal/natstest"
)

var rules = domain.Rules{Expression: anything[string], Template: anything[string], Schema: anything[[]byte]}

func anything[T any](T) error { return nil }

// apply records a change of crm and returns the state after it. A null document deletes it.
func (r *record) apply(before domain.Integration, text string, at time.Time) domain.Integration {
	r.Helper()
	var doc domain.Document
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber()
	require.NoError(r, decoder.Decode(&doc))
	attempt := domain.Attempt{At: at, ID: fmt.Sprint("a", before.Version)}
	var decision domain.Decision
	var err error
	switch {
	case !before.Exists():
		decision, err = before.Create("acme", doc, attempt, rules)
	case len(doc) == 0:
		decision, err = before.Delete("old", attempt)
	default:
		decision, err = before.Update(doc, attempt, rules)
	}
	require.NoError(r, err)
	state := domain.Evolve(before, decision.Event)
	r.last[state.ID], err = r.events.Append(r.Context(), "acme", state.ID, r.last[state.ID], decision.Event,
		domain.Metadata{CommandID: attempt.ID, At: at, Actor: "key-ann", Address: "192.0.2.1", RequestID: "req-1"})
	require.NoError(r, err)
	return state
}

func TestHistoryShowsWhatChangedAndNoSecret(t *testing.T) {
	r := openOn(t, natstest.Connect(t))
	past := audit.Log{Events: r.events}
	crm := r.apply(domain.Integration{}, `{"name": "crm", "display_name": "CRM", "base_url": "https://a.example", "auth": {"bearer_token_value": "canary-1"}}`, noon)
	crm = r.apply(crm, `{"display_name": "CRM 2", "auth": {"bearer_token_value": "canary-2"}}`, noon.Add(time.Hour))
	crm = r.apply(crm, `{}`, noon.Add(2*time.Hour))

	var all []audit.Entry
	for after, more := uint64(0), true; more; {
		var page []audit.Entry
		var err error
		page, more, err = past.History(t.Context(), "acme", crm.ID, after, 1)
		require.NoError(t, err)
		require.Len(t, page, 1)
		all = append(all, page...)
		after = page[0].Position
	}
	require.Len(t, all, 3)
	require.Equal(t, []domain.Change{
		{Pointer: "/auth/secrets/bearer_token_value", Secret: true}, {Pointer: "/display_name", Old: "CRM", New: "CRM 2"},
	}, all[1].Changes)
	require.Equal(t, "old", all[2].Reason)
	for n, e := range all {
		require.Equal(t, uint64(n+1), e.Version)
		require.Equal(t, [4]string{"crm", "key-ann", "192.0.2.1", "req-1"}, [4]string{e.Name, e.Actor, e.Address, e.RequestID})
	}
	data, err := json.Marshal(all)
	require.NoError(t, err)
	require.NotContains(t, string(data), "canary")

	_, _, err = past.History(t.Context(), "other", crm.ID, 0, 10)
	require.Equal(t, domain.NotFound, domain.KindOf(err), "the history belongs to its workspace")
	_, _, err = past.History(t.Context(), "acme", crm.ID, 99, 10)
	require.ErrorContains(t, err, "is not a token of this history")
}

func TestAnIntegrationIsShownAsOfAnyPointInItsHistory(t *testing.T) {
	r := openOn(t, natstest.Connect(t))
	past := audit.Log{Events: r.events}
	states := map[time.Duration]domain.Integration{}
	var crm domain.Integration
	for n, text := range []string{
		`{"name": "crm", "display_name": "CRM", "base_url": "https://a.example"}`, `{"display_name": "CRM 2"}`, `{}`,
		`{"name": "crm", "display_name": "CRM again", "base_url": "https://b.example"}`, `{"enabled": false}`,
	} {
		crm = r.apply(crm, text, noon.Add(time.Duration(n)*time.Hour))
		states[time.Duration(n)*time.Hour] = crm
	}
	for since, want := range states {
		for _, at := range []audit.AsOf{{Version: want.Version}, {Time: noon.Add(since)}, {Time: noon.Add(since + 59*time.Minute)}} {
			got, err := past.AsOf(t.Context(), "acme", crm.ID, at)
			if want.Deleted {
				require.Equal(t, domain.NotFound, domain.KindOf(err), "%v", at)
				continue
			}
			require.NoError(t, err, "%v", at)
			require.Equal(t, want, got, "%v", at)
		}
	}
	for _, never := range []audit.AsOf{{Version: 6}, {Time: noon.Add(-time.Second)}} {
		_, err := past.AsOf(t.Context(), "acme", crm.ID, never)
		require.Equal(t, domain.NotFound, domain.KindOf(err), "%v", never)
	}
}

func TestAFilterThatMatchesFewEventsFindsThemInBothOrders(t *testing.T) {
	r := openOn(t, natstest.Connect(t))
	past := audit.Log{Events: r.events}
	for n := range 900 {
		r.change("acme", fmt.Sprint("crm-", n%4))
	}
	rare := r.apply(domain.Integration{}, `{"name": "rare", "display_name": "Rare", "base_url": "https://a.example"}`, noon)
	for _, newest := range []bool{false, true} {
		found, beyond := 0, uint64(0)
		for more := true; more; more = beyond > 0 {
			page, next, err := past.Feed(t.Context(), "acme", audit.Filter{Actor: "key-ann", Newest: newest}, beyond, 5)
			require.NoError(t, err)
			for _, e := range page {
				require.Equal(t, rare.ID, e.ID)
				found++
			}
			beyond = next
		}
		require.Equal(t, 1, found)
	}
}

func TestAnUnreadableEventHidesNoOther(t *testing.T) {
	nc := natstest.Connect(t)
	r := openOn(t, nc)
	past := audit.Log{Events: r.events}
	crm := r.apply(domain.Integration{}, `{"name": "crm", "display_name": "CRM", "base_url": "https://a.example"}`, noon)
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	ack, err := js.Publish(t.Context(), "integrations.acme."+string(crm.ID), []byte("?"))
	require.NoError(t, err)
	r.last[crm.ID] = ack.Sequence
	r.apply(crm, `{"display_name": "CRM 2"}`, noon.Add(time.Hour))

	var changes [][]domain.Change
	for after, more := uint64(0), true; more; {
		var page []audit.Entry
		page, more, err = past.History(t.Context(), "acme", crm.ID, after, 1)
		require.NoError(t, err)
		after = page[0].Position
		changes = append(changes, page[0].Changes)
	}
	require.Len(t, changes, 3)
	require.Equal(t, []domain.Change{{Pointer: "/display_name", Old: "CRM", New: "CRM 2"}}, changes[2], "independent of the page size")

	feed, _, err := past.Feed(t.Context(), "acme", audit.Filter{Newest: true, From: noon}, 0, 10)
	require.NoError(t, err)
	require.Len(t, feed, 2)
}
