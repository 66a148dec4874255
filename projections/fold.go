package projections

import (
	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/eventstore"
)

// fold returns the documents that commits lead to, in the order of the log of integrations.
// An event carries the resulting state, so only the last of each integration counts. An event
// that can't be applied leaves the integration unchanged and parks it; one of an authorization
// leaves that unchanged. Fold returns all such events in refused, whatever follows them.
func fold(commits []eventstore.Commit) (b Batch, refused []Parked) {
	at, parked := map[domain.Ref]int{}, map[domain.Ref]Parked{}
	changed := map[domain.AuthorizationRef]int{}
	for _, c := range commits {
		b.Reached.Integrations = c.Position
		if c.Key != "" {
			a, err := appliedAuthorization(c)
			if err != nil { // which says nothing about its integration
				refused = append(refused, Parked{Position: c.Position, Workspace: c.Workspace, ID: c.ID, Reason: err.Error(), At: c.Meta.At})
				continue
			}
			n, seen := changed[a.AuthorizationRef]
			if !seen {
				n = len(b.Authorizations)
				changed[a.AuthorizationRef] = n
				b.Authorizations = append(b.Authorizations, Authorization{})
			}
			b.Authorizations[n] = a
			continue
		}
		state, err := applied(c)
		if err != nil {
			refusal := Parked{Position: c.Position, Workspace: c.Workspace, ID: c.ID, Reason: err.Error(), At: c.Meta.At}
			parked[c.Ref()] = refusal
			refused = append(refused, refusal)
			continue
		}
		delete(parked, c.Ref())
		n, seen := at[c.Ref()]
		if !seen {
			n = len(b.Documents)
			at[c.Ref()] = n
			b.Documents = append(b.Documents, Document{})
		}
		b.Documents[n] = Document{Position: c.Position, Integration: state}
	}
	for _, p := range parked {
		b.Parked = append(b.Parked, p)
	}
	return b, refused
}

// applied returns the state that an event leads to.
func applied(c eventstore.Commit) (domain.Integration, error) {
	if c.Err != nil {
		return domain.Integration{}, c.Err
	}
	state := domain.Evolve(domain.Integration{}, c.Event)
	if state.Workspace != c.Workspace || state.ID != c.ID {
		return domain.Integration{}, errOtherSubject
	}
	return state, nil
}

// appliedAuthorization returns the authorization that an event leads to.
func appliedAuthorization(c eventstore.Commit) (Authorization, error) {
	if c.Err != nil {
		return Authorization{}, c.Err
	}
	changed, ok := c.Event.(domain.AuthorizationChanged)
	ref := domain.AuthorizationRef{Workspace: c.Workspace, ID: c.ID, Key: c.Key}
	if !ok || changed.Ref() != ref {
		return Authorization{}, errOtherSubject
	}
	return Authorization{AuthorizationRef: ref, Position: c.Position, State: changed.State}, nil
}

// foldProbes returns the probe results of commits, in the order of the log of probes. It
// skips an unreadable result, which the next probe replaces.
func foldProbes(commits []eventstore.Commit) (b Batch, refused []Parked) {
	at := map[domain.Ref]int{}
	for _, c := range commits {
		b.Reached.Probes = c.Position
		probed, ok := c.Event.(domain.IntegrationProbed)
		if c.Err != nil || !ok || probed.Workspace != c.Workspace || probed.ID != c.ID {
			continue
		}
		result := ProbeResult{
			Position: c.Position, Workspace: c.Workspace, ID: c.ID, Incarnation: probed.Incarnation,
			LastProbe: LastProbe{
				Status: probed.Probe.Status, At: FromMicros(Micros(probed.Probe.At)), HTTPStatus: probed.Probe.HTTPStatus,
				Duration: probed.Probe.Duration, Message: probed.Probe.Message,
			},
		}
		switch n, seen := at[c.Ref()]; {
		case !seen:
			at[c.Ref()] = len(b.Probes)
			b.Probes = append(b.Probes, result)
		case b.Probes[n].Incarnation <= result.Incarnation:
			b.Probes[n] = result
		}
	}
	return b, nil
}
