package approvals_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/seed677028b5/integrations/approvals"
	"github.com/seed677028b5/integrations/commands"
	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/eventstore"
)

func TestACallIsMadeOnceWithWhatWasShownAndItsAnswerIsGivenToWhoAsked(t *testing.T) {
	c := open(t)
	p := c.process()
	id := c.create(p)
	c.start(p)
	a := c.ask(p, id, "Ann")
	require.Equal(t, domain.ApprovalWaiting, a.State)
	require.Equal(t, a.ID, c.ask(p, id, "Ann").ID, "the same call waits already")
	require.NotEqual(t, a.ID, c.ask(p, id, "Bob").ID)
	shown, err := p.Approvals.Request(t.Context(), a)
	require.NoError(t, err)
	require.Equal(t, map[string]any{"patient": "Ann"}, shown.Params)
	require.Empty(t, c.calls())

	c.approve(p, a)
	made := c.await(p, a.ID, domain.ApprovalMade)
	require.Equal(t, domain.CallOK, made.Outcome)
	require.Equal(t, []string{`{"patient":"Ann"}`}, c.calls())
	result, err := p.InvokeEndpoint(t.Context(), agent, id, "book", map[string]any{"patient": "Ann"})
	require.NoError(t, err)
	require.Equal(t, map[string]any{"booked": json.Number("12345678901234567890")}, result.RawResponse, "as it came back")
	require.NotEqual(t, a.ID, c.ask(p, id, "Ann").ID, "the answer was given, so this is another call")
	require.Len(t, c.calls(), 1)

	recorded, _, err := p.Events.CallPage(t.Context(), selection(id), 0, 10)
	require.NoError(t, err)
	require.Len(t, recorded, 1)
	require.Equal(t, a.ID, recorded[0].Event.(domain.IntegrationInvoked).Approval)
	require.Equal(t, "agent", recorded[0].Meta.Actor)
}

func TestADeniedCallIsNotMadeAndWhoAskedIsGivenTheReasonOnce(t *testing.T) {
	c := open(t)
	p := c.process()
	id := c.create(p)
	a := c.ask(p, id, "Ann")
	_, _, err := p.Decide(t.Context(), agent, a.ID, domain.Verdict{Approve: true})
	require.Equal(t, "own_approval", domain.CodeOf(err))
	_, _, err = p.Decide(t.Context(), boss, a.ID, domain.Verdict{Reason: "she moved"})
	require.NoError(t, err)
	_, err = p.InvokeEndpoint(t.Context(), agent, id, "book", map[string]any{"patient": "Ann"})
	require.Equal(t, "approval_denied", domain.CodeOf(err))
	require.ErrorContains(t, err, "she moved")
	require.NotEqual(t, a.ID, c.ask(p, id, "Ann").ID)
	require.Empty(t, c.calls())
}

func TestAskedForAtOnceByManyACallHasOneApprovalAndOfManyWhoDecideOneWins(t *testing.T) {
	c := open(t)
	one, other := c.process(), c.process()
	id := c.create(one)
	asked := make([]string, 8)
	var asking errgroup.Group
	for n := range asked {
		asking.Go(func() error {
			result, err := []process{one, other}[n%2].InvokeEndpoint(t.Context(), agent, id, "book", map[string]any{"patient": "Ann"})
			if err == nil {
				asked[n] = result.Approval.ID
			}
			return err
		})
	}
	require.NoError(t, asking.Wait())
	require.Len(t, slices.Compact(asked), 1)

	var mu sync.Mutex
	refused := map[string]int{}
	var deciding errgroup.Group
	for n := range 8 {
		deciding.Go(func() error {
			_, _, err := []process{one, other}[n%2].Decide(t.Context(), commands.Caller{Workspace: "acme", Actor: fmt.Sprint("boss-", n)}, asked[0], domain.Verdict{Approve: n%3 > 0, Reason: "r"})
			mu.Lock()
			defer mu.Unlock()
			refused[domain.CodeOf(err)]++
			return nil
		})
	}
	require.NoError(t, deciding.Wait())
	require.Equal(t, map[string]int{"": 1, "approval_decided": 7}, refused)
}

