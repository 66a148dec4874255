package commands

import (
	"context"
	"errors"
	"time"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/eventstore"
	"github.com/seed677028b5/integrations/internal/tracing"
)

// probeTimeout bounds every probe.
const probeTimeout = 5 * time.Second

// TestConnection probes an integration, enabled or not, and records the result. Without
// capacity for the probe it refuses with Unavailable and records nothing. It returns the
// result and its position in the log of probes.
func (s *Service) TestConnection(ctx context.Context, by Caller, id domain.ID) (domain.Probe, uint64, error) {
	i, err := s.callable(ctx, by, id)
	if err != nil {
		return domain.Probe{}, 0, err
	}
	return s.probeAndRecord(ctx, by, i, s.NewID(), nil)
}

// ProbeEnabled is TestConnection for enabled integrations: a disabled one is refused with
// Conflict and the code disabled. The result of a command is recorded once, however often
// the command runs. Last is the last result if it was read just now, else nil.
func (s *Service) ProbeEnabled(ctx context.Context, by Caller, id domain.ID, command string, last *eventstore.Commit) (domain.Probe, uint64, error) {
	i, err := s.callable(ctx, by, id)
	switch {
	case err != nil:
		return domain.Probe{}, 0, err
	case !i.Enabled:
		return domain.Probe{}, 0, domain.Errorf(domain.Conflict, "disabled", "the integration is disabled")
	}
	return s.probeAndRecord(ctx, by, i, command, last)
}

func (s *Service) probeAndRecord(ctx context.Context, by Caller, i domain.Integration, command string, last *eventstore.Commit) (domain.Probe, uint64, error) {
	probe, err := withSecrets(ctx, s, by, i, func(now domain.Integration, keyring domain.Keyring) (domain.Probe, error) {
		i = now
		return s.probe(ctx, i, keyring), nil
	})
	if err != nil { // a cached state doesn't describe the present one
		return domain.Probe{}, 0, err
	}
	if probe.Status == "" {
		return domain.Probe{}, 0, notProbed(probe)
	}
	position, err := s.recordProbe(ctx, i, probe, last, domain.Metadata{
		CommandID: command, At: probe.At, Actor: by.Actor, Address: by.Address, RequestID: by.RequestID, TraceParent: by.TraceParent,
	})
	return probe, position, err
}

// recordProbe appends a result after the previous one, which is read unless it is known; again
// after a conflict.
func (s *Service) recordProbe(ctx context.Context, i domain.Integration, p domain.Probe, known *eventstore.Commit, m domain.Metadata) (uint64, error) {
	for range attempts {
		var last eventstore.Commit
		var err error
		if known != nil {
			last, known = *known, nil
		} else {
			last, err = s.Events.LastProbe(ctx, i.Workspace, i.ID)
		}
		switch {
		case err != nil && last.Err == nil:
			return 0, err
		case last.Position > 0 && last.Meta.CommandID == m.CommandID:
			return last.Position, nil
		}
		before, _ := last.Event.(domain.IntegrationProbed) // an unreadable result is ignored
		position, err := s.Events.RecordProbe(ctx, last.Position, i.Probed(before, p), m)
		if !errors.Is(err, eventstore.ErrConflict) {
			return position, err
		}
	}
	return 0, domain.Errorf(domain.Conflict, "probed_too_often", "the integration is being probed too often; try again")
}

// TestUnsavedConnection probes the configuration in doc. It records that, and nothing of
// the configuration but its name. If doc has the id of an integration, absent members are taken from it, including secrets that
// would go to the same destination.
func (s *Service) TestUnsavedConnection(ctx context.Context, by Caller, doc domain.Document) (domain.Probe, error) {
	wanted, keyring, err := s.unsaved(ctx, by, doc)
	if err != nil {
		return domain.Probe{}, err
	}
	probe := s.probe(domain.WithUnsaved(ctx), wanted, keyring)
	if probe.Status == "" {
		return domain.Probe{}, notProbed(probe)
	}
	s.recordConnection(ctx, by, wanted, probe)
	return probe, nil
}

// notProbed is the error for a probe without a result, because of missing capacity or a
// concurrent change of the integration. It is not recorded, since it doesn't describe the
// upstream.
func notProbed(p domain.Probe) error {
	return domain.Wrap(errors.New(p.Message), domain.Unavailable, "not_probed", "the integration could not be probed; try again")
}

func (s *Service) probe(ctx context.Context, i domain.Integration, keyring domain.Keyring) domain.Probe {
	if unset := s.missingSettings(i); unset != "" {
		return domain.Probe{
			Status: domain.Misconfigured, Message: unset, At: s.Now(), Steps: []domain.ProbeStep{{Name: "resolve_auth", Detail: unset}},
		}
	}
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	ctx, span := tracing.Start(ctx, "probe", tracing.Internal)
	p := s.Connectors.Probe(ctx, i, keyring)
	span.Of(i.Workspace, i.ID)
	span.SetText(tracing.Protocol, string(i.Protocol))
	span.SetText(tracing.Outcome, string(p.Status))
	span.End(nil)
	return p
}
