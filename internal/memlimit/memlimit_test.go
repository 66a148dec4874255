package memlimit_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/internal/memlimit"
)

func TestTheLeastLimitOfTheCgroupsAroundIsFound(t *testing.T) {
	for name, tt := range map[string]struct {
		membership string
		files      map[string]string
		limit      int64
	}{
		"version 2":             {"0::/a/b\n", map[string]string{"a/b/memory.max": "max\n", "a/memory.max": "536870912\n"}, 512 << 20},
		"version 2, the nearer": {"0::/a/b\n", map[string]string{"a/b/memory.max": "1048576\n", "a/memory.max": "536870912\n"}, 1 << 20},
		"a container's own":     {"0::/\n", map[string]string{"memory.max": "268435456\n"}, 256 << 20},
		"not of this container": {"0::/../x\n", map[string]string{"memory.max": "268435456\n"}, 256 << 20},
		"version 1":             {"9:cpu:/d\n5:cpuset,memory:/d\n", map[string]string{"memory/d/memory.limit_in_bytes": "536870912\n", "memory/memory.limit_in_bytes": "9223372036854771712\n"}, 512 << 20},
		"no limit":              {"0::/a\n", map[string]string{"a/memory.max": "max\n"}, 0},
		"none in version 1":     {"5:memory:/d\n", map[string]string{"memory/d/memory.limit_in_bytes": "9223372036854771712\n"}, 0},
		"nonsense":              {"x\n", nil, 0},
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			membership := filepath.Join(root, "membership")
			require.NoError(t, os.WriteFile(membership, []byte(tt.membership), 0o600))
			for file, text := range tt.files {
				require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(root, file)), 0o700))
				require.NoError(t, os.WriteFile(filepath.Join(root, file), []byte(text), 0o600))
			}
			limit, found := memlimit.Cgroup(root, membership)
			require.Equal(t, tt.limit > 0, found)
			if found {
				require.Equal(t, tt.limit, limit)
			}
		})
	}
	_, found := memlimit.Cgroup(t.TempDir(), filepath.Join(t.TempDir(), "nothing"))
	require.False(t, found)
}
