package vault_test

import (
	"path/filepath"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/internal/natstest"
	"github.com/seed677028b5/integrations/vault"
)

// The figures of docs/adr 6 come from here. A sealed secret is on disk when Seal returns.
func BenchmarkVault(b *testing.B) {
	v, err := vault.Open(b.Context(), natstest.Connect(b), vault.RootKeys{File: filepath.Join(b.TempDir(), "root.keyset")}, 1)
	require.NoError(b, err)
	n := 0
	next := func() domain.SealedSecret {
		n++
		return secret(strconv.Itoa(n), "hunter2")
	}
	b.Run("seal", func(b *testing.B) {
		for b.Loop() {
			require.NoError(b, v.Seal(b.Context(), owner, next()))
		}
	})
	b.Run("open", func(b *testing.B) {
		s := next()
		require.NoError(b, v.Seal(b.Context(), owner, s))
		for b.Loop() {
			_, err := v.Open(b.Context(), owner, s.Ref)
			require.NoError(b, err)
		}
	})
	b.Run("seal and destroy", func(b *testing.B) {
		for b.Loop() {
			s := next()
			require.NoError(b, v.Seal(b.Context(), owner, s))
			require.NoError(b, v.Destroy(b.Context(), owner, s.Ref))
		}
	})
}
