package commands

import (
	"context"
	"log/slog"
	"time"

	"github.com/seed677028b5/integrations/bodies"
	"github.com/seed677028b5/integrations/domain"
)

// recordCall records a call of an endpoint and its result.
func (s *Service) recordCall(ctx context.Context, by Caller, i domain.Integration, e domain.Endpoint, kind domain.CallKind, result domain.CallResult) {
	authorization := ""
	if s.Authorizations != nil && i.Consents() && e.Auth == nil {
		authorization = s.Authorizations.ID(s.useOf(i, by.OnBehalfOf))
	}
	var keep func(bodies.Call) bool
	if e.Record == domain.RecordBodies && s.Bodies != nil && len(result.Attempts) > 0 {
		keep = func(call bodies.Call) bool { return s.keepBodies(ctx, call, result) }
	}
	s.recordInvoked(ctx, by, i, domain.IntegrationInvoked{
		Authorization: authorization,
		Version:       i.Version, Endpoint: e.Name, Method: e.Method, Kind: kind, StatusCode: result.StatusCode, Outcome: domain.OutcomeOf(result.ErrorCode),
		Attempts: len(result.Attempts), RequestBytes: result.RequestBytes, ResponseBytes: result.ResponseBytes, Duration: result.Duration,
		Approval: by.approval,
	}, keep)
}

// recordDiscovery records that the upstream of an integration was asked what it offers.
func (s *Service) recordDiscovery(ctx context.Context, by Caller, i domain.Integration, took time.Duration, found domain.Discovery) {
	s.recordInvoked(ctx, by, i, domain.IntegrationInvoked{
		Version: i.Version, Kind: domain.DiscoveryCall, Outcome: domain.OutcomeOf(found.ErrorCode), Attempts: 1, Duration: took,
	}, nil)
}

// recordConnection records that a configuration which is not saved was tried.
func (s *Service) recordConnection(ctx context.Context, by Caller, i domain.Integration, p domain.Probe) {
	outcome := domain.CallOutcome(p.Status)
	if p.Status == domain.Healthy {
		outcome = domain.CallOK
	}
	s.recordInvoked(ctx, by, i, domain.IntegrationInvoked{
		Kind: domain.ConnectionCall, StatusCode: p.HTTPStatus, Outcome: outcome, Attempts: 1, Duration: p.Duration,
	}, nil)
}

// recordInvoked completes and records a call of the upstream of i: beside the answer, unless it
// was approved. Keep keeps its bodies, and reports whether it could; nil: they are not kept. The
// call was already made, so a failure to record it is logged and not returned.
func (s *Service) recordInvoked(ctx context.Context, by Caller, i domain.Integration, call domain.IntegrationInvoked, keep func(bodies.Call) bool) {
	at := s.Now()
	if s.Called != nil {
		s.Called(i.Protocol, call)
	}
	call.ID, call.Workspace, call.Name, call.Incarnation, call.At = i.ID, i.Workspace, i.Name, i.Incarnation, at
	id := s.NewID()
	call.Bodies = keep != nil && keep(callOf(call, id))
	err := s.storeCall(context.WithoutCancel(ctx), call,
		domain.Metadata{CommandID: id, At: at, Actor: by.Actor, Address: by.Address, RequestID: by.RequestID, TraceParent: by.TraceParent})
	if err != nil {
		s.Log.ErrorContext(ctx, "recording a call failed", slog.String("integration_id", string(i.ID)),
			slog.String("endpoint", call.Endpoint), slog.String("actor", by.Actor), slog.String("request_id", by.RequestID), slog.Any("err", err))
	}
}

// storeCall stores the record of a call. One that was approved is on disk when it returns.
func (s *Service) storeCall(ctx context.Context, call domain.IntegrationInvoked, m domain.Metadata) (err error) {
	switch {
	case s.Calls == nil:
		_, err = s.Events.RecordCall(ctx, call, m)
	case call.Approval != "":
		_, err = s.Calls.RecordNow(ctx, call, m)
	default:
		err = s.Calls.Record(ctx, call, m)
	}
	return err
}
