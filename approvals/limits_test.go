package approvals_test

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/seed677028b5/integrations/approvals"
	"github.com/seed677028b5/integrations/commands"
	"github.com/seed677028b5/integrations/domain"
)

func TestTheWaitingApprovalsOfAWorkspaceAreBoundedOverAllProcessesAndEachWhoAsksHasAShare(t *testing.T) {
	c := open(t)
	all := []process{c.process(), c.process()}
	id := c.create(all[0])
	var mu sync.Mutex
	patients := 0
	ask := func(key string, count int) (asked []domain.Approval, refused map[string]int) {
		refused = map[string]int{}
		by := agent
		by.Actor = key
		var asking errgroup.Group
		asking.SetLimit(16)
		for n := range count {
			patients++
			patient := fmt.Sprint("p-", patients)
			asking.Go(func() error {
				result, err := all[n%2].InvokeEndpoint(t.Context(), by, id, "book", map[string]any{"patient": patient})
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					asked = append(asked, *result.Approval)
				}
				refused[domain.CodeOf(err)]++
				return nil
			})
		}
		require.NoError(t, asking.Wait())
		return asked, refused
	}
	first, refused := ask("greedy", 60)
	require.Equal(t, map[string]int{"": 50, "too_many_approvals": 10}, refused, "one key has half of the places")
	_, refused = ask("second", 26)
	require.Equal(t, map[string]int{"": 25, "too_many_approvals": 1}, refused, "another one has half of the rest")
	for n := range 25 {
		_, refused = ask(fmt.Sprint("more-", n), 1)
		require.Equal(t, map[string]int{"": 1}, refused)
	}
	_, refused = ask("late", 1)
	require.Equal(t, map[string]int{"too_many_approvals": 1}, refused)

	c.approve(all[1], first[0])
	_, refused = ask("late", 2)
	require.Equal(t, map[string]int{"": 1, "too_many_approvals": 1}, refused, "a decision makes room")
	c.ahead.Add(int64(approvals.DefaultWait))
	_, refused = ask("greedy", 1)
	require.Equal(t, map[string]int{"": 1}, refused, "so does the end of the wait")
}

// meddler is a maker that something happens to between the start of a call and its making.
type meddler struct {
	*commands.Service

	meanwhile func()
}

func (m meddler) Make(ctx context.Context, p domain.Approval, r approvals.Request) (domain.CallResult, error) {
	m.meanwhile()
	return m.Service.Make(ctx, p, r)
}

func TestACallWhoseIntegrationChangesOnceItIsStartedIsCancelledForThat(t *testing.T) {
	for cause, change := range map[domain.CancelCause]func(process, domain.ID) error{
		domain.CancelChanged: func(p process, id domain.ID) error {
			_, err := p.UpdateIntegration(t.Context(), boss, id, domain.Document{"display_name": "Other"}, commands.Condition{})
			return err
		},
		domain.CancelDeleted: func(p process, id domain.ID) error {
			_, err := p.DeleteIntegration(t.Context(), boss, id, "", commands.Condition{})
			return err
		},
	} {
		t.Run(string(cause), func(t *testing.T) {
			c := open(t)
			p := c.process()
			id := c.create(p)
			calls := p.Approvals
			p.run = func(ctx context.Context) {
				_ = calls.Run(ctx, meddler{p.Service, func() {
					if err := change(p, id); err != nil {
						t.Error(err)
					}
				}})
			}
			c.start(p)
			a := c.ask(p, id, "Ann")
			c.approve(p, a)
			require.Equal(t, cause, c.await(p, a.ID, domain.ApprovalCancelled).Cause)
			require.Empty(t, c.calls())
		})
	}
}
