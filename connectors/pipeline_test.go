package connectors

import (
	"strings"
	"testing"
	"time"

	"github.com/seed677028b5/integrations/domain"
)

const slots = `{"items":[{"id":9007199254740993,"at":"09:00","who":{"name":"Amy","age":31}},{"id":2,"at":"10:30","who":null}],"total":2,"next":{"page":{"token":"t"}},"list":[[{"x":1}],[{"x":2}]]}`

func TestAnAnswerIsShapedStepByStep(t *testing.T) {
	for _, row := range []struct {
		what                    string
		endpoint                domain.Endpoint
		answer                  string
		filtered, mapped, final string
	}{
		{"as it is", domain.Endpoint{}, `{"n": 9007199254740993, "f": 1.10, "h": "<&>"}`, `null`, `null`, `{"f":1.10,"h":"<&>","n":9007199254740993}`},
		{"a text", domain.Endpoint{}, `plain words`, `null`, `null`, `plain words`},
		{"a JSON text", domain.Endpoint{}, `"words"`, `null`, `null`, `words`},
		{"nothing", domain.Endpoint{ResponseFilter: []string{"a"}}, ``, `null`, `null`, ``},
		{"two values are text", domain.Endpoint{}, `{} {}`, `null`, `null`, `{} {}`},
		{
			"a filter keeps places",
			domain.Endpoint{ResponseFilter: []string{"items[].id", "items[*].who.name", "next.page", "missing.path", `"total"`}},
			slots,
			`{"items":[{"id":9007199254740993,"who":{"name":"Amy"}},{"id":2,"who":null}],"next":{"page":{"token":"t"}},"total":2}`, `null`, "",
		},
		{"a filter picks an element", domain.Endpoint{ResponseFilter: []string{"items[1].at", "list[][].x"}}, slots, `{"items":[{"at":"10:30"}],"list":[[{"x":1}],[{"x":2}]]}`, `null`, ""},
		{"each and one of them", domain.Endpoint{ResponseFilter: []string{"items[].at", "items[1].id"}}, slots, `{"items":[{"at":"09:00"},{"at":"10:30","id":2}]}`, `null`, ""},
		{"an expression has its name", domain.Endpoint{ResponseFilter: []string{"total", "length(items)"}}, slots, `{"length(items)":2,"total":2}`, `null`, ""},
		{"an array stays one", domain.Endpoint{ResponseFilter: []string{"[].id"}}, `[{"id":1,"x":2},{"y":3}]`, `[{"id":1},{}]`, `null`, ""},
		{"an array with an expression", domain.Endpoint{ResponseFilter: []string{"[].id", "length(@)"}}, `[{"id":1}]`, `{"[].id":[1],"length(@)":1}`, `null`, ""},
		{
			"a mapping names anew",
			domain.Endpoint{ResponseMapping: map[string]string{"ids": "items[].id", "big": "items[?who.age > `30`].at | [0]", "none": "nowhere"}},
			slots,
			`null`, `{"big":"09:00","ids":[9007199254740993,2],"none":null}`, "",
		},
		{"a key unwraps", domain.Endpoint{ResultKey: "items[0].who.name"}, slots, `null`, `null`, `Amy`},
		{"a key to nowhere", domain.Endpoint{ResultKey: "nowhere"}, slots, `null`, `null`, `null`},
		{
			"a template is filled",
			domain.Endpoint{ResultTemplate: "{{ items[0].who.name }} at {{items[0].at}}: {{ items[0].id }}{{ nowhere }} {{ {a: {b: total}} }}!"},
			slots,
			`null`, `null`, `Amy at 09:00: 9007199254740993 {"a":{"b":2}}!`,
		},
		{"a template of a text", domain.Endpoint{ResultTemplate: "<{{ @ }}>"}, `plain words`, `null`, `null`, `<plain words>`},
		{"a cut counts characters", domain.Endpoint{MaxResultLength: 3}, `"äöüß"`, `null`, `null`, `äöü`},
		{"all of them", domain.Endpoint{
			ResponseFilter: []string{"items[].at"}, ResponseMapping: map[string]string{"times": "items[].at"}, ResultKey: "times", ResultTemplate: "{{ join(', ', @) }}", MaxResultLength: 8,
		}, slots, `{"items":[{"at":"09:00"},{"at":"10:30"}]}`, `{"times":["09:00","10:30"]}`, `09:00, 1`},
	} {
		row.endpoint.Method, row.endpoint.TimeoutMS = "GET", 5000
		result := succeeds(t, onLoopback(t), calling(answers(t, 200, row.answer), nil, func(e *domain.Endpoint) { *e = row.endpoint }))
		if got := asJSON(t, result.AfterFilter); got != row.filtered {
			t.Errorf("%s: after the filter %s", row.what, got)
		}
		if got := asJSON(t, result.AfterMapping); got != row.mapped {
			t.Errorf("%s: after the mapping %s", row.what, got)
		}
		want := row.final
		if want == "" && row.answer != "" {
			want = row.filtered
			if row.mapped != "null" {
				want = row.mapped
			}
		}
		if result.FinalResult != want {
			t.Errorf("%s: in the end %s, want %s", row.what, result.FinalResult, want)
		}
	}
}

