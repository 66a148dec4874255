package domain

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestPlaceholdersAreThoseOfTheirSyntax(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		parts := rapid.SliceOf(rapid.SampledFrom([]string{
			"{", "}", "{}", "a", "{day}", "{account.host}", "{?q,r*}", "/", "é", "A.9_-", "{" + strings.Repeat("n", 128) + "}", strings.Repeat("n", 129),
		})).Draw(rt, "parts")
		template := strings.Join(parts, "")
		var want []string
		for _, match := range placeholderSyntax.FindAllStringSubmatch(template, -1) {
			if !strings.HasPrefix(match[1], accountPrefix) {
				want = append(want, match[1])
			}
		}
		require.Equal(rt, want, placeholders(template))
	})
}
