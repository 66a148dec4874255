package domain_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/domain"
)

// waiting is an approval that waits for a decision, of the version 3 of an integration.
var waiting = domain.Approval{
	ID: "a-1", Workspace: "acme", Integration: "i-1", Name: "crm", Incarnation: 1, ConfigVersion: 3, Endpoint: "book", Method: "POST", Kind: domain.ToolCall,
	State: domain.ApprovalWaiting, Version: 1, Parameters: "hmac", Key: "agent", Subject: "ann", RequestedAt: noon, ExpiresAt: noon.Add(time.Hour),
}

// atVersion returns the integration of waiting.
func atVersion(version uint64) domain.Integration {
	return domain.Integration{ID: "i-1", Workspace: "acme", Name: "crm", Version: version, Incarnation: 1, Configuration: domain.Configuration{Enabled: true}}
}

// after returns an approval with changes, after one more event.
func after(p domain.Approval, change func(*domain.Approval)) domain.Approval {
	p.Version++
	change(&p)
	return p
}

var (
	decidedAt = noon.Add(time.Minute)
	approved  = after(waiting, func(p *domain.Approval) {
		p.State, p.DecidedBy, p.DecidedAt = domain.ApprovalApproved, "boss", decidedAt
	})
	making = after(approved, func(p *domain.Approval) {
		p.State, p.Attempt, p.StartedAt = domain.ApprovalMaking, "x-1", decidedAt
	})
)

func TestDecisionsAboutACall(t *testing.T) {
	for _, row := range []struct {
		name  string
		given domain.Approval
		now   domain.Integration
		when  domain.Verdict
		then  domain.Event
		code  string
	}{
		{name: "another key approves", given: waiting, now: atVersion(3), when: domain.Verdict{Approve: true, By: "boss", At: decidedAt}, then: domain.CallApproved{Approval: approved}},
		{name: "another key denies", given: waiting, now: atVersion(3), when: domain.Verdict{By: "boss", Reason: "no", At: decidedAt}, then: domain.CallDenied{Approval: after(waiting, func(p *domain.Approval) {
			p.State, p.DecidedBy, p.DecidedAt, p.Reason, p.EndedAt = domain.ApprovalDenied, "boss", decidedAt, "no", decidedAt
		})}},
		{name: "the key that asked", given: waiting, now: atVersion(3), when: domain.Verdict{Approve: true, By: "agent", At: decidedAt}, code: "own_approval"},
		{name: "the key that asked can't deny either", given: waiting, now: atVersion(3), when: domain.Verdict{By: "agent", At: decidedAt}, code: "own_approval"},
		{name: "a key that it issued", given: waiting, now: atVersion(3), when: domain.Verdict{Approve: true, By: "boss", Related: true, At: decidedAt}, code: "own_approval"},
		{name: "the same subject under another key", given: waiting, now: atVersion(3), when: domain.Verdict{Approve: true, By: "boss", Subject: "ann", At: decidedAt}, code: "own_approval"},
		{name: "after it expired", given: waiting, now: atVersion(3), when: domain.Verdict{Approve: true, By: "boss", At: noon.Add(time.Hour)}, code: "approval_expired"},
		{name: "after another decision", given: approved, now: atVersion(3), when: domain.Verdict{By: "eve", At: decidedAt}, code: "approval_decided"},
		{name: "the integration has changed", given: waiting, now: atVersion(4), when: domain.Verdict{Approve: true, By: "boss", At: decidedAt}, code: "integration_changed"},
		{name: "it was looked at as it is now", given: waiting, now: atVersion(4), when: domain.Verdict{Approve: true, By: "boss", Version: 4, At: decidedAt}, then: domain.CallApproved{Approval: after(waiting, func(p *domain.Approval) {
			p.State, p.DecidedBy, p.DecidedAt, p.ConfigVersion = domain.ApprovalApproved, "boss", decidedAt, 4
		})}},
		{name: "it was looked at before it changed again", given: waiting, now: atVersion(5), when: domain.Verdict{Approve: true, By: "boss", Version: 4, At: decidedAt}, code: "integration_changed"},
		{name: "the integration is deleted", given: waiting, now: domain.Integration{ID: "i-1", Version: 4, Deleted: true}, when: domain.Verdict{Approve: true, By: "boss", At: decidedAt}, code: "integration_deleted"},
		{name: "a changed integration can be denied", given: waiting, now: atVersion(9), when: domain.Verdict{By: "boss", Reason: "no", At: decidedAt}, then: domain.CallDenied{Approval: after(waiting, func(p *domain.Approval) {
			p.State, p.DecidedBy, p.DecidedAt, p.Reason, p.EndedAt = domain.ApprovalDenied, "boss", decidedAt, "no", decidedAt
		})}},
	} {
		t.Run(row.name, func(t *testing.T) {
			e, err := row.given.Decide(row.when, row.now)
			require.Equal(t, row.code, domain.CodeOf(err))
			require.Equal(t, row.then, e)
		})
	}
}

