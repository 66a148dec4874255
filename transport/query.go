package transport

import (
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/seed677028b5/integrations/domain"
)

// A query reads the parameters of a URL and collects their problems. A parameter without a
// value is refused: ignoring a bare ?dry_run would make the change.
type query struct {
	values   url.Values
	problems []domain.Problem
}

func (r *request) query() *query {
	values, err := url.ParseQuery(r.Request.URL.RawQuery)
	q := &query{values: values}
	if err != nil {
		q.problem("", "query_invalid", "the query of the URL is malformed: percent escapes must be complete, and pairs separated by &")
	}
	return q
}

// refuseOtherParameters refuses parameters of the URL that a route doesn't have: one
// that is misspelled would otherwise change the answer without a word.
func (r *request) refuseOtherParameters(has string) error {
	if r.Request.URL.RawQuery == "" {
		return nil
	}
	q, names := r.query(), strings.Fields(has)
	for _, name := range slices.Sorted(maps.Keys(q.values)) {
		if !slices.Contains(names, name) {
			q.problem(name, "unknown_parameter", "there is no such parameter"+domain.Suggestion(name, names))
		}
	}
	return domain.RefuseAll(q.problems)
}

func (q *query) text(name string) (value string, given bool) {
	values := q.values[name]
	switch {
	case len(values) == 0:
		return "", false
	case len(values) > 1:
		q.problem(name, "duplicate", "is a duplicate")
	case !utf8.ValidString(values[0]):
		q.problem(name, "encoding", "must be UTF-8")
	default:
		return values[0], true
	}
	return "", false
}

func (q *query) problem(name, code, detail string) {
	at := ""
	if name != "" {
		at = pointer(name)
	}
	q.problems = append(q.problems, domain.Problem{Pointer: at, Code: code, Detail: detail})
}

// boolean reads true or false, nil when absent.
func (q *query) boolean(name string) *bool {
	s, given := q.text(name)
	switch {
	case !given:
		return nil
	case s == "true":
		return new(true)
	case s == "false":
		return new(false)
	}
	q.problem(name, "type", "must be true or false")
	return nil
}

// integer reads a whole number from low to high.
func (q *query) integer(name string, otherwise, low, high int) int {
	s, given := q.text(name)
	if !given {
		return otherwise
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < low || n > high {
		q.problem(name, "range", "must be a whole number from "+strconv.Itoa(low)+" to "+strconv.Itoa(high))
		return otherwise
	}
	return n
}

// time reads a time (RFC 3339), the zero time when absent.
func (q *query) time(name string) time.Time {
	s, given := q.text(name)
	at, err := time.Parse(time.RFC3339Nano, s)
	at = at.UTC() // may be in a year that can't be formatted
	if given && (err != nil || at.Year() < 0 || at.Year() > 9999) {
		q.problem(name, "format", "must be a time (RFC 3339)")
	}
	return at
}

// protocol reads the name of a protocol, "" when absent.
func (q *query) protocol(name string) domain.Protocol {
	s, given := q.text(name)
	if given && !slices.Contains(domain.Protocols(), domain.Protocol(s)) {
		q.problem(name, "enum", "must be rest, fhir or mcp")
	}
	return domain.Protocol(s)
}
