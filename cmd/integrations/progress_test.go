package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTheProgressOfABackupNamesNoTotalThatIsTooSmall(t *testing.T) {
	var b strings.Builder
	show := streamProgress(&b)
	show("INTEGRATIONS", 100, 200)
	show("SECRETS", 143, 0) // the snapshot of an empty stream
	show("CALLS", 300, 299)
	require.Equal(t, "INTEGRATIONS: 100 of 200 bytes\nSECRETS: 143 bytes\nCALLS: 300 bytes\n", b.String())
}