func TestACallIsMadeWithTheVersionThatWasApprovedOrNotAtAll(t *testing.T) {
	cancelled := func(cause domain.CancelCause, at time.Time) domain.Event {
		return domain.CallCancelled{Approval: after(approved, func(p *domain.Approval) {
			p.State, p.Cause, p.EndedAt = domain.ApprovalCancelled, cause, at
		})}
	}
	disabled, again := atVersion(3), atVersion(3)
	disabled.Enabled, again.Incarnation = false, 2
	test := approved
	test.Kind = domain.TestCall
	for _, row := range []struct {
		name  string
		given domain.Approval
		now   domain.Integration
		at    time.Time
		then  domain.Event
	}{
		{"as it was approved", approved, atVersion(3), decidedAt, domain.CallStarted{Approval: making}},
		{"another version", approved, atVersion(4), decidedAt, cancelled(domain.CancelChanged, decidedAt)},
		{"deleted", approved, domain.Integration{}, decidedAt, cancelled(domain.CancelDeleted, decidedAt)},
		{"created again", approved, again, decidedAt, cancelled(domain.CancelDeleted, decidedAt)},
		{"disabled", approved, disabled, decidedAt, cancelled(domain.CancelDisabled, decidedAt)},
		{"a test of a disabled one", test, disabled, decidedAt, domain.CallStarted{Approval: after(test, func(p *domain.Approval) {
			p.State, p.Attempt, p.StartedAt = domain.ApprovalMaking, "x-1", decidedAt
		})}},
		{"too late", approved, atVersion(3), decidedAt.Add(domain.StartWithin + 1), cancelled(domain.CancelLate, decidedAt.Add(domain.StartWithin+1))},
		{"it waits", waiting, atVersion(3), decidedAt, nil},
		{"it is being made", making, atVersion(3), decidedAt, nil},
	} {
		t.Run(row.name, func(t *testing.T) { require.Equal(t, row.then, row.given.Start("x-1", row.now, row.at)) })
	}
}

func TestTheOutcomeOfACallIsThatOfTheAttemptThatSentIt(t *testing.T) {
	result := domain.CallResult{StatusCode: 503, ErrorCode: domain.CallUpstreamError, Duration: time.Second}
	lost := after(making, func(p *domain.Approval) { p.State, p.EndedAt = domain.ApprovalUnknown, decidedAt })
	made := func(of domain.Approval) domain.Event {
		return domain.CallMade{Approval: after(of, func(p *domain.Approval) {
			p.State, p.EndedAt, p.Outcome, p.StatusCode, p.Duration = domain.ApprovalMade, decidedAt, domain.OutcomeOf(domain.CallUpstreamError), 503, time.Second
		})}
	}
	require.Equal(t, made(making), making.Make("x-1", result, decidedAt))
	require.Nil(t, making.Make("x-2", result, decidedAt), "another attempt")
	require.Nil(t, approved.Make("", result, decidedAt), "nothing was started")
	require.Equal(t, domain.CallLost{Approval: lost}, making.Lose("x-1", decidedAt))
	require.Nil(t, approved.Lose("", decidedAt))
	require.Equal(t, made(lost), lost.Make("x-1", result, decidedAt), "the process that was given up comes back")
	require.Nil(t, domain.EvolveApproval(lost, made(lost)).Lose("x-1", decidedAt), "nothing is lost after it")
}