func TestAnAnswerThatDoesNotFitThePipelineIsReportedAndShown(t *testing.T) {
	for _, e := range []domain.Endpoint{
		{ResponseFilter: []string{"a"}}, {ResponseMapping: map[string]string{"a": "b"}}, {ResultKey: "a"}, {ResultTemplate: "{{ length(`1`) }}"}, {ResultTemplate: "{{ &a }}"},
	} {
		e.Method, e.TimeoutMS = "GET", 5000
		result := failsWith(t, onLoopback(t), calling(answers(t, 200, "plain"), nil, func(to *domain.Endpoint) { *to = e }), domain.CallUpstreamError)
		if result.RawResponse != "plain" || result.StatusCode != 200 {
			t.Errorf("got %+v", result)
		}
	}
}

func TestAnAnswerThatIsNoSuccessIsShownAndNotShaped(t *testing.T) {
	for status, code := range map[int]domain.ErrorCode{
		301: domain.CallUpstreamError, 400: domain.CallUpstreamError, 401: domain.CallAuthFailed, 403: domain.CallAuthFailed, 404: domain.CallUpstreamError, 500: domain.CallUpstreamError, 599: domain.CallUpstreamError,
	} {
		result := failsWith(t, onLoopback(t), calling(answers(t, status, `{"why":"no"}`), nil, func(e *domain.Endpoint) { e.ResponseFilter = []string{"other"} }), code)
		if asJSON(t, result.RawResponse) != `{"why":"no"}` || result.AfterFilter != nil || result.StatusCode != status {
			t.Errorf("%d came to %+v", status, result)
		}
	}
}

func TestAnExpressionCannotRunAway(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED: it takes seconds; run without -short")
	}
	big := `{"a":[` + strings.TrimSuffix(strings.Repeat(`1,`, 20_000), ",") + `],"s":"` + strings.Repeat("x", 100_000) + `","m":[` + strings.TrimSuffix(strings.Repeat(`"y",`, 20_000), ",") + `]}`
	for _, path := range []string{
		strings.Repeat("[@,@]|", 60) + "@",
		strings.Repeat("[@,@][]|", 60) + "@",
		"to_string(" + strings.Repeat("[@,@]|", 40) + "@)",
		"a[].$.a[].$.a[]",
		"a[?$.a == $.m || $.m == $.a].[$.a == $.a]",
		"map(&contains($.m, @), a)",
		"pad_left('x', `1000000000`)",
		"replace(s, '', s)",
		"join(s, m)",
		"map(&to_string($), a)",
		"map(&sort($.a), a)",
		"let $b = a in $b[].[$b[].[$b]]",
	} {
		base := answers(t, 200, big)
		start := time.Now()
		failsWith(t, onLoopback(t), calling(base, nil, func(e *domain.Endpoint) { e.ResultKey = path }), domain.CallUpstreamError)
		if took := time.Since(start); took > 15*time.Second {
			t.Errorf("%.40s took %s", path, took)
		}
	}
	failsWith(t, onLoopback(t), calling(answers(t, 200, big), nil, func(e *domain.Endpoint) { e.ResultTemplate = strings.Repeat("{{@}}", 3000) }), domain.CallUpstreamError)
}

func TestAnExpressionLeavesTheAnswerAsItIs(t *testing.T) {
	result := succeeds(t, onLoopback(t), calling(answers(t, 200, `{"l":[{"n":2},{"n":1}]}`), nil, func(e *domain.Endpoint) {
		e.ResponseMapping = map[string]string{"a": "l[0].n", "b": "sort_by(l, &n)[0].n", "c": "l[0].n", "d": "l[0] == {n: `2`}", "e": "l != `[]`", "f": "contains(l, {n: `1`})", "g": "contains('abc', 'b')"}
	}))
	if got := asJSON(t, result.AfterMapping); got != `{"a":2,"b":1,"c":2,"d":true,"e":true,"f":true,"g":true}` {
		t.Errorf("got %s", got)
	}
}

func TestRulesRefuseWhatACallWouldStumbleOver(t *testing.T) {
	rules := Rules()
	for _, good := range []string{"a.b[0].c", "items[].id", "length(@)", `"quoted name"`, "*.x"} {
		if err := rules.Expression(good); err != nil {
			t.Errorf("%s: %v", good, err)
		}
		if err := rules.Template("{{ " + good + " }} and {{" + good + "}}"); err != nil {
			t.Errorf("a template of %s: %v", good, err)
		}
	}
	for _, bad := range []string{"", "a..b", "a[", "}}", "`{`"} {
		if rules.Expression(bad) == nil {
			t.Errorf("the expression %q is accepted", bad)
		}
		if rules.Template("{{"+bad+"}}") == nil {
			t.Errorf("a template of %q is accepted", bad)
		}
	}
	if rules.Template("{{ a") == nil {
		t.Error("a template without an end is accepted")
	}
	for schema, good := range map[string]bool{
		`{}`: true, `{"type":"object","properties":{"a":{"$ref":"#/$defs/x"}},"$defs":{"x":{"type":"string"}}}`: true, `true`: true,
		`{"type":"no such type"}`: false, `{"minimum":"1"}`: false, `{"pattern":"("}`: false, `{`: false,
		`{"$ref":"file:///etc/passwd"}`: false, `{"$ref":"http://169.254.169.254/"}`: false, `{"$ref":"#/nowhere"}`: false,
	} {
		err := rules.Schema([]byte(schema))
		if (err == nil) != good {
			t.Errorf("%s: accepted is %t", schema, err == nil)
		}
		if err != nil && (strings.Contains(err.Error(), "\n") || strings.Contains(err.Error(), "schema:///")) {
			t.Errorf("%s: reported as %v", schema, err)
		}
	}
}
