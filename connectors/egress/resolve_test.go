package egress_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/connectors/egress"
)

func TestAPathStaysBelowItsBase(t *testing.T) {
	const base = "https://api.example.com/v1/a%2Fb/"
	for path, want := range map[string]string{
		"": base, "?q=1": base + "?q=1", "/items": base + "items", "items/1?q=2": base + "items/1?q=2", "//evil.example/": base + "evil.example/", "/%2e%2ea": base + "%2e%2ea",
	} {
		got, e := egress.Resolve(base, path)
		require.Nil(t, e, path)
		require.Equal(t, want, got.String(), path)
	}
	for _, path := range []string{"/..", "/../x", "/a/../../x", "/%2e%2e/x", `/..\x`, "/x#f"} {
		_, e := egress.Resolve(base, path)
		require.NotNil(t, e, path)
	}
	for _, base := range []string{"", "api.example.com", "ftp://api.example.com", "https://user@api.example.com"} {
		_, e := egress.Resolve(base, "/x")
		require.NotNil(t, e, base)
	}
}
