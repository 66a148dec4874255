package backup_test

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/backup"
)

// archived returns a file with a first entry, and the checksum at its end.
func archived(t *testing.T, name string, manifest any) []byte {
	t.Helper()
	var file bytes.Buffer
	w := tar.NewWriter(&file)
	data, err := json.Marshal(manifest)
	require.NoError(t, err)
	require.NoError(t, w.WriteHeader(&tar.Header{Name: name, Size: int64(len(data)), Mode: 0o600}))
	_, err = w.Write(data)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	sum := sha256.Sum256(file.Bytes())
	return append(file.Bytes(), sum[:]...)
}

func check(file []byte) (backup.Manifest, error) {
	return backup.Check(bytes.NewReader(file), func(int64, int64) {})
}

func TestACompleteFileIsAccepted(t *testing.T) {
	m, err := check(archived(t, "backup.json", backup.Manifest{Format: backup.Format, Version: "v1"}))
	require.NoError(t, err)
	require.Equal(t, "v1", m.Version)
}

// Every bit is protected, wherever it is.
func TestAFileModifiedAnywhereIsRefused(t *testing.T) {
	whole := archived(t, "backup.json", backup.Manifest{Format: backup.Format})
	for at := range whole {
		changed := bytes.Clone(whole)
		changed[at] ^= 1
		_, err := check(changed)
		require.ErrorIs(t, err, backup.ErrDamaged, at)
		_, err = check(whole[:at])
		require.ErrorIs(t, err, backup.ErrDamaged, at)
	}
	_, err := check(append(whole, 0))
	require.ErrorIs(t, err, backup.ErrDamaged)
}

func TestAFileOfAnotherTypeIsRefused(t *testing.T) {
	_, err := check(archived(t, "something.json", backup.Manifest{Format: backup.Format}))
	require.ErrorIs(t, err, backup.ErrDamaged)
	_, err = check(archived(t, "backup.json", "no object"))
	require.ErrorIs(t, err, backup.ErrDamaged)
	_, err = check(archived(t, "backup.json", backup.Manifest{Format: 9}))
	require.ErrorContains(t, err, "format 9")
}
