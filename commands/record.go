package commands

import (
	"context"
	"log/slog"
	"time"

	"github.com/seed677028b5/integrations/domain"
)

// recordCall records a call of an endpoint and its result.
func (s *Service) recordCall(ctx context.Context, by Caller, i domain.Integration, e domain.Endpoint, kind domain.CallKind, result domain.CallResult) {
	s.recordInvoked(ctx, by, i, domain.IntegrationInvoked{
		Version: i.Version, Endpoint: e.Name, Method: e.Method, Kind: kind, StatusCode: result.StatusCode, Outcome: domain.OutcomeOf(result.ErrorCode),
		Attempts: len(result.Attempts), RequestBytes: result.RequestBytes, ResponseBytes: result.ResponseBytes, Duration: result.Duration,
	})
}

// recordDiscovery records that the upstream of an integration was asked what it offers.
func (s *Service) recordDiscovery(ctx context.Context, by Caller, i domain.Integration, took time.Duration, found domain.Discovery) {
	s.recordInvoked(ctx, by, i, domain.IntegrationInvoked{
		Version: i.Version, Kind: domain.DiscoveryCall, Outcome: domain.OutcomeOf(found.ErrorCode), Attempts: 1, Duration: took,
	})
}

// recordConnection records that a configuration which is not saved was tried.
func (s *Service) recordConnection(ctx context.Context, by Caller, i domain.Integration, p domain.Probe) {
	outcome := domain.CallOutcome(p.Status)
	if p.Status == domain.Healthy {
		outcome = domain.CallOK
	}
	s.recordInvoked(ctx, by, i, domain.IntegrationInvoked{
		Kind: domain.ConnectionCall, StatusCode: p.HTTPStatus, Outcome: outcome, Attempts: 1, Duration: p.Duration,
	})
}

// recordInvoked completes and records a call of the upstream of i. The call was already
// made, so a failure to record it is logged and not returned.
func (s *Service) recordInvoked(ctx context.Context, by Caller, i domain.Integration, call domain.IntegrationInvoked) {
	at := s.Now()
	if s.Called != nil {
		s.Called(i.Protocol, call)
	}
	call.ID, call.Workspace, call.Name, call.Incarnation, call.At = i.ID, i.Workspace, i.Name, i.Incarnation, at
	_, err := s.Events.RecordCall(context.WithoutCancel(ctx), call,
		domain.Metadata{CommandID: s.NewID(), At: at, Actor: by.Actor, Address: by.Address, RequestID: by.RequestID, TraceParent: by.TraceParent})
	if err != nil {
		s.Log.ErrorContext(ctx, "recording a call failed", slog.String("integration_id", string(i.ID)),
			slog.String("endpoint", call.Endpoint), slog.String("actor", by.Actor), slog.String("request_id", by.RequestID), slog.Any("err", err))
	}
}
