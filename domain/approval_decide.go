package domain

import (
	"net/http"
	"time"
)

// NeedsApproval reports whether a call of the endpoint needs somebody's approval. A call
// writes unless its method is GET and its annotations agree. That a tool calls itself read
// only exempts none: the annotations of an MCP server are its own word.
func (e Endpoint) NeedsApproval() bool {
	switch e.Approval {
	case ApproveAlways:
		return true
	case ApproveWrites:
		writes := e.Annotations != nil && e.Annotations.ReadOnly != nil && !*e.Annotations.ReadOnly
		return e.Method != http.MethodGet || writes
	case ApproveNever, "":
	}
	return false
}

// NoSuchApproval is the error for an id that the workspace doesn't have, or that the caller
// doesn't see.
func NoSuchApproval() error {
	return Errorf(NotFound, "approval_not_found", "there is no such approval in this workspace")
}

// Request decides to ask for an approval. It refuses with Conflict an id that is taken.
func (a Approval) Request(asked Approval) (Event, error) {
	if a.Version > 0 {
		return nil, Errorf(Conflict, "approval_exists", "there is an approval with this id")
	}
	asked.State, asked.Version = ApprovalWaiting, 1
	return CallRequested{asked}, nil
}

// A Verdict is what somebody decides about an approval.
type Verdict struct {
	Approve bool
	By      string // a key
	Subject string // an HMAC, as in Approval; empty: unknown
	Related bool   // somebody may have both this key and the one that asked
	Reason  string
	Version uint64 // of the configuration that was looked at; 0: the one that the call was asked for with
	At      time.Time
}

// Decide decides about an approval, given the integration as it is now. It refuses with
// Forbidden the caller who asked for the call, with Conflict one that is decided or has expired,
// and one whose integration is another one than was looked at.
func (a Approval) Decide(v Verdict, now Integration) (Event, error) {
	switch {
	case v.By == a.Key, v.Related, v.Subject != "" && v.Subject == a.Subject:
		return nil, Errorf(Forbidden, "own_approval", "a caller can't decide about the calls that it asked for, nor about those of a key that it issued or that has the same issuer, unless an administrator issued them")
	case a.Shown(v.At).State == ApprovalExpired:
		return nil, Errorf(Conflict, "approval_expired", "nobody decided in time; the call must be asked for again")
	case a.State != ApprovalWaiting:
		return nil, Errorf(Conflict, "approval_decided", "this approval is decided already: it is %s", a.State)
	}
	a.Version++
	a.DecidedBy, a.DecidedAt, a.Reason = v.By, v.At, v.Reason
	if !v.Approve {
		a.State, a.EndedAt = ApprovalDenied, v.At
		return CallDenied{a}, nil
	}
	looked := v.Version
	if looked == 0 {
		looked = a.ConfigVersion
	}
	switch {
	case !now.Exists() || now.Incarnation != a.Incarnation:
		return nil, Errorf(Conflict, "integration_deleted", "the integration was deleted since the call was asked for; deny it")
	case now.Version != looked:
		return nil, Errorf(Conflict, "integration_changed",
			"the integration is at version %d, and not at %d; look at what changed, then approve with \"version\": %d", now.Version, looked, now.Version)
	}
	a.State, a.ConfigVersion = ApprovalApproved, looked
	return CallApproved{a}, nil
}

// Expire decides that nobody decided in time; nil: somebody still can, or did.
func (a Approval) Expire(at time.Time) Event {
	if a.State != ApprovalWaiting || a.Shown(at).State != ApprovalExpired {
		return nil
	}
	a.Version++
	a.State, a.EndedAt = ApprovalExpired, at
	return CallExpired{a}
}

// Start decides to make the call, given the integration as it is now: with the version that
// was approved, or not at all. It returns nil when the call is not there to be made: it is
// made or being made.
func (a Approval) Start(attempt string, now Integration, at time.Time) Event {
	switch {
	case a.State != ApprovalApproved:
		return nil
	case !now.Exists() || now.Incarnation != a.Incarnation:
		return a.Cancel(CancelDeleted, at)
	case now.Version != a.ConfigVersion:
		return a.Cancel(CancelChanged, at)
	case !now.Enabled && a.Kind != TestCall:
		return a.Cancel(CancelDisabled, at)
	case at.Sub(a.DecidedAt) > StartWithin:
		return a.Cancel(CancelLate, at)
	}
	a.Version++
	a.State, a.Attempt, a.StartedAt = ApprovalMaking, attempt, at
	return CallStarted{a}
}

// Cancel decides not to make an approved call; nil: it is not there to be made. A call that
// was started is cancelled only by who started it, and knows that nothing was sent.
func (a Approval) Cancel(cause CancelCause, at time.Time) Event {
	if a.State != ApprovalApproved && a.State != ApprovalMaking {
		return nil
	}
	a.Version++
	a.State, a.Cause, a.EndedAt = ApprovalCancelled, cause, at
	return CallCancelled{a}
}

// Make decides what came of the call that an attempt sent; nil: it is not the one that was
// started. It may come after the call was given up as lost.
func (a Approval) Make(attempt string, result CallResult, at time.Time) Event {
	if a.State != ApprovalMaking && a.State != ApprovalUnknown || a.Attempt != attempt {
		return nil
	}
	a.Version++
	a.State, a.EndedAt = ApprovalMade, at
	a.Outcome, a.StatusCode, a.Duration = OutcomeOf(result.ErrorCode), result.StatusCode, result.Duration
	return CallMade{a}
}

// Lose decides that nobody will record what came of a call that an attempt has started; nil:
// it is recorded, or another attempt is not known to be gone.
func (a Approval) Lose(attempt string, at time.Time) Event {
	if a.State != ApprovalMaking || a.Attempt != attempt {
		return nil
	}
	a.Version++
	a.State, a.EndedAt = ApprovalUnknown, at
	return CallLost{a}
}
