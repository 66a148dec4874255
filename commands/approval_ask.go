package commands

import (
	"context"

	"github.com/seed677028b5/integrations/approvals"
	"github.com/seed677028b5/integrations/domain"
)

// errNoApprovals means that this process keeps no approvals.
var errNoApprovals = domain.Errorf(domain.Unavailable, "approvals_unavailable", "this process keeps no approvals, and the call needs one")

// askApproval asks for a call that needs an approval, unless the dry run of it failed. The
// result has the approval. Once the call is over, the first who asks for the same gets the
// outcome: its answer, or an error.
func (s *Service) askApproval(ctx context.Context, by Caller, i domain.Integration, e domain.Endpoint, kind domain.CallKind, params map[string]any, dry domain.CallResult) (domain.CallResult, error) {
	if dry.Error != "" {
		return dry, nil
	}
	if s.Approvals == nil {
		return domain.CallResult{}, errNoApprovals
	}
	p, err := s.Approvals.Ask(ctx, approvals.Ask{Integration: i, Endpoint: e, Kind: kind, Key: by.Actor, Request: approvals.Request{
		Params: params, Subject: by.OnBehalfOf, MayExec: by.MayExec, Address: by.Address, RequestID: by.RequestID, TraceParent: by.TraceParent,
	}})
	if err != nil {
		return domain.CallResult{}, err
	}
	switch p.State {
	case domain.ApprovalMade:
		result, err := s.Approvals.Answer(ctx, p)
		if approvals.Gone(err) {
			err = domain.Errorf(domain.Conflict, "approval_answer_gone", "the call was made, and its answer is destroyed by now; to make it again, ask again")
		}
		result.Approval = &p
		return result, err
	case domain.ApprovalDenied:
		return domain.CallResult{}, domain.Errorf(domain.Forbidden, "approval_denied", "the call was denied: %s. Do not ask again unless something has changed", orNoReason(p.Reason))
	case domain.ApprovalCancelled:
		return domain.CallResult{}, domain.Errorf(domain.Conflict, "approval_cancelled", "the call was approved, but nothing was sent (%s); to have it made, ask again", p.Cause)
	case domain.ApprovalUnknown:
		return domain.CallResult{}, domain.Errorf(domain.Conflict, "approval_outcome_unknown", "the call was perhaps made: the process that sent it ended. Find out before you ask again")
	case domain.ApprovalWaiting, domain.ApprovalApproved, domain.ApprovalMaking, domain.ApprovalExpired:
	}
	dry = domain.CallResult{Approval: &p, ErrorCode: domain.CallApprovalRequired}
	dry.Error = "Somebody must approve this call first; nothing was sent. Its approval is " + p.ID + ". Once it is approved, the service makes the call: call again with the same arguments to get the answer."
	return dry, nil
}

func orNoReason(reason string) string {
	if reason == "" {
		return "no reason was given"
	}
	return reason
}
