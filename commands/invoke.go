package commands

import (
	"context"
	"log/slog"

	"github.com/seed677028b5/integrations/domain"
)

// InvokeEndpoint calls one endpoint of an enabled integration and records the call. A
// failure of the upstream is in the result.
func (s *Service) InvokeEndpoint(ctx context.Context, by Caller, id domain.ID, endpoint string, params map[string]any) (domain.CallResult, error) {
	i, err := s.callable(ctx, by, id)
	if err != nil {
		return domain.CallResult{}, err
	}
	var e domain.Endpoint
	result, err := withSecrets(ctx, s, by, i, func(now domain.Integration, keyring domain.Keyring) (result domain.CallResult, err error) {
		if i = now; !i.Enabled {
			return result, domain.Errorf(domain.Conflict, "integration_disabled", "the integration %q is disabled", i.Name)
		}
		if e, err = i.Endpoint(endpoint); err != nil {
			return result, err
		}
		return s.call(ctx, domain.Call{Integration: i, Endpoint: e, Params: params, Invocation: true, Keyring: keyring})
	})
	if err != nil {
		return domain.CallResult{}, err
	}
	s.recordCall(ctx, by, i, e, domain.ToolCall, result)
	return result, nil
}

// recordCall records a call and its result. The call was already made, so a failure to
// record it is logged and not returned.
func (s *Service) recordCall(ctx context.Context, by Caller, i domain.Integration, e domain.Endpoint, kind domain.CallKind, result domain.CallResult) {
	at := s.Now()
	_, err := s.Events.RecordCall(context.WithoutCancel(ctx), domain.IntegrationInvoked{
		ID: i.ID, Workspace: i.Workspace, Incarnation: i.Incarnation, Endpoint: e.Name, Kind: kind, StatusCode: result.StatusCode,
		ErrorCode: result.ErrorCode, Attempts: len(result.Attempts), Duration: result.Duration, At: at,
	}, domain.Metadata{CommandID: s.NewID(), At: at, Actor: by.Actor, Address: by.Address, RequestID: by.RequestID, TraceParent: by.TraceParent})
	if err != nil {
		s.Log.ErrorContext(ctx, "recording a call failed", slog.String("integration_id", string(i.ID)),
			slog.String("endpoint", e.Name), slog.String("actor", by.Actor), slog.String("request_id", by.RequestID), slog.Any("err", err))
	}
}
