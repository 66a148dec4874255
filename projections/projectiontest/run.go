package projectiontest

import (
	"testing"

	"github.com/seed677028b5/integrations/projections"
)

// Run tests an implementation of Store. Open returns an empty one, and closes it when its test
// ends.
func Run(t *testing.T, open func(t *testing.T) projections.Store) {
	for _, test := range []struct {
		sentence string
		run      func(*testing.T, projections.Store)
	}{
		{"an empty store has no integrations", knowsOfNothing},
		{"an integration is shown as it was put", showsWhatWasPut},
		{"a deleted integration is not shown", hidesTheDeleted},
		{"a projector that lags behind changes nothing", refusesTheOlder},
		{"an integration that is created again is shown again", showsTheRecreated},
		{"two projectors at once give the same result as one", agreesWithTwoProjectors},
		{"a workspace sees its own integrations only", keepsWorkspacesApart},
		{"workspaces with an integration are listed by name, in pages", listsWorkspaces},
		{"positions never go back", neverGoesBack},
		{"a batch that doesn't start at the store's positions is refused", refusesWhatBeginsElsewhere},
		{"the last probe is shown beside its integration", showsTheLastProbe},
		{"a probe of an earlier incarnation is not shown", hidesProbesOfEarlierIncarnations},
		{"the schedule of health checks has every enabled integration and every last probe", schedules},
		{"a schedule of many parts has each integration once", schedulesMany},
		{"approvals are listed newest first, and never as they were before", showsApprovals},
		{"pages of approvals join for every filter", pagesApprovals},
		{"an integration is parked until a later event applies", parks},
		{"every filter lists the right integrations in every order", filtersAndSorts},
		{"a search is literal", searchesLiterally},
		{"a search is counted up to a bound", countsASearch},
		{"pages join without a gap or a repetition", pages},
		{"pages join while integrations come, change and go", pagesUnderChange},
		{"any history lists like the model", agreesWithTheModel},
		{"an authorization is listed until it is revoked", listsAuthorizations},
		{"every filter lists the right authorizations, in pages that join", filtersAuthorizations},
		{"any history of authorizations lists like the model", agreesWithTheModelOfAuthorizations},
		{"a caller whose context has ended gets its reason", returnsTheReason},
		{"a closed store is unavailable", isUnavailableWhenClosed},
	} {
		t.Run(test.sentence, func(t *testing.T) { test.run(t, open(t)) })
	}
}
