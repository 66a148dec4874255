package commands

import (
	"context"
	"net/http"
	"strings"

	"github.com/seed677028b5/integrations/domain"
)

// TestEndpoint calls one endpoint of an integration, enabled or not, with params, and
// records the call unless it is a dry run, or asks for its approval. A failure of the upstream
// is in the result.
func (s *Service) TestEndpoint(ctx context.Context, by Caller, id domain.ID, name string, params map[string]any, dryRun bool) (domain.CallResult, error) {
	i, err := s.callable(ctx, by, id)
	if err != nil {
		return domain.CallResult{}, err
	}
	var e domain.Endpoint
	result, err := withSecrets(ctx, s, by, i, func(now domain.Integration, keyring domain.Keyring) (result domain.CallResult, err error) {
		i = now
		if e, err = endpoint(ctx, i, name); err != nil {
			return result, err
		}
		if s.TestsNeedInvoke && !by.MayInvoke && !dryRun && e.Method != http.MethodGet {
			return result, domain.Errorf(domain.Forbidden, "forbidden",
				"a test of an endpoint with the method %s can change data of the upstream: here it takes the permission Integration.invoke; a dry run does not", e.Method)
		}
		return s.call(ctx, domain.Call{Integration: i, Endpoint: e, Params: params, DryRun: dryRun || e.NeedsApproval(), Keyring: keyring, Subject: by.OnBehalfOf, TraceParent: by.TraceParent})
	})
	if err != nil {
		return domain.CallResult{}, err
	}
	if !dryRun && e.NeedsApproval() {
		return s.askApproval(ctx, by, i, e, domain.TestCall, params, result)
	}
	if !dryRun {
		s.afterCall(ctx, by, i, &result)
		s.recordCall(ctx, by, i, e, domain.TestCall, result)
	}
	return result, nil
}

// call calls an endpoint, with the arguments under the names that its schema has.
func (s *Service) call(ctx context.Context, c domain.Call) (domain.CallResult, error) {
	if unset := s.missingSettings(c.Integration); unset != "" {
		return domain.CallResult{Error: unset, ErrorCode: domain.CallMisconfigured}, nil
	}
	c.Params = s.Plain.arguments(c)
	ctx, span := traceCall(ctx, s.Traces, &c)
	result, err := s.Connectors.Call(ctx, c)
	endCall(span, result, err)
	return result, err
}

// missingSettings returns a sentence that names the settings of a built-in that the operator has not
// set, "" when none is missing.
func (s *Service) missingSettings(i domain.Integration) string {
	if !i.Builtin {
		return ""
	}
	missing := s.Builtins.Missing(i.Name)
	if len(missing) == 0 {
		return ""
	}
	return "The operator has not set " + strings.Join(missing, " and ") + "."
}
