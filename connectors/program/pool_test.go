package program

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/domain"
)

func TestAPoolBoundsProgramsInAllAndOfAWorkspace(t *testing.T) {
	p := &Pool{Max: MaxOfWorkspace + 1, of: map[domain.Workspace]int{}}
	for range MaxOfWorkspace {
		require.Nil(t, p.Acquire("busy"))
	}
	e := p.Acquire("busy")
	require.Contains(t, e.Sentence, "This workspace has 8 processes")
	require.True(t, e.Unsent && e.Local && e.Final)
	require.Nil(t, p.Acquire("other"))
	require.Contains(t, p.Acquire("another").Sentence, "This service has 9 processes")
	p.Release("busy")
	require.Nil(t, p.Acquire("another"))
	require.Equal(t, MaxOfWorkspace+1, p.Running())
}

func TestAPoolWithoutProfilesStartsNothing(t *testing.T) {
	p, err := NewPool(nil)
	require.NoError(t, err)
	_, e := p.Program(domain.Integration{})
	require.Equal(t, domain.CallMisconfigured, e.Code)
	require.Zero(t, p.Running())
}
