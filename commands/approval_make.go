package commands

import (
	"context"
	"net/http"

	"github.com/seed677028b5/integrations/approvals"
	"github.com/seed677028b5/integrations/domain"
)

// MayMake implements approvals.Maker: a key that was revoked, has expired or lost a permission
// since it asked has no call made, whoever approved it.
func (s *Service) MayMake(i domain.Integration, p domain.Approval, r approvals.Request) error {
	a := Asker{MayInvoke: true, MayTest: true, MayExec: true, MayActFor: true}
	known := true
	if s.Asker != nil {
		a, known = s.Asker(p.Workspace, p.Key)
	}
	asTool := p.Kind != domain.TestCall || s.TestsNeedInvoke && p.Method != http.MethodGet
	switch {
	case !known, !a.Shows(p.Name, p.Endpoint, p.Method), asTool && !a.MayInvoke, p.Kind == domain.TestCall && !a.MayTest,
		r.Subject != "" && !a.MayActFor, i.Consents() && !a.ActsFor(r.Subject), i.MCPTransport == domain.Stdio && (!a.MayExec || !r.MayExec):
		return domain.Errorf(domain.Forbidden, "forbidden", "who asked for this call may not make it any more")
	}
	return nil
}

// Make implements approvals.Maker. The call is not retried, whatever its endpoint configures.
func (s *Service) Make(ctx context.Context, p domain.Approval, r approvals.Request) (domain.CallResult, error) {
	by := Caller{
		Workspace: p.Workspace, Actor: p.Key, Address: r.Address, RequestID: r.RequestID, TraceParent: r.TraceParent, MayExec: r.MayExec, Kind: p.Kind,
		OnBehalfOf: r.Subject, approval: p.ID,
	}
	i, err := s.callable(ctx, by, p.Integration)
	if err != nil {
		return domain.CallResult{}, err
	}
	var e domain.Endpoint
	result, err := withSecrets(ctx, s, by, i, func(now domain.Integration, keyring domain.Keyring) (result domain.CallResult, err error) {
		if i = now; i.Version != p.ConfigVersion || i.Incarnation != p.Incarnation {
			return result, domain.Errorf(domain.Conflict, "integration_changed", "the integration was changed since the call was approved")
		}
		if e, err = endpoint(ctx, i, p.Endpoint); err != nil {
			return result, err
		}
		once := e
		once.Retry.MaxRetries = 0
		return s.call(ctx, domain.Call{Integration: i, Endpoint: once, Params: r.Params, Invocation: p.Kind != domain.TestCall, Keyring: keyring, Subject: by.OnBehalfOf, TraceParent: by.TraceParent})
	})
	if err != nil {
		return domain.CallResult{}, err
	}
	s.afterCall(ctx, by, i, &result)
	s.recordCall(ctx, by, i, e, p.Kind, result)
	return result, nil
}
