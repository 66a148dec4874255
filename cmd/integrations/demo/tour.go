package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
)

// tour makes requests, shows some or all of them with their answers, and records the
// first wrong answer.
type tour struct {
	ctx      context.Context //nolint:containedctx // a tour is one run
	out      io.Writer
	all      bool // shows every step, with whole answers
	exit     bool // ends after the last step: no person is there
	link     string
	base     string
	key      string
	agentKey string
	step     int
	shown    int // steps that were shown
	title    string
	failed   error
}

// exchange is a request and its expected answer. Without a title it belongs to the step
// of the exchange before.
type exchange struct {
	title        string
	method, path string
	asAgent      bool // with the key of the agent instead of the operator's
	body         any
	header       map[string]string
	want         int
	check        func(reply) string // returns what is wrong with the answer, or ""
	brief        []string           // the values of the answer that the short demo shows; nil: it leaves the exchange out
}

// reply is an answer as the tour sees it.
type reply struct {
	status int
	text   string // the status with its name
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

// begin begins a step, and returns where to show it.
func (t *tour) begin(title string, brief bool) io.Writer {
	t.step, t.title = t.step+1, title
	if !t.all && !brief {
		return io.Discard
	}
	t.shown++
	_, _ = fmt.Fprintf(t.out, "\n── %d. %s\n", t.shown, title)
	return t.out
}

// fail records that the present step failed.
func (t *tour) fail(err error) {
	t.failed = fmt.Errorf("step %d, %s: %w", t.step, t.title, err)
}

// remark shows what happens between two steps.
func (t *tour) remark(text string) {
	if t.all {
		_, _ = fmt.Fprintf(t.out, "\n%s\n", text)
	}
}

// do makes one exchange, unless an earlier one failed.
func (t *tour) do(e exchange) reply {
	if t.failed != nil {
		return reply{}
	}
	out := io.Discard
	switch {
	case e.title != "":
		out = t.begin(e.title, e.brief != nil)
	case t.all || e.brief != nil:
		out = t.out
	}
	r, err := t.send(e, out)
	switch {
	case err != nil:
		t.fail(err)
	case r.status != e.want:
		t.fail(fmt.Errorf("the status is %d, expected %d", r.status, e.want))
	case e.check != nil:
		if wrong := e.check(r); wrong != "" {
			t.fail(errors.New(wrong))
		}
	}
	return r
}

func (t *tour) send(e exchange, out io.Writer) (reply, error) {
	var data []byte
	if e.body != nil {
		var err error
		if data, err = json.Marshal(e.body); err != nil {
			return reply{}, err
		}
	}
	req, err := t.request(e.method, e.path, bytes.NewReader(data))
	if err != nil {
		return reply{}, err
	}
	if e.asAgent {
		req.Header.Set("Authorization", "Bearer "+t.agentKey)
	}
	for name, value := range e.header {
		req.Header.Set(name, value)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return reply{}, err
	}
	defer func() { _ = res.Body.Close() }()
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		return reply{}, err
	}
	r := reply{status: res.StatusCode, text: res.Status, header: res.Header}
	if len(answer) > 0 {
		if err := json.Unmarshal(answer, &r.body); err != nil {
			return reply{}, err
		}
	}
	if t.all {
		showWhole(out, e, data, r, answer)
	} else {
		showBrief(out, e, data, r)
	}
	return r, nil
}

// request returns a request with the key of the operator.
func (t *tour) request(method, path string, body io.Reader) (*http.Request, error) {
	req, err := http.NewRequestWithContext(t.ctx, method, t.base+path, body)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+t.key)
	req.Header.Set("Content-Type", "application/json")
	return req, nil
}
