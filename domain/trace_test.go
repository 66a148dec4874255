package domain_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/domain"
)

// The valid one is the example of the W3C recommendation.
func TestATraceParentIsThatOfTheW3C(t *testing.T) {
	const valid = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	require.Equal(t, valid, domain.ParseTraceParent(valid))
	require.Equal(t, "4bf92f3577b34da6a3ce929d0e0e4736", domain.TraceID(valid))
	for _, wrong := range []string{
		"", "x", valid + "-x", "ff" + valid[2:], "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
		"00-00000000000000000000000000000000-00f067aa0ba902b7-01", "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
	} {
		require.Empty(t, domain.ParseTraceParent(wrong), wrong)
		require.Empty(t, domain.TraceID(wrong), wrong)
	}
}
