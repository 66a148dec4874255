package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// tour makes requests, shows each with its answer, and records the first wrong
// answer.
type tour struct {
	ctx    context.Context //nolint:containedctx // a tour is one run
	out    io.Writer
	base   string
	key    string
	step   int
	failed error
}

// exchange is a request and its expected answer.
type exchange struct {
	title        string
	method, path string
	body         any
	header       map[string]string
	want         int
	check        func(reply) string // returns what is wrong with the answer, or ""
}

// reply is an answer as the tour sees it.
type reply struct {
	status int
	header http.Header
	body   map[string]any
}

// at returns a value inside the body by names, such as "errors", "0", "code".
func (r reply) at(names ...string) any {
	var v any = r.body
	for _, name := range names {
		switch inner := v.(type) {
		case map[string]any:
			v = inner[name]
		case []any:
			var n int
			if _, err := fmt.Sscan(name, &n); err != nil || n >= len(inner) {
				return nil
			}
			v = inner[n]
		default:
			return nil
		}
	}
	return v
}

func (t *tour) print(format string, args ...any) {
	_, _ = fmt.Fprintf(t.out, "\n"+format+"\n", args...)
}

// do makes one exchange, unless an earlier one failed.
func (t *tour) do(e exchange) reply {
	if t.failed != nil {
		return reply{}
	}
	t.step++
	t.print("── %d. %s", t.step, e.title)
	r, err := t.send(e)
	switch {
	case err != nil:
		t.failed = fmt.Errorf("step %d, %s: %w", t.step, e.title, err)
	case r.status != e.want:
		t.failed = fmt.Errorf("step %d, %s: the status is %d, expected %d", t.step, e.title, r.status, e.want)
	case e.check != nil:
		if wrong := e.check(r); wrong != "" {
			t.failed = fmt.Errorf("step %d, %s: %s", t.step, e.title, wrong)
		}
	}
	return r
}

func (t *tour) send(e exchange) (reply, error) {
	var body io.Reader
	_, _ = fmt.Fprintf(t.out, "%s %s\n", e.method, e.path)
	for name, value := range e.header {
		_, _ = fmt.Fprintf(t.out, "%s: %s\n", name, value)
	}
	if e.body != nil {
		data, err := json.Marshal(e.body)
		if err != nil {
			return reply{}, err
		}
		t.show(data)
		body = bytes.NewReader(data)
	}
	req, err := http.NewRequestWithContext(t.ctx, e.method, t.base+e.path, body)
	if err != nil {
		return reply{}, err
	}
	req.Header.Set("Authorization", "Bearer "+t.key)
	req.Header.Set("Content-Type", "application/json")
	for name, value := range e.header {
		req.Header.Set(name, value)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return reply{}, err
	}
	defer func() { _ = res.Body.Close() }()
	data, err := io.ReadAll(res.Body)
	if err != nil {
		return reply{}, err
	}
	_, _ = fmt.Fprintf(t.out, "→ %s", res.Status)
	if tag := res.Header.Get("ETag"); tag != "" {
		_, _ = fmt.Fprintf(t.out, "   ETag: %s", tag)
	}
	_, _ = fmt.Fprintln(t.out)
	r := reply{status: res.StatusCode, header: res.Header}
	if len(data) > 0 {
		t.show(data)
		if err := json.Unmarshal(data, &r.body); err != nil {
			return reply{}, err
		}
	}
	return r, nil
}

// shownLines bounds how much of a document is shown.
const shownLines = 24

// show writes a JSON document, indented and cut.
func (t *tour) show(data []byte) {
	var pretty bytes.Buffer
	if json.Indent(&pretty, data, "  ", "  ") != nil {
		pretty.Reset()
		pretty.Write(data)
	}
	lines := strings.Split(pretty.String(), "\n")
	if len(lines) > shownLines {
		left := len(lines) - shownLines
		lines = append(lines[:shownLines], fmt.Sprintf("… %d more lines", left))
	}
	_, _ = fmt.Fprintln(t.out, "  "+strings.Join(lines, "\n"))
}
