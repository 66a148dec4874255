package jsonschema

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestCallsThatShareASchemaAreEachValidated(t *testing.T) {
	schemas := NewCache()
	schema := []byte(`{"type": "object", "properties": {"n": {"type": "integer", "maximum": 4}}}`)
	var calls sync.WaitGroup
	for n := range 8 {
		calls.Go(func() {
			for range 200 {
				problems, err := schemas.Validate(t.Context(), schema, map[string]any{"n": json.Number(fmt.Sprint(n))}, "")
				if err != nil || (n > 4) != (len(problems) == 1) {
					t.Errorf("%d: %v %v", n, problems, err)
					return
				}
			}
		})
	}
	calls.Wait()
}

func TestASchemaThatTookTooLongTakesTooLongAgain(t *testing.T) {
	schemas := NewCache()
	var defs []string
	for n := range 30 { // each asks twice for the next
		next := fmt.Sprintf(`{"$ref": "#/$defs/d%d"}`, n+1)
		defs = append(defs, fmt.Sprintf(`"d%d": {"allOf": [%s, %s]}`, n, next, next))
	}
	hostile := []byte(`{"$ref": "#/$defs/d0", "$defs": {` + strings.Join(defs, ",") + `, "d30": {}}}`)
	for range 3 {
		_, err := schemas.Validate(t.Context(), hostile, nil, "")
		require.ErrorIs(t, err, ErrTooMuch)
	}
	modest := []byte(`{"type": "object"}`)
	for range 2 * maxValidateWork / 10_000 { // each call has all checks to itself
		_, err := schemas.Validate(t.Context(), modest, nil, "")
		require.NoError(t, err)
	}
}
