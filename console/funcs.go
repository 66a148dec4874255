package console

import (
	"bytes"
	"encoding/json"
	"fmt"
	"html/template"
	"math"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// funcs are what templates may call.
func (c *Console) funcs() template.FuncMap {
	return template.FuncMap{
		"asset":    func(name string) string { return Path + "/.assets/" + c.assets[name].name },
		"when":     c.when,
		"age":      func(t any) string { return age(c.now(), at(t)) },
		"status":   func(word any) statusMark { return markOf(text(word)) },
		"ms":       milliseconds,
		"json":     pretty,
		"shown":    func(s string) string { return pretty(json.RawMessage(s)) },
		"compact":  compact,
		"escape":   url.PathEscape,
		"percent":  percent,
		"plural":   plural,
		"text":     text,
		"verbatim": sentence,
		"bytes":    size,
		"join":     func(all []string) string { return strings.Join(all, ", ") },
		"dict":     dict,
		"pointer":  words,
		"verb":     verb,
		"permit":   permitted,
		"contains": strings.Contains,
		"outcome":  func(word any) string { return outcomeWords(text(word)) },

		"approvalstate": approvalWord,
	}
}

// at returns a time that may be nil.
func at(t any) time.Time {
	switch t := t.(type) {
	case time.Time:
		return t
	case *time.Time:
		if t != nil {
			return *t
		}
	}
	return time.Time{}
}

// when returns a time as an element. Its text is UTC; console.js shows it in the reader's zone.
func (c *Console) when(t any) template.HTML {
	moment := at(t).UTC()
	if moment.IsZero() {
		return `<span class="quiet">never</span>`
	}
	layout := "2 Jan 15:04:05"
	if c.now().Sub(moment) > 300*24*time.Hour {
		layout = "2 Jan 2006 15:04"
	}
	return template.HTML(fmt.Sprintf(`<time datetime="%s" title="%s UTC, %s">%s</time>`, //nolint:gosec // of digits and our own words only
		moment.Format(time.RFC3339Nano), moment.Format("2006-01-02 15:04:05"), age(c.now(), moment), moment.Format(layout)))
}

// age says how long ago something was, or how long until it is.
func age(now, then time.Time) string {
	if then.IsZero() {
		return "never"
	}
	d, pattern := now.Sub(then), "%s ago"
	if d < 0 {
		d, pattern = -d, "in %s"
	}
	if d < time.Second {
		return "now"
	}
	return fmt.Sprintf(pattern, span(d))
}

// span is a duration in its largest unit.
func span(d time.Duration) string {
	switch {
	case d < time.Second:
		return strconv.Itoa(int(d.Milliseconds())) + " ms"
	case d < time.Minute:
		return strconv.Itoa(int(d.Seconds())) + " s"
	case d < time.Hour:
		return strconv.Itoa(int(d.Minutes())) + " min"
	case d < 48*time.Hour:
		return strconv.Itoa(int(d.Hours())) + " h"
	}
	return strconv.Itoa(int(d.Hours()/24)) + " days"
}

func milliseconds(v any) string {
	var f float64
	switch v := v.(type) {
	case float64:
		f = v
	case *float64:
		if v == nil {
			return "–"
		}
		f = *v
	}
	switch {
	case f < 10:
		return strconv.FormatFloat(math.Round(f*10)/10, 'f', -1, 64) + " ms"
	case f < 10_000:
		return strconv.Itoa(int(math.Round(f))) + " ms"
	}
	return strconv.FormatFloat(math.Round(f/100)/10, 'f', -1, 64) + " s"
}

func size(n int) string {
	switch {
	case n < 1000:
		return strconv.Itoa(n) + " B"
	case n < 1_000_000:
		return strconv.FormatFloat(float64(n)/1000, 'f', 1, 64) + " kB"
	}
	return strconv.FormatFloat(float64(n)/1_000_000, 'f', 1, 64) + " MB"
}

func percent(ratio *float64) string {
	if ratio == nil {
		return "no data"
	}
	if *ratio < 1 && *ratio > 0.9995 {
		return "99.9 %"
	}
	return strconv.FormatFloat(math.Floor(*ratio*1000)/10, 'f', -1, 64) + " %"
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return strconv.Itoa(n) + " " + many
}

// maxShown is how much of a document a page shows.
const maxShown = 64 << 10

// pretty returns JSON with indents, cut for display.
func pretty(v any) string {
	var b bytes.Buffer
	switch v := v.(type) {
	case json.RawMessage:
		if json.Indent(&b, v, "", "  ") != nil {
			b.Write(v)
		}
	default:
		e := json.NewEncoder(&b)
		e.SetIndent("", "  ")
		e.SetEscapeHTML(false)
		if err := e.Encode(v); err != nil {
			return err.Error()
		}
	}
	s := strings.TrimRight(b.String(), "\n")
	if len(s) > maxShown {
		return strings.ToValidUTF8(s[:maxShown], "") + fmt.Sprintf("\n… %s of %s", size(maxShown), size(len(s)))
	}
	return s
}

// compact returns a value in one line, cut for a cell of a table.
func compact(v any) string {
	if v == nil {
		return "none"
	}
	var s string
	if raw, ok := v.(string); ok {
		s = raw
	} else if data, err := json.Marshal(v); err == nil {
		s = string(data)
	}
	if r := []rune(s); len(r) > 200 {
		return string(r[:200]) + " …"
	}
	return s
}

// words turns a JSON pointer into the path that people write: /endpoints/0/path is endpoints.0.path.
func words(pointer string) string {
	s := strings.TrimPrefix(pointer, "/")
	return strings.NewReplacer("/", ".", "~1", "/", "~0", "~").Replace(s)
}

func dict(pairs ...any) (map[string]any, error) {
	d := map[string]any{}
	for n := 0; n+1 < len(pairs); n += 2 {
		name, ok := pairs[n].(string)
		if !ok {
			return nil, fmt.Errorf("dict: %v is no name", pairs[n])
		}
		d[name] = pairs[n+1]
	}
	return d, nil
}

// permitted says what became of what a person has permitted.
func permitted(e feedEvent) string {
	is := sentence(strings.TrimPrefix(e.Type, "integration."))
	if e.Authorization != nil && e.Authorization.Reason != nil {
		is += ", " + strings.ReplaceAll(*e.Authorization.Reason, "_", " ")
	}
	return is
}
