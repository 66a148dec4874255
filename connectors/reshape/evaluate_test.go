package reshape

import (
	"context"
	"net/http"
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
		_, err = Run(ctx, domain.Endpoint{ResultKey: "[*].{a: @}"}, Response{Value: many, IsJSON: true})
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
		if filled, err := parsed.fill(data, newBudget(t.Context())); err == nil && len(filled) > 2*MaxSize {
			t.Errorf("%q makes %d bytes", source, len(filled))
		}
	})
}

// run returns the result of a key on an answer, as JSON or the error.
func run(t *testing.T, document, key string) string {
	t.Helper()
	value, isJSON := jsonvalue.Decode([]byte(document))
	require.True(t, isJSON)
	r, err := Run(t.Context(), domain.Endpoint{ResultKey: key}, Response{Value: value, IsJSON: true})
	if err != nil {
		return err.Error()
	}
	return r.Final
}

func TestNumbersStayAsWrittenAndAreComparedWhole(t *testing.T) {
	const document = `{"big":[9007199254740993,1,9007199254740992],"same":[0.50,0.5,5e-1],"price":0.50,"rows":[{"id":9007199254740993,"n":"b"},{"id":9007199254740992,"n":"a"},{"id":-9007199254740993,"n":"c"}],
		"long":0.12345678901234567890,"huge":1e400,"text":"9007199254740993","mixed":[1,"a"],"small":[1,2,3.5],"zero":[0,-0,0.0],"none":[]}`
	for key, want := range map[string]string{
		"price": "0.50", "same": "[0.50,0.5,5e-1]", "[price]": "[0.50]", "to_string(price)": "0.50",
		"max(big)": "9007199254740993", "min(big)": "1", "sort(big)": "[1,9007199254740992,9007199254740993]", "sum(big)": "18014398509481986",
		"big[0] > big[2]": "true", "big[0] >= `9007199254740993`": "true", "big[0] == big[2]": "false", "big[0] == `9007199254740993`": "true", "big[2] == `9007199254740993`": "false",
		"big[?@ > `9007199254740992`]": "[9007199254740993]", "contains(big, `9007199254740993`)": "true", "big[0] + `1`": "9007199254740994", "big[0] - `1`": "9007199254740992", "big[0] * big[0]": "81129638414606699710187514626049", "-big[0]": "-9007199254740993",
		"sort_by(rows, &id)[].n": `["c","a","b"]`, "max_by(rows, &id).n": "b", "min_by(rows, &id).n": "c", "sort_by(rows, &n)[].id": "[9007199254740992,9007199254740993,-9007199254740993]",
		"same[0] == same[1]": "true", "same[1] == same[2]": "true", "zero[0] == zero[1]": "true", "huge > big[0]": "true", "long < `1`": "true", "huge > long": "true",
		"type(big[0])": "number", "abs(`-2`)": "2", "abs(rows[2].id)": "9007199254740993", "ceil(big[0])": "9007199254740993", "floor(small[2])": "3", "ceil(small[2])": "4",
		"to_number(text)": "9007199254740993", "to_number('1.5')": "1.5", "sum(small)": "6.5", "avg(small)": "2.1666666666666665", "`7` / `2`": "3.5", "`7` // `2`": "3", "`7` % `2`": "1",
		"max(none)": "null", "sort(none)": "[]", "avg(none)": "null", "sum(none)": "0", "big[0] > 'a'": "null", "pad_left('x', small[1], '-')": "-x", "big && 'yes'": "yes", "`0` && 'yes'": "yes", "zero[0] && 'yes'": "yes",
	} {
		require.Equal(t, want, run(t, document, key), key)
	}
}

