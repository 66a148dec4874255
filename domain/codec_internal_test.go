package domain

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAnOldVersionIsUpcastWhenItIsRead(t *testing.T) {
	codec := Codec{upcasters: map[string][]func(map[string]any){deletedName: {
		func(old map[string]any) { old["reason"] = old["why"]; delete(old, "why") },
		func(old map[string]any) { old["name"] = "upcast " + old["name"].(string) },
	}}}
	for version, data := range map[int]string{
		1: `{"id": "i", "name": "crm", "version": 4, "at": "2026-05-06T12:00:00Z", "why": "old"}`,
		2: `{"id": "i", "name": "crm", "version": 4, "at": "2026-05-06T12:00:00Z", "reason": "old"}`,
		3: `{"id": "i", "name": "upcast crm", "version": 4, "at": "2026-05-06T12:00:00Z", "reason": "old"}`,
	} {
		e, err := codec.Decode(Encoded{Name: deletedName, Version: version, Data: []byte(data)})
		require.NoError(t, err)
		deleted := e.(IntegrationDeleted)
		require.Equal(t, [2]string{"upcast crm", "old"}, [2]string{deleted.Name, deleted.Reason}, "version %d", version)
	}
	encoded, err := codec.Encode(IntegrationDeleted{})
	require.NoError(t, err)
	require.Equal(t, 3, encoded.Version, "the present version is written")
	_, err = codec.Decode(Encoded{Name: deletedName, Version: 1, Data: []byte(`[]`)})
	require.Error(t, err)
}