func TestOfSeveralProcessesOneMakesEachCall(t *testing.T) {
	c := open(t)
	all := []process{c.process(), c.process(), c.process()}
	id := c.create(all[0])
	for _, p := range all {
		c.start(p)
	}
	var want []string
	var asked []domain.Approval
	for n := range 12 {
		patient := fmt.Sprintf("p-%02d", n)
		want = append(want, `{"patient":"`+patient+`"}`)
		asked = append(asked, c.ask(all[n%3], id, patient))
	}
	for n, a := range asked {
		c.approve(all[n%3], a)
	}
	for n, a := range asked {
		c.await(all[n%3], a.ID, domain.ApprovalMade)
	}
	got := c.calls()
	slices.Sort(got)
	require.Equal(t, want, got)
}

// The process is cut off from its stores while the upstream has the call, as after kill -9.
func TestACallWhoseProcessIsGoneIsNeverSentAgain(t *testing.T) {
	c := open(t)
	gone, left := c.process(), c.process()
	id := c.create(gone)
	c.hold = make(chan struct{})
	release := sync.OnceFunc(func() { close(c.hold) })
	defer release()
	c.start(gone)
	a := c.ask(gone, id, "Ann")
	c.approve(gone, a)
	require.Eventually(t, func() bool { return len(c.calls()) == 1 }, time.Minute, time.Millisecond)
	gone.nats.Close()

	c.start(left)
	require.Never(t, func() bool {
		now, err := left.Approval(t.Context(), "acme", a.ID)
		return err != nil || now.State != domain.ApprovalMaking
	}, 20*time.Millisecond, time.Millisecond)
	c.ahead.Add(int64(time.Minute))
	c.await(left, a.ID, domain.ApprovalUnknown)
	_, err := left.InvokeEndpoint(t.Context(), agent, id, "book", map[string]any{"patient": "Ann"})
	require.Equal(t, "approval_outcome_unknown", domain.CodeOf(err))
	require.Len(t, c.calls(), 1)
}

func TestAnApprovedCallIsNotMadeOnceTheIntegrationHasChanged(t *testing.T) {
	c := open(t)
	p := c.process()
	id := c.create(p)
	a, b := c.ask(p, id, "Ann"), c.ask(p, id, "Bob")
	c.approve(p, a)
	out, err := p.UpdateIntegration(t.Context(), boss, id, domain.Document{"display_name": "The clinic"}, commands.Condition{})
	require.NoError(t, err)
	c.start(p)
	require.Equal(t, domain.CancelChanged, c.await(p, a.ID, domain.ApprovalCancelled).Cause)

	_, _, err = p.Decide(t.Context(), boss, b.ID, domain.Verdict{Approve: true})
	require.Equal(t, "integration_changed", domain.CodeOf(err))
	seen, err := p.Case(t.Context(), b, false)
	require.NoError(t, err)
	require.Equal(t, []domain.Change{{Pointer: "/display_name", Old: "Clinic", New: "The clinic"}}, seen.Changes)
	_, _, err = p.Decide(t.Context(), boss, b.ID, domain.Verdict{Approve: true, Version: out.Integration.Version})
	require.NoError(t, err)
	c.await(p, b.ID, domain.ApprovalMade)
	require.Equal(t, []string{`{"patient":"Bob"}`}, c.calls())
}

func TestParametersThatAreNotThoseThatWereShownAreNotSent(t *testing.T) {
	c := open(t)
	p := c.process()
	id := c.create(p)
	a := c.ask(p, id, "Ann")
	require.NoError(t, p.vault.Seal(t.Context(), a.Owner(), domain.SealedSecret{
		Ref: domain.SecretRef{ID: "approval-" + a.ID + "-request", Field: "approval_request", Version: 1}, Secret: domain.NewSecret(`{"params": {"patient": "Eve"}}`),
	}))
	c.approve(p, a)
	c.start(p)
	require.Equal(t, domain.CancelParameters, c.await(p, a.ID, domain.ApprovalCancelled).Cause)
	require.Empty(t, c.calls())
}

