package main

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTheVersionIsTheNewestReleaseOfTheChangelog(t *testing.T) {
	exit, out := tool(t, "version")
	require.Zero(t, exit)
	require.Regexp(t, `^integrations 0\.1\.0( [0-9a-f]{40}( modified)?)? go`, out)
	changelog, err := os.ReadFile("../../CHANGELOG.md")
	require.NoError(t, err)
	for line := range strings.Lines(string(changelog)) {
		if version, found := strings.CutPrefix(line, "## ["); found && !strings.HasPrefix(version, "Unreleased]") {
			require.True(t, strings.HasPrefix(version, release+"]"), "the newest release is %s", version)
			return
		}
	}
	t.Fatal("the changelog has no release")
}
