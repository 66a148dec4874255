package domain_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/domain"
)

func TestACharacterThatShowsNothingIsInvisible(t *testing.T) {
	for _, name := range []string{"amy", "Åsa Öberg", "名前", "a b", "a\u00a0b", "🙂", "auth0|5f7", "नाम"} {
		require.False(t, strings.ContainsFunc(name, domain.IsInvisible), name)
	}
	for _, r := range "\u202e\u2066\u200b\u200d\u2060\ufeff\u00ad\u2028\u2029\u0085\n\x00\x7f\ufe0f\u3164\U000e0041\U000e0100\ufff9" {
		require.True(t, domain.IsInvisible(r), "%U", r)
	}
}
