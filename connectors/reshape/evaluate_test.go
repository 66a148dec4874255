package reshape

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/connectors/jsonvalue"
	"github.com/seed677028b5/integrations/domain"
)

func TestAnExpressionEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		time.Sleep(2 * time.Second)
		many := make([]any, 20_000)
		for n := range many {
			many[n] = float64(n)
		}
		_, err := evaluate("[*].{a: @}", many, newBudget(ctx))
		require.ErrorIs(t, err, context.DeadlineExceeded)
		_, err = Run(ctx, domain.Endpoint{ResultKey: "[*].{a: @}"}, many, true)
		require.Error(t, err)
	})
}

func FuzzATemplateIsFilledOrRefused(f *testing.F) {
	f.Add("{{ a }} {{ b[0].c || 'x' }}", `{"a":1,"b":[{"c":2}]}`)
	f.Add("{{ sort_by(@, &a)[0] }}", `[{"a":2},{"a":1}]`)
	f.Add("{{ {a: {b: c}} }}", `{}`)
	f.Add("{{ items(@)[?[1] > `2`] | map(&[0], @) }}", `{"a":3}`)
	f.Fuzz(func(t *testing.T, source, document string) {
		parsed, err := parseTemplate(source)
		data, isJSON := jsonvalue.Decode([]byte(document))
		if err != nil || !isJSON {
			return
		}
		if filled, err := parsed.fill(computable(data), newBudget(t.Context())); err == nil && len(filled) > 2*MaxSize {
			t.Errorf("%q makes %d bytes", source, len(filled))
		}
	})
}
