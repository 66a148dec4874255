package console

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

func stepsOf(t *tested) []pipelineStep {
	var request strings.Builder
	_, _ = fmt.Fprintf(&request, "%s %s\n", t.Request.Method, t.Request.URL)
	for _, name := range slices.Sorted(maps.Keys(t.Request.Headers)) {
		_, _ = fmt.Fprintf(&request, "%s: %s\n", name, strings.Join(t.Request.Headers[name], ", "))
	}
	if t.Request.Body != nil {
		request.WriteString("\n" + pretty(json.RawMessage(*t.Request.Body)))
	}
	steps := []pipelineStep{{Name: "Request", Text: request.String()}}
	if t.DryRun {
		return steps
	}
	for _, s := range []struct {
		name string
		raw  json.RawMessage
	}{{"Raw", t.Raw}, {"Filtered", t.AfterFilter}, {"Mapped", t.AfterMapping}} {
		step := pipelineStep{Name: s.name, Text: pretty(s.raw), Size: size(len(s.raw))}
		step.Same = step.Text == steps[len(steps)-1].Text && len(steps) > 1
		steps = append(steps, step)
	}
	for n := len(steps) - 1; n > 1; n-- { // compare with what was there, before anything is folded
		steps[n].Same = steps[n].Text == steps[n-1].Text
	}
	return append(steps, pipelineStep{Name: "Result", Text: pretty(json.RawMessage(t.FinalResult)), Size: size(len(t.FinalResult))})
}

// mask is what the API shows in place of a secret.
const mask = "[secret]"

// commandOf returns the request as a command. Credentials are masked, so a variable stands for one.
func commandOf(t *tested) string {
	var b strings.Builder
	quote := func(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
	_, _ = fmt.Fprintf(&b, "curl -X %s %s", t.Request.Method, quote(t.Request.URL))
	for _, name := range slices.Sorted(maps.Keys(t.Request.Headers)) {
		if slices.Contains([]string{"Accept-Encoding", "Traceparent", "User-Agent"}, name) {
			continue // of this service
		}
		value := strings.Join(t.Request.Headers[name], ", ")
		if strings.Contains(value, mask) {
			_, _ = fmt.Fprintf(&b, " \\\n  -H \"%s: %s\"", name, strings.ReplaceAll(value, mask, "$SECRET"))
			continue
		}
		_, _ = fmt.Fprintf(&b, " \\\n  -H %s", quote(name+": "+value))
	}
	if t.Request.Body != nil {
		_, _ = fmt.Fprintf(&b, " \\\n  --data-raw %s", quote(*t.Request.Body))
	}
	return b.String()
}
