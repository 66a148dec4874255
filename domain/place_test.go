package domain_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/domain"
)

func TestAPlaceIsAPathOfMembersAndIndexes(t *testing.T) {
	answer := map[string]any{
		"token": "t", "data": map[string]any{"tokens": []any{"a", "b"}, "access token": "c", `quo"te`: "d"},
		"list": []any{[]any{"x"}},
	}
	for text, want := range map[string]any{
		"token": "t", "data.tokens[0]": "a", "data.tokens[1]": "b", "data.tokens[-1]": "b", `data."access token"`: "c", `data."quo\"te"`: "d",
		"list[0][0]": "x", "nothing": nil, "token.more": nil, "token[0]": nil, "data.tokens[2]": nil, "data.tokens[-3]": nil, "[0]": nil, `"token"`: "t",
	} {
		place, err := domain.ParsePlace(text)
		require.NoError(t, err, text)
		require.Equal(t, want, place.In(answer), text)
	}
	for _, text := range []string{
		"", ".", "token.", ".token", "a..b", "a b", "a[", "a[]", "a[*]", "*", "a.*", "a[0:1]", "a[::2]", "a[?b]", "a || b", "a && b", "!a", "a == b", "@", "$", "&a",
		"length(a)", "a.length(@)", "'literal'", "`1`", "{a: b}", "[a, b]", "a | b", "a + b", "a - b", "let $x = a in $x", `a[0]b`, "a[1e1]", "a[ 0 ]", "\"a", `"\x"`,
	} {
		_, err := domain.ParsePlace(text)
		require.Error(t, err, text)
	}
}
