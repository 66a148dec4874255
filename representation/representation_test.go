package representation_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/representation"
)

// shown is the fingerprint of Version: of the representations of samples.
const shown = "1: fadfe2814724d52bec00dfd51ae592a176043f1d3f123e1a972fae05fa6bebd1"

// When this fails, integrations are represented in another way than in the stored read models.
// Raise Version, so that they are built again, and write the new fingerprint above.
func TestAnotherRepresentationHasAnotherVersion(t *testing.T) {
	hash := sha256.New()
	for _, i := range samples() {
		data, err := representation.Encode(i)
		require.NoError(t, err)
		_, _ = fmt.Fprintf(hash, "%s\n", data)
	}
	for _, p := range probes() {
		data, err := representation.EncodeProbe(p)
		require.NoError(t, err)
		_, _ = fmt.Fprintf(hash, "%s\n", data)
	}
	_, _ = fmt.Fprintln(hash, representation.Unprobed)
	require.Equal(t, shown, fmt.Sprintf("%s: %s", representation.Version, hex.EncodeToString(hash.Sum(nil))))
}

func TestThePartsJoinedAreTheRepresentation(t *testing.T) {
	for _, i := range samples() {
		begin, err := representation.Encode(i)
		require.NoError(t, err)
		require.Equal(t, whole(t, representation.Of(i, nil)), string(begin)+representation.Unprobed)
		for _, p := range probes() {
			end, err := representation.EncodeProbe(p)
			require.NoError(t, err)
			require.Equal(t, whole(t, representation.Of(i, &p)), string(begin)+string(end))
		}
	}
}

func TestNoSecretIsRepresented(t *testing.T) {
	for _, i := range samples() {
		data, err := representation.Encode(i)
		require.NoError(t, err)
		for _, ref := range i.Secrets() {
			require.NotContains(t, string(data), `"`+ref.ID+`"`)
		}
	}
}

func whole(t *testing.T, r representation.Integration) string {
	t.Helper()
	var text strings.Builder
	to := json.NewEncoder(&text)
	to.SetEscapeHTML(false)
	require.NoError(t, to.Encode(r))
	return strings.TrimSuffix(text.String(), "\n")
}

func probes() []representation.Probe {
	return []representation.Probe{
		{Status: domain.Healthy, At: time.Date(2026, 3, 1, 12, 0, 0, 123456789, time.UTC)},
		{Status: domain.Timeout, Message: "no <answer> in \"time\" & so on", At: time.Date(2026, 3, 1, 12, 0, 0, 0, time.FixedZone("", 3600))},
	}
}

// samples are an integration without anything, one in which every field has a value, and one of
// which every list and map is empty.
func samples() []domain.Integration {
	var full, empty domain.Integration
	n := 0
	fill(reflect.ValueOf(&full).Elem(), &n, 1)
	fill(reflect.ValueOf(&empty).Elem(), &n, 0)
	return []domain.Integration{{}, full, empty}
}

// fill gives every field a value of its own, and every list and map as many elements as length.
func fill(v reflect.Value, n *int, length int) {
	*n++
	switch at := v.Addr().Interface().(type) {
	case *time.Time:
		*at = time.Date(2026, 1, 1, 0, 0, *n, 123456789, time.FixedZone("", 3600))
		return
	case *json.RawMessage:
		*at = fmt.Appendf(nil, `{ "n": %d, "<": "&" }`, *n)
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), n, length)
	case reflect.Struct:
		for f := range v.NumField() {
			if v.Type().Field(f).IsExported() {
				fill(v.Field(f), n, length)
			}
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), length, length))
		for e := range length {
			fill(v.Index(e), n, length)
		}
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		for range length {
			key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
			fill(key, n, length)
			fill(value, n, length)
			v.SetMapIndex(key, value)
		}
	case reflect.String:
		v.SetString(fmt.Sprintf("<%d> & \"%d\"\u2028", *n, *n))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(int64(*n))
	case reflect.Uint64:
		v.SetUint(uint64(*n))
	case reflect.Float64:
		v.SetFloat(float64(*n) / 4)
	case reflect.Interface:
		v.Set(reflect.ValueOf(*n))
	default:
		panic(v.Type().String())
	}
}
