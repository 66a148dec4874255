package connectors

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"unicode/utf8"

	"github.com/seed677028b5/integrations/domain"
)

// shaped is an answer after each step of the pipeline.
type shaped struct {
	filtered any
	mapped   any
	final    string
}

// shape runs a successful answer through the endpoint's pipeline:
// response_filter, response_mapping, result_key, result_template,
// max_result_length. A step that is not configured passes on what it got. An
// empty answer is an empty result. Steps that pick parts need JSON; a template
// also takes text, as {{ @ }}. It ends with ctx.
func shape(ctx context.Context, e domain.Endpoint, raw any, isJSON bool) (shaped, *fault) {
	var s shaped
	if raw == nil && !isJSON {
		return s, nil
	}
	if picks := len(e.ResponseFilter) > 0 || len(e.ResponseMapping) > 0 || e.ResultKey != ""; picks && !isJSON {
		return s, stumbled("response_filter, response_mapping and result_key need a JSON answer, and the upstream's is text")
	}
	current, m := raw, newMeter(ctx)
	m.most = mostOf(sizeOf(raw))
	if len(e.ResponseFilter) > 0 {
		kept, err := filter(e.ResponseFilter, current, m)
		if err != nil {
			return s, stumbled("response_filter: %v", err)
		}
		if size := m.most; settled(kept, &size) != nil {
			return s, stumbled("response_filter: %v", errTooMuch)
		}
		current, s.filtered = kept, kept
	}
	if len(e.ResponseMapping) > 0 {
		mapped, data := make(map[string]any, len(e.ResponseMapping)), computable(current)
		size := m.most // of all members together: they may share the parts of a small answer
		for _, name := range slices.Sorted(maps.Keys(e.ResponseMapping)) {
			value, err := evaluate(e.ResponseMapping[name], data, m)
			if err == nil {
				err = settled(value, &size)
			}
			if err != nil {
				return s, stumbled("response_mapping: %s: %v", name, err)
			}
			mapped[name] = value
		}
		current, s.mapped = mapped, mapped
	}
	if e.ResultKey != "" {
		value, err := evaluate(e.ResultKey, computable(current), m)
		if err != nil {
			return s, stumbled("result_key: %v", err)
		}
		current = value
	}
	final, f := finish(e, current, m)
	if f != nil {
		return s, f
	}
	s.final = final
	return s, nil
}

// sizeOf is how large a decoded answer is, as far as that matters.
func sizeOf(raw any) int64 {
	left := mostShaped
	_ = settled(raw, &left) // what is larger counts as the most
	return int64(mostShaped - left)
}

// finish returns the result as text: a string as it is, anything else as JSON.
func finish(e domain.Endpoint, current any, m *meter) (string, *fault) {
	var final string
	if e.ResultTemplate != "" {
		t, err := parseTemplate(e.ResultTemplate)
		if err == nil {
			final, err = t.fill(computable(current), m)
		}
		if err != nil {
			return "", stumbled("result_template: %v", err)
		}
	} else {
		size := m.most
		err := settled(current, &size)
		if err == nil {
			final, err = written(current)
		}
		if err != nil {
			return "", stumbled("the result: %v", err)
		}
	}
	if lengthOf(final) > m.most {
		return "", stumbled("the result: %v", errTooMuch)
	}
	if e.MaxResultLength > 0 && utf8.RuneCountInString(final) > e.MaxResultLength {
		final = string([]rune(final)[:e.MaxResultLength])
	}
	return final, nil
}

// evaluate compiles path and evaluates it on JSON made computable.
func evaluate(path string, data any, m *meter) (any, error) {
	e, err := compile(path)
	if err != nil {
		return nil, err
	}
	return e.search(data, m)
}

// written returns a value as text: a string raw, anything else as JSON.
func written(v any) (string, error) {
	if s, ok := v.(string); ok {
		return s, nil
	}
	return compact(v)
}

// stumbled is the fault of a step that the answer does not fit.
func stumbled(format string, args ...any) *fault {
	return &fault{
		code: domain.CallUpstreamError, own: true, // secrets are gone from what is shaped
		sentence: "The upstream answered, and its answer could not be shaped: " + fmt.Sprintf(format, args...) + ".",
	}
}