func TestApprovalsExpireAndWhatTheySealedIsDestroyedAfterADay(t *testing.T) {
	c := open(t)
	p := c.process()
	id := c.create(p)
	c.start(p)
	waits, made := c.ask(p, id, "Ann"), c.ask(p, id, "Bob")
	c.approve(p, made)
	made = c.await(p, made.ID, domain.ApprovalMade)
	_, err := p.Approvals.Answer(t.Context(), made)
	require.NoError(t, err)

	c.ahead.Add(int64(approvals.DefaultWait))
	_, _, err = p.Decide(t.Context(), boss, waits.ID, domain.Verdict{Approve: true})
	require.Equal(t, "approval_expired", domain.CodeOf(err))
	require.Eventually(t, func() bool { // it is recorded
		last, err := p.Events.FindApproval(t.Context(), "acme", waits.ID)
		return err == nil && domain.NameOf(last.Event) == "approval.expired"
	}, time.Minute, 5*time.Millisecond)
	require.NotEqual(t, waits.ID, c.ask(p, id, "Ann").ID)

	c.ahead.Add(int64(24 * time.Hour))
	require.Eventually(t, func() bool {
		_, request := p.Approvals.Request(t.Context(), waits)
		_, answer := p.Approvals.Answer(t.Context(), made)
		return approvals.Gone(request) && approvals.Gone(answer)
	}, time.Minute, 5*time.Millisecond)
	_, err = p.InvokeEndpoint(t.Context(), agent, id, "book", map[string]any{"patient": "Bob"})
	require.Equal(t, "approval_answer_gone", domain.CodeOf(err))
	require.Len(t, c.calls(), 1)
}

func TestTheParametersOfADeletedIntegrationAreDestroyed(t *testing.T) {
	c := open(t)
	p := c.process()
	id := c.create(p)
	a := c.ask(p, id, "Ann")
	_, err := p.DeleteIntegration(t.Context(), boss, id, "", commands.Condition{})
	require.NoError(t, err)
	_, err = p.Approvals.Request(t.Context(), a)
	require.True(t, approvals.Gone(err), err)
	_, _, err = p.Decide(t.Context(), boss, a.ID, domain.Verdict{Approve: true})
	require.Equal(t, "integration_deleted", domain.CodeOf(err))
}

// selection selects an integration.
func selection(id domain.ID) eventstore.Selection {
	return eventstore.Selection{Workspace: "acme", ID: id}
}

func TestNothingOfACallIsInTheStreams(t *testing.T) {
	c := open(t)
	p := c.process()
	id := c.create(p)
	c.start(p)
	onBehalf := agent
	onBehalf.OnBehalfOf = "canary-ann@example.com"
	result, err := p.InvokeEndpoint(t.Context(), onBehalf, id, "book", map[string]any{"patient": "canary-4711"})
	require.NoError(t, err)
	_, _, err = p.Decide(t.Context(), commands.Caller{Workspace: "acme", Actor: "boss", OnBehalfOf: "canary-ann@example.com"}, result.Approval.ID, domain.Verdict{Approve: true})
	require.Equal(t, "own_approval", domain.CodeOf(err), "the same subject under another key")
	c.approve(p, *result.Approval)
	c.await(p, result.Approval.ID, domain.ApprovalMade)
	require.Contains(t, c.calls()[0], "canary-4711")

	js, err := jetstream.New(p.nats)
	require.NoError(t, err)
	names := js.StreamNames(t.Context())
	read := 0
	for name := range names.Name() {
		stream, err := js.Stream(t.Context(), name)
		require.NoError(t, err)
		for at := stream.CachedInfo().State.FirstSeq; at <= stream.CachedInfo().State.LastSeq; at++ {
			if msg, err := stream.GetMsg(t.Context(), at); err == nil {
				read++
				require.NotContains(t, fmt.Sprint(msg.Subject, msg.Header, string(msg.Data)), "canary", name)
			}
		}
	}
	require.NoError(t, names.Err())
	require.Greater(t, read, 8)
	require.False(t, strings.Contains(result.Error, "canary"))
}
