package domain

import "time"

// Approval is a call that waits for somebody's decision, or that was made after it: an
// aggregate of its own. The zero value is one that was never asked for. What the call sends
// and what came back are in the vault; here is an HMAC of them, at most.
type Approval struct {
	ID            string        `json:"id"`
	Workspace     Workspace     `json:"workspace_id"`
	Integration   ID            `json:"integration_id"`
	Name          string        `json:"name"` // of the integration
	Incarnation   uint64        `json:"incarnation"`
	ConfigVersion uint64        `json:"config_version"` // of the integration: as it was asked for, and once approved, as it was approved
	Endpoint      string        `json:"endpoint"`
	Method        string        `json:"method"`
	Kind          CallKind      `json:"kind"`
	State         ApprovalState `json:"state"`
	Version       uint64        `json:"version"`                // counts its events, from 1
	Parameters    string        `json:"parameters_hmac"`        // of all that identifies the call
	Key           string        `json:"key"`                    // that asked
	Subject       string        `json:"subject_hmac,omitempty"` // on whose behalf; empty: nobody's
	RequestedAt   time.Time     `json:"requested_at"`
	ExpiresAt     time.Time     `json:"expires_at"` // of the wait for a decision

	DecidedBy string    `json:"decided_by,omitempty"` // a key
	DecidedAt time.Time `json:"decided_at,omitzero"`
	Reason    string    `json:"reason,omitempty"` // of the decision

	Attempt    string        `json:"attempt,omitempty"` // who makes the call
	StartedAt  time.Time     `json:"started_at,omitzero"`
	EndedAt    time.Time     `json:"ended_at,omitzero"`
	Cause      CancelCause   `json:"cause,omitempty"` // why an approved call was not made
	Outcome    CallOutcome   `json:"outcome,omitempty"`
	StatusCode int           `json:"status_code,omitempty"`
	Duration   time.Duration `json:"duration_ns,omitempty"`
}

// ApprovalState is how far a call that needs an approval has come.
type ApprovalState string

// The states of an approval. Those after ApprovalMaking are final, except that the outcome of
// a call may become known after all.
const (
	ApprovalWaiting   ApprovalState = "waiting"
	ApprovalApproved  ApprovalState = "approved"
	ApprovalMaking    ApprovalState = "making" // the call is being sent, once
	ApprovalMade      ApprovalState = "made"
	ApprovalDenied    ApprovalState = "denied"
	ApprovalExpired   ApprovalState = "expired"
	ApprovalCancelled ApprovalState = "cancelled"       // it was approved, and nothing was sent
	ApprovalUnknown   ApprovalState = "outcome_unknown" // it was perhaps sent, and the process that sent it did not record what came back
)

// ApprovalStates lists them all.
func ApprovalStates() []ApprovalState {
	return []ApprovalState{
		ApprovalWaiting, ApprovalApproved, ApprovalMaking, ApprovalMade, ApprovalDenied, ApprovalExpired, ApprovalCancelled, ApprovalUnknown,
	}
}

// CancelCause is why an approved call was not made.
type CancelCause string

// The causes.
const (
	CancelChanged    CancelCause = "integration_changed" // to another version than the approved one
	CancelDeleted    CancelCause = "integration_deleted"
	CancelDisabled   CancelCause = "integration_disabled"
	CancelForbidden  CancelCause = "forbidden"       // who asked may not make it any more
	CancelRefused    CancelCause = "call_refused"    // its parameters are refused
	CancelParameters CancelCause = "parameters_gone" // they were destroyed
	CancelLate       CancelCause = "too_late"        // no process could make it in time
)

// StartWithin is how long after its approval a call may still be made.
const StartWithin = 15 * time.Minute

// KeepApproved is how long the parameters of a call are kept after it was asked for, and its
// answer after it was made.
const KeepApproved = 24 * time.Hour

// The events of an approval. Each carries the state after it.
type (
	// CallRequested records that somebody asked for a call that needs an approval.
	CallRequested struct {
		Approval Approval `json:"approval"`
	}
	// CallApproved records that somebody permitted the call.
	CallApproved struct {
		Approval Approval `json:"approval"`
	}
	// CallDenied records that somebody refused the call.
	CallDenied struct {
		Approval Approval `json:"approval"`
	}
	// CallExpired records that nobody decided in time.
	CallExpired struct {
		Approval Approval `json:"approval"`
	}
	// CallStarted records that a process is about to send the call. It is recorded before
	// anything is sent, and the call is never sent again after it.
	CallStarted struct {
		Approval Approval `json:"approval"`
	}
	// CallMade records that the call was made, and its outcome.
	CallMade struct {
		Approval Approval `json:"approval"`
	}
	// CallCancelled records that the call was approved, and that nothing was sent.
	CallCancelled struct {
		Approval Approval `json:"approval"`
	}
	// CallLost records that the process that sent the call, perhaps, ended without recording
	// what came of it.
	CallLost struct {
		Approval Approval `json:"approval"`
	}
)

func (CallRequested) event() {}
func (CallApproved) event()  {}
func (CallDenied) event()    {}
func (CallExpired) event()   {}
func (CallStarted) event()   {}
func (CallMade) event()      {}
func (CallCancelled) event() {}
func (CallLost) event()      {}

// EvolveApproval returns the approval after e. It never fails.
func EvolveApproval(a Approval, e Event) Approval {
	switch e := e.(type) {
	case CallRequested:
		return e.Approval
	case CallApproved:
		return e.Approval
	case CallDenied:
		return e.Approval
	case CallExpired:
		return e.Approval
	case CallStarted:
		return e.Approval
	case CallMade:
		return e.Approval
	case CallCancelled:
		return e.Approval
	case CallLost:
		return e.Approval
	case IntegrationCreated, IntegrationUpdated, IntegrationDeleted, IntegrationProbed, IntegrationInvoked, AuthorizationChanged:
	}
	return a
}

// ApprovalOf returns the approval that an event is about, and whether it is about one.
func ApprovalOf(e Event) (Approval, bool) {
	a := EvolveApproval(Approval{}, e)
	return a, a.ID != ""
}

// Owner returns what the vault seals the values of an approval for.
func (a Approval) Owner() Owner {
	return Owner{Workspace: a.Workspace, ID: a.Integration, Incarnation: a.Incarnation}
}

// Shown returns the approval as it is at a time: one that nobody decided in time is expired,
// also before that is recorded.
func (a Approval) Shown(now time.Time) Approval {
	if a.State == ApprovalWaiting && !now.Before(a.ExpiresAt) {
		a.State, a.EndedAt = ApprovalExpired, a.ExpiresAt
	}
	return a
}

// Over reports whether nothing happens to the approval any more, by itself.
func (a Approval) Over() bool {
	return a.State != ApprovalWaiting && a.State != ApprovalApproved && a.State != ApprovalMaking
}

// KeptUntil returns when the values of the approval are destroyed.
func (a Approval) KeptUntil() time.Time {
	if until := a.EndedAt.Add(KeepApproved); a.State == ApprovalMade && until.After(a.RequestedAt.Add(KeepApproved)) {
		return until
	}
	return a.RequestedAt.Add(KeepApproved)
}
