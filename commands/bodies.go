package commands

import (
	"context"
	"log/slog"

	"github.com/seed677028b5/integrations/audit"
	"github.com/seed677028b5/integrations/bodies"
	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/eventstore"
)

// keepBodies keeps the bodies of a call that is to be recorded, and reports whether it could. The
// call was already made, so a failure is logged and not returned.
func (s *Service) keepBodies(ctx context.Context, call bodies.Call, result domain.CallResult) bool {
	err := s.Bodies.Keep(context.WithoutCancel(ctx), call, bodies.Of(result))
	if err != nil {
		s.Log.WarnContext(ctx, "keeping the bodies of a call failed", slog.String("integration_id", string(call.Owner.ID)), slog.String("call", call.ID), slog.Any("err", err))
	}
	return err == nil
}

// NoSuchCall is the error for a call that was not recorded, or that the caller doesn't see.
func NoSuchCall() error {
	return domain.Errorf(domain.NotFound, "call_not_found", "there is no such call of this integration")
}

// CallBodies returns what a recorded call sent, and what came back, unless the scope of ctx
// hides it.
func (s *Service) CallBodies(ctx context.Context, w domain.Workspace, id domain.ID, position uint64) (bodies.Bodies, error) {
	if position == 0 || s.Bodies == nil {
		return bodies.Bodies{}, NoSuchCall()
	}
	found, _, err := s.Events.CallPage(ctx, eventstore.Selection{Workspace: w, ID: id}, position-1, 1)
	if err != nil {
		return bodies.Bodies{}, err
	}
	if len(found) == 0 || found[0].Position != position {
		return bodies.Bodies{}, NoSuchCall()
	}
	call, ok := found[0].Event.(domain.IntegrationInvoked)
	if _, visible := audit.EntryOf(found[0]).Seen(domain.ScopeOf(ctx)); !ok || !visible {
		return bodies.Bodies{}, NoSuchCall()
	}
	return s.Bodies.Read(ctx, callOf(call, found[0].Meta.CommandID))
}

func callOf(call domain.IntegrationInvoked, id string) bodies.Call {
	return bodies.Call{Owner: domain.Owner{Workspace: call.Workspace, ID: call.ID, Incarnation: call.Incarnation}, ID: id, At: call.At}
}
