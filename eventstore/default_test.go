package eventstore_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/internal/natstest"
)

func TestANewDefaultHoldsForLogsThatWereEmpty(t *testing.T) {
	nc := natstest.Connect(t)
	s := open(t, nc)
	asked := func(name string, want bool) {
		t.Helper()
		got, err := open(t, nc).NewDefault(t.Context(), name)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	asked("early", true)
	appendTo(t, s, 0, domain.IntegrationCreated{Integration: crm(1)}, "c1")
	for range 2 {
		asked("early", true)
		asked("late", false)
	}
}
