package connectors

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/domain"
)

func TestCallsThatShareASchemaAreEachHeldAgainstIt(t *testing.T) {
	schemas := newSchemas()
	e := domain.Endpoint{InputSchema: []byte(`{"type": "object", "properties": {"n": {"type": "integer", "maximum": 4}}}`)}
	var calls sync.WaitGroup
	for n := range 8 {
		calls.Go(func() {
			for range 200 {
				problems, f := schemas.checkParams(t.Context(), e, map[string]any{"n": json.Number(fmt.Sprint(n))})
				if f != nil || (n > 4) != (len(problems) == 1) {
					t.Errorf("%d: %v %v", n, problems, f)
					return
				}
			}
		})
	}
	calls.Wait()
}

func TestASchemaThatTookTooLongTakesTooLongAgain(t *testing.T) {
	schemas := newSchemas()
	var defs []string
	for n := range 30 { // each asks twice for the next
		next := fmt.Sprintf(`{"$ref": "#/$defs/d%d"}`, n+1)
		defs = append(defs, fmt.Sprintf(`"d%d": {"allOf": [%s, %s]}`, n, next, next))
	}
	hostile := domain.Endpoint{InputSchema: []byte(`{"$ref": "#/$defs/d0", "$defs": {` + strings.Join(defs, ",") + `, "d30": {}}}`)}
	for range 3 {
		_, f := schemas.checkParams(t.Context(), hostile, map[string]any{})
		require.NotNil(t, f)
		require.Contains(t, f.sentence, "takes too long")
	}
	modest := domain.Endpoint{InputSchema: []byte(`{"type": "object"}`)}
	for range 2 * maxValidateWork / 10_000 { // each call has all checks to itself
		_, f := schemas.checkParams(t.Context(), modest, map[string]any{})
		require.Nil(t, f)
	}
}
