package commands

import (
	"cmp"
	"context"

	"github.com/seed677028b5/integrations/domain"
)

// InvokeEndpoint calls one endpoint of an enabled integration and records the call, or asks
// for its approval. A failure of the upstream is in the result, and so is an approval.
func (s *Service) InvokeEndpoint(ctx context.Context, by Caller, id domain.ID, name string, params map[string]any) (domain.CallResult, error) {
	result, _, err := s.InvokeTool(ctx, by, id, name, params)
	return result, err
}

// InvokeTool is InvokeEndpoint, and also returns the integration that was called.
func (s *Service) InvokeTool(ctx context.Context, by Caller, id domain.ID, name string, params map[string]any) (domain.CallResult, domain.Integration, error) {
	i, err := s.callable(ctx, by, id)
	if err != nil {
		return domain.CallResult{}, i, err
	}
	var e domain.Endpoint
	kind := cmp.Or(by.Kind, domain.ToolCall)
	result, err := withSecrets(ctx, s, by, i, func(now domain.Integration, keyring domain.Keyring) (result domain.CallResult, err error) {
		if i = now; !i.Enabled {
			return result, domain.Errorf(domain.Conflict, "integration_disabled", "the integration %q is disabled", i.Name)
		}
		if e, err = endpoint(ctx, i, name); err != nil {
			return result, err
		}
		return s.call(ctx, domain.Call{
			Integration: i, Endpoint: e, Params: params, DryRun: e.NeedsApproval(), Invocation: true, Keyring: keyring, Subject: by.OnBehalfOf, Progress: by.Progress,
			TraceParent: by.TraceParent,
		})
	})
	if err != nil {
		return domain.CallResult{}, i, err
	}
	if e.NeedsApproval() {
		result, err = s.askApproval(ctx, by, i, e, kind, params, result)
		return result, i, err
	}
	s.afterCall(ctx, by, i, &result)
	s.recordCall(ctx, by, i, e, kind, result)
	return result, i, nil
}
