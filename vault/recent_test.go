package vault_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/internal/natstest"
	"github.com/seed677028b5/integrations/vault"
)

func TestASealedValueInMemoryOpensUntilItIsDestroyed(t *testing.T) {
	nc, keys := natstest.Connect(t), fileIn(t)
	v, other := open(t, nc, keys), open(t, nc, keys)
	s := secret("s1", "hunter2")
	opens := func() (string, error) {
		got, err := v.OpenRecent(t.Context(), owner, s.Ref)
		if err != nil {
			return "", err
		}
		return got.Reveal(), nil
	}
	require.NoError(t, v.Seal(t.Context(), owner, s))
	for range 2 {
		got, err := opens()
		require.NoError(t, err)
		require.Equal(t, "hunter2", got)
	}
	elsewhere := s.Ref
	elsewhere.Destinations = []string{"https://evil.example.com:443 header x-api-key"}
	_, err := v.OpenRecent(t.Context(), owner, elsewhere)
	require.Equal(t, "secret_unreadable", domain.CodeOf(err))

	_, err = other.RotateRoot(t.Context(), func(vault.Rotation) {})
	require.NoError(t, err)
	got, err := opens()
	require.NoError(t, err)
	require.Equal(t, "hunter2", got)

	require.NoError(t, v.Destroy(t.Context(), owner, s.Ref))
	_, err = opens()
	require.Equal(t, "secret_missing", domain.CodeOf(err))

	require.NoError(t, v.Seal(t.Context(), owner, s))
	_, err = opens()
	require.NoError(t, err)
	require.NoError(t, other.Destroy(t.Context(), owner, s.Ref))
	require.Eventually(t, func() bool { _, err := opens(); return domain.CodeOf(err) == "secret_missing" }, time.Minute, 10*time.Millisecond)
}
