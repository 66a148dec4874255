package projections

import (
	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/eventstore"
)

// owner tells integrations of all workspaces apart.
type owner struct {
	workspace domain.Workspace
	id        domain.ID
}

func of(c eventstore.Commit) owner { return owner{c.Workspace, c.ID} }

// fold returns what commits, in the order of the log of integrations, come to.
// An event carries the state it leads to, so only the last of each integration
// counts. One that can't be applied leaves the integration as it was before, and
// parks it; all of those are returned as well, whatever followed them.
func fold(commits []eventstore.Commit) (b Batch, refused []Parked) {
	at, parked := map[owner]int{}, map[owner]Parked{}
	for _, c := range commits {
		b.Reached.Integrations = c.Position
		state, err := applied(c)
		if err != nil {
			refusal := Parked{Position: c.Position, Workspace: c.Workspace, ID: c.ID, Reason: err.Error(), At: c.Meta.At}
			parked[of(c)] = refusal
			refused = append(refused, refusal)
			continue
		}
		delete(parked, of(c))
		n, seen := at[of(c)]
		if !seen {
			n = len(b.Documents)
			at[of(c)] = n
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

// foldProbes returns what commits, in the order of the log of probes, come to.
// A result that can't be read is passed over: the next probe says it again.
func foldProbes(commits []eventstore.Commit) (b Batch, refused []Parked) {
	at := map[owner]int{}
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
		switch n, seen := at[of(c)]; {
		case !seen:
			at[of(c)] = len(b.Probes)
			b.Probes = append(b.Probes, result)
		case b.Probes[n].Incarnation <= result.Incarnation:
			b.Probes[n] = result
		}
	}
	return b, nil
}
