package projectiontest

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/projections"
)

// asked returns an approval that waits, asked for some seconds after noon.
func asked(w domain.Workspace, id, integration, key string, seconds int) domain.Approval {
	return domain.Approval{
		ID: id, Workspace: w, Integration: domain.NewID(w, integration), Name: integration, Incarnation: 1, ConfigVersion: 2, Endpoint: "book", Method: "POST",
		Kind: domain.ToolCall, State: domain.ApprovalWaiting, Version: 1, Parameters: "hmac", Key: key,
		RequestedAt: noon.Add(time.Duration(seconds) * time.Second), ExpiresAt: noon.Add(time.Hour),
	}
}

func inState(a domain.Approval, s domain.ApprovalState) domain.Approval {
	a.State = s
	a.Version++
	return a
}

// approvals applies approvals, each at the position beside it.
func approvals(t *testing.T, s projections.Store, documents ...projections.ApprovalDocument) {
	t.Helper()
	b := projections.Batch{Approvals: documents}
	for _, d := range documents {
		b.Reached.Approvals = max(b.Reached.Approvals, d.Position)
	}
	require.NoError(t, s.Apply(t.Context(), b))
}

func showsApprovals(t *testing.T, s projections.Store) {
	first, second := asked(workspace, "a1", "crm", "ann", 1), asked(workspace, "a2", "crm", "ann", 2)
	other := asked("other", "a1", "crm", "ann", 3)
	page, err := s.Approvals(t.Context(), workspace, projections.ApprovalQuery{Limit: 10})
	require.NoError(t, err)
	require.Empty(t, page.Items)

	approvals(t, s, projections.ApprovalDocument{Position: 1, Approval: first}, projections.ApprovalDocument{Position: 2, Approval: second},
		projections.ApprovalDocument{Position: 3, Approval: other})
	list := func(w domain.Workspace, q projections.ApprovalQuery) []domain.Approval {
		q.Limit = 10
		page, err := s.Approvals(t.Context(), w, q)
		require.NoError(t, err)
		require.Nil(t, page.Next)
		return page.Items
	}
	require.Equal(t, []domain.Approval{second, first}, list(workspace, projections.ApprovalQuery{}), "newest first")
	require.Equal(t, []domain.Approval{other}, list("other", projections.ApprovalQuery{}))

	denied := inState(first, domain.ApprovalDenied)
	approvals(t, s, projections.ApprovalDocument{Position: 4, Approval: denied})
	approvals(t, s, projections.ApprovalDocument{Position: 1, Approval: first}) // again, by one that lags behind
	require.Equal(t, []domain.Approval{second, denied}, list(workspace, projections.ApprovalQuery{}))
	require.Equal(t, []domain.Approval{second}, list(workspace, projections.ApprovalQuery{State: domain.ApprovalWaiting}))
	require.Equal(t, []domain.Approval{denied}, list(workspace, projections.ApprovalQuery{State: domain.ApprovalDenied}))
	at, err := s.Positions(t.Context())
	require.NoError(t, err)
	require.Equal(t, projections.Positions{Approvals: 4}, at)
}

// pagesApprovals lists with every combination of filters, and pages of each size.
func pagesApprovals(t *testing.T, s projections.Store) {
	var all []domain.Approval
	var documents []projections.ApprovalDocument
	for n := range 24 {
		a := asked(workspace, fmt.Sprintf("a%02d", n), []string{"crm", "ehr"}[n%2], []string{"ann", "bob", "eve"}[n%3], n/2) // two at each time
		if n%4 == 3 {
			a = inState(a, domain.ApprovalMade)
		}
		all = append(all, a)
		documents = append(documents, projections.ApprovalDocument{Position: uint64(n + 1), Approval: a})
	}
	approvals(t, s, documents...)
	slices.SortFunc(all, func(a, b domain.Approval) int {
		return projections.CompareApprovals(projections.ApprovalKeyOf(a), projections.ApprovalKeyOf(b))
	})
	for _, state := range []domain.ApprovalState{"", domain.ApprovalWaiting, domain.ApprovalExpired} {
		for _, integration := range []domain.ID{"", domain.NewID(workspace, "crm")} {
			for _, key := range []string{"", "eve"} {
				q := projections.ApprovalQuery{State: state, Integration: integration, Key: key, Limit: 5}
				want := slices.DeleteFunc(slices.Clone(all), func(a domain.Approval) bool { return !q.Matches(a) })
				got := []domain.Approval{}
				for more := true; more; more = q.After != nil {
					page, err := s.Approvals(t.Context(), workspace, q)
					require.NoError(t, err)
					require.LessOrEqual(t, len(page.Items), q.Limit)
					got, q.After = append(got, page.Items...), page.Next
				}
				require.Equal(t, want, got, "%+v", q)
			}
		}
	}
}
