package connectors

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/seed677028b5/integrations/admission"
	"github.com/seed677028b5/integrations/connectors/reshape"
	"github.com/seed677028b5/integrations/domain"
)

func TestWhatIsMadeOfAnAnswerIsNotMuchLargerThanIt(t *testing.T) {
	for name, large := range map[string]string{
		"quotes": `"` + strings.Repeat(`\"`, 60_000) + `"`, "line separators": `"` + strings.Repeat("\u2028", 60_000) + `"`,
		"control characters": `"` + strings.Repeat(`\u0001`, 30_000) + `"`, "objects": "[" + strings.Repeat("{},", 30_000) + "{}]",
	} {
		base := answers(t, 200, large)
		times := func(n int, change func(*domain.Endpoint)) domain.Call {
			return calling(base, nil, func(e *domain.Endpoint) {
				e.ResponseMapping, e.TimeoutMS = map[string]string{}, 120_000
				for m := range n {
					e.ResponseMapping[fmt.Sprint("m", m)] = "@"
				}
				change(e)
			})
		}
		if got := succeeds(t, onLoopback(t), times(1, func(*domain.Endpoint) {})); len(got.FinalResult) < 30_000 {
			t.Errorf("%s: one copy came to %d bytes", name, len(got.FinalResult))
		}
		for _, change := range []func(*domain.Endpoint){
			func(*domain.Endpoint) {},
			func(e *domain.Endpoint) { e.ResultKey = "'small'" },
			func(e *domain.Endpoint) { e.ResultTemplate = "small" },
			func(e *domain.Endpoint) { e.ResponseMapping = nil; e.ResultTemplate = strings.Repeat("{{ @ }}", 20) },
			func(e *domain.Endpoint) {
				e.ResponseMapping = nil
				for n := range 20 {
					e.ResponseFilter = append(e.ResponseFilter, fmt.Sprintf("[@, `%d`]", n))
				}
			},
		} {
			got := failsWith(t, onLoopback(t), times(20, change), domain.CallUpstreamError)
			if shown, err := json.Marshal([]any{got.AfterFilter, got.AfterMapping}); err != nil || len(shown) > 2*reshape.MaxSize {
				t.Errorf("%s: %d bytes are shown (%v)", name, len(shown), err)
			}
		}
	}
}

func TestAnAnswerIsWrittenOnceThereIsRoomForIt(t *testing.T) {
	gate := admission.New(1 << 20)
	large := domain.CallResult{StatusCode: 200, RawResponse: strings.Repeat("a", 1<<20), FinalResult: "a"}
	first, release := gate.Open(t.Context())
	if got := fit(first, large); got.RawResponse == nil || got.Error != "" {
		t.Fatalf("the first is not written: %s", got.Error)
	}
	second, end := gate.Open(t.Context())
	defer end()
	gone, cancel := context.WithCancel(second)
	cancel()
	if got := fit(gone, large); got.RawResponse != nil || got.FinalResult != "" || got.ErrorCode != domain.CallResponseTooLarge || got.StatusCode != 200 {
		t.Errorf("one that there is no room for: %s %s", got.ErrorCode, got.Error)
	}
	release()
	third, finish := gate.Open(t.Context())
	defer finish()
	if got := fit(third, large); got.RawResponse == nil {
		t.Errorf("there is room again: %s", got.Error)
	}
}

func TestAFunctionMakesNoLargeTextOfASmallAnswer(t *testing.T) {
	base := answers(t, 200, `{"s": "ab"}`)
	for _, expression := range []string{
		"pad_left(s, `100000000`)", "length(pad_right(s, `1000000`))", "replace(pad_left('', `4000`, 'a'), 'a', pad_left('', `2000`, 'b'))",
		"[pad_left(s, `60000`), pad_left(s, `60000`), pad_left(s, `60000`), pad_left(s, `60000`), pad_left(s, `60000`)] | length(@)",
	} {
		got := failsWith(t, onLoopback(t), calling(base, nil, func(e *domain.Endpoint) { e.ResponseMapping = map[string]string{"a": expression} }), domain.CallUpstreamError)
		if !strings.Contains(got.Error, reshape.ErrTooMuch.Error()) {
			t.Errorf("%s: %s", expression, got.Error)
		}
	}
	padded := calling(base, nil, func(e *domain.Endpoint) { e.ResultKey = "pad_left(s, `8`, '0')" })
	if got := succeeds(t, onLoopback(t), padded).FinalResult; got != "000000ab" {
		t.Errorf("a short text is padded to %q", got)
	}
}
