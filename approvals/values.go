package approvals

import (
	"context"
	"encoding/json"
	"strings"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/eventstore"
)

// maxAnswer bounds a kept answer, in bytes of JSON.
const maxAnswer = 512 << 10

// kept returns an answer as it is kept: without what is too long.
func kept(r domain.CallResult) domain.CallResult {
	if data, err := json.Marshal(r); err == nil && len(data) <= maxAnswer {
		return r
	}
	r.RawResponse, r.AfterFilter, r.AfterMapping, r.Tool, r.Truncated = nil, nil, nil, nil, true
	r.Request.Body = ""
	if runes := []rune(r.FinalResult); len(runes) > maxAnswer/8 {
		r.FinalResult = string(runes[:maxAnswer/8]) + "…"
	}
	return r
}

// Owns reports whether a secret of the vault belongs to an approval, by its id.
func Owns(secret string) bool { return strings.HasPrefix(secret, valuePrefix) }

// Needs reports whether a secret that Owns is still needed, given the integration as it is
// now. What belongs to an approval that was recorded is destroyed by Run, in time.
func (a *Approvals) Needs(ctx context.Context, i domain.Integration, secret string) (bool, error) {
	if !i.Exists() {
		return false, nil
	}
	id := strings.TrimSuffix(strings.TrimSuffix(strings.TrimPrefix(secret, valuePrefix), "-request"), "-answer")
	c, err := a.Events.LoadApproval(ctx, i.Workspace, i.ID, id)
	if err != nil {
		return true, err
	}
	p, ok := domain.ApprovalOf(c.Event)
	return ok && p.Incarnation == i.Incarnation, nil
}

// Forget destroys the values of the approvals of an integration that was deleted.
func (a *Approvals) Forget(ctx context.Context, i domain.Integration, m Maker) error {
	for c, err := range a.Events.Children(ctx, eventstore.ChildApprovals, i.Workspace, i.ID) {
		if err != nil {
			return err
		}
		if p, ok := domain.ApprovalOf(c.Event); ok && a.Now().Before(p.KeptUntil()) {
			if err := m.Destroy(ctx, p.Owner(), []domain.SecretRef{requestRef(p.ID), answerRef(p.ID)}); err != nil {
				return err
			}
		}
	}
	return nil
}