func TestAnApprovalExpiresUnlessItIsDecided(t *testing.T) {
	end := waiting.ExpiresAt
	require.Nil(t, waiting.Expire(end.Add(-1)))
	require.Equal(t, domain.ApprovalWaiting, waiting.Shown(end.Add(-1)).State)
	require.Equal(t, domain.ApprovalExpired, waiting.Shown(end).State, "also before that is recorded")
	require.Equal(t, domain.CallExpired{Approval: after(waiting, func(p *domain.Approval) { p.State, p.EndedAt = domain.ApprovalExpired, end })}, waiting.Expire(end))
	require.Nil(t, approved.Expire(end))
	require.Equal(t, noon.Add(24*time.Hour), waiting.KeptUntil())
	made := after(making, func(p *domain.Approval) { p.State, p.EndedAt = domain.ApprovalMade, decidedAt })
	require.Equal(t, decidedAt.Add(24*time.Hour), made.KeptUntil(), "an answer is kept as long")
}

func TestWhichCallsNeedAnApproval(t *testing.T) {
	yes, no := true, false
	for _, row := range []struct {
		rule   domain.ApprovalRule
		method string
		hint   *domain.Annotations
		needs  bool
	}{
		{"", "POST", nil, false},
		{domain.ApproveNever, "DELETE", nil, false},
		{domain.ApproveAlways, "GET", nil, true},
		{domain.ApproveWrites, "GET", nil, false},
		{domain.ApproveWrites, "POST", nil, true},
		{domain.ApproveWrites, "DELETE", nil, true},
		{domain.ApproveWrites, "POST", &domain.Annotations{ReadOnly: &yes}, true},
		{domain.ApproveWrites, "GET", &domain.Annotations{ReadOnly: &no}, true},
		{domain.ApproveWrites, "POST", &domain.Annotations{Idempotent: &yes}, true},
	} {
		require.Equal(t, row.needs, domain.Endpoint{Approval: row.rule, Method: row.method, Annotations: row.hint}.NeedsApproval(), "%+v", row)
	}
}

func TestAnEventOfAnApprovalIsSeenByWhoSeesItsEndpoint(t *testing.T) {
	e := domain.CallRequested{Approval: waiting}
	require.True(t, domain.Scope{}.SeesEvent(e))
	require.True(t, domain.Scope{Tools: []string{"crm__b*"}}.SeesEvent(e))
	require.False(t, domain.Scope{Tools: []string{"crm__get_*"}}.SeesEvent(e))
	require.False(t, domain.Scope{Integrations: []string{"ehr"}}.SeesEvent(e))
	require.False(t, domain.Scope{Methods: []string{"GET"}}.SeesEvent(e))
}

func TestNobodyEndsAnApprovalByLeavingItOut(t *testing.T) {
	i := created(t, `{"name": "crm", "display_name": "CRM", "base_url": "https://a.example", "endpoints": [{"name": "book", "description": "Books.", "path": "/b", "method": "POST", "approval": "always", "record": "bodies"}]}`)
	for _, c := range []struct {
		given    string
		approval domain.ApprovalRule
		record   any
	}{
		{``, domain.ApproveAlways, domain.RecordBodies},
		{`, "approval": "never", "record": "none"`, "", domain.RecordRule("")},
	} {
		decision, err := i.Replace(doc(t, `{"name": "crm", "display_name": "CRM", "base_url": "https://a.example", "endpoints": [{"name": "book", "description": "Another one.", "path": "/b", "method": "POST"`+c.given+`}]}`), domain.Attempt{At: later, ID: "c"}, rules)
		require.NoError(t, err)
		after := domain.Evolve(i, decision.Event).Endpoints[0]
		require.Equal(t, []any{"Another one.", c.approval, c.record}, []any{after.Description, after.Approval, after.Record})
	}
	relaxed, err := i.Replace(doc(t, `{"name": "crm", "display_name": "CRM", "base_url": "https://a.example", "endpoints": [{"name": "book", "description": "Books.", "path": "/b", "method": "POST", "approval": "never"}]}`), domain.Attempt{At: later, ID: "c"}, rules)
	require.NoError(t, err)
	earlier := domain.Evolve(i, relaxed.Event)
	restored, err := i.Replace(earlier.Exact(), domain.Attempt{At: later, ID: "d"}, rules)
	require.NoError(t, err)
	require.Equal(t, earlier.Configuration, domain.Evolve(i, restored.Event).Configuration, "a version that had none is restored as it was")
}