func TestAnExpressionThatDoesNotFitItsAnswerIsExplainedInWords(t *testing.T) {
	const document = `{"mixed":[1,"a"],"long":0.12345678901234567890,"big":9007199254740993,"rows":[{"k":1},{"k":"a"}],"bools":[{"k":true},{"k":false}]}`
	for key, want := range map[string]string{
		"max(mixed)":           "result_key: evaluate: max: argument 1 must be an array of numbers or an array of strings, and is an array of several types",
		"length(big)":          "result_key: evaluate: length: argument 1 must be a string or an array or an object, and is a number",
		"sort_by(rows, &k)":    "result_key: evaluate: sort_by: the keys must be all strings or all numbers",
		"max_by(bools, &k)":    "result_key: evaluate: max_by: the keys must be strings or numbers, and one is a boolean",
		"long + `1`":           "result_key: evaluate: a number has more digits than can be computed with; it can be picked, compared and sorted",
		"pad_left('x', big)":   "pad_left: a number has more digits than can be computed with",
		"big / `2`":            "a number has more digits than can be computed with",
		"sum(`[1]`, `2`)":      "invalid arity",
		"join(', ', `[1, 2]`)": "argument 2 must be an array of strings, and is an array of which each element is a number",
		"map(&a, 'x')":         "map: argument 2 must be an array, and is a string",
		"nothing(@)":           "unknown function: nothing",
	} {
		got := run(t, document, key)
		require.Contains(t, got, want, key)
		require.NotContains(t, got, "Jp")
		require.NotContains(t, got, "float64")
		require.NotContains(t, got, "interface")
	}
}

func TestExpressionsReadTheHeadersAndTheStatusOfTheAnswer(t *testing.T) {
	header := http.Header{"Location": {"/Patient/77"}, "Etag": {`W/"1"`}, "Link": {"<a>", "<b>"}}
	for name, row := range map[string]struct {
		endpoint domain.Endpoint
		answer   Response
		want     string
	}{
		"an empty answer that created something": {domain.Endpoint{}, Response{Status: 201, Header: header}, `{"etag":"W/\"1\"","location":"/Patient/77"}`},
		"steps that don't ask for headers":       {domain.Endpoint{ResultTemplate: "{{ id }}"}, Response{Status: 201, Header: header}, `{"etag":"W/\"1\"","location":"/Patient/77"}`},
		"its result is as long as it may be":     {domain.Endpoint{MaxResultLength: 7}, Response{Status: 201, Header: header}, `{"etag"`},
		"an empty answer without a header":       {domain.Endpoint{ResultKey: "a"}, Response{Status: 204}, ``},
		"an empty answer that is no success":     {domain.Endpoint{}, Response{Status: 302, Header: header}, ``},
		"a template of an empty answer":          {domain.Endpoint{ResultTemplate: "{{ $status_code }} at {{ $response_headers.location }}"}, Response{Status: 201, Header: header}, `201 at /Patient/77`},
		"a mapping of JSON":                      {domain.Endpoint{ResponseMapping: map[string]string{"at": "$response_headers.location", "links": "$response_headers.link", "id": "id"}}, Response{Status: 201, Header: header, Value: map[string]any{"id": "7"}, IsJSON: true}, `{"at":"/Patient/77","id":"7","links":"<a>, <b>"}`},
		"a mapping of a text":                    {domain.Endpoint{ResponseMapping: map[string]string{"at": "$response_headers.location", "text": "@"}}, Response{Status: 201, Header: header, Value: "done"}, `{"at":"/Patient/77","text":"done"}`},
		"a variable of the expression's own":     {domain.Endpoint{ResultKey: "let $status_code = a in $status_code"}, Response{Status: 200, Value: map[string]any{"a": "mine"}, IsJSON: true}, `mine`},
		"a member of that name":                  {domain.Endpoint{ResultKey: "response_headers"}, Response{Status: 200, Value: map[string]any{"response_headers": "member"}, IsJSON: true}, `member`},
		"a comparison of the status":             {domain.Endpoint{ResultKey: "$status_code == `202` && 'accepted' || 'done'"}, Response{Status: 202, Value: map[string]any{}, IsJSON: true}, `accepted`},
	} {
		r, err := Run(t.Context(), row.endpoint, row.answer)
		require.NoError(t, err, name)
		require.Equal(t, row.want, r.Final, name)
	}
}
