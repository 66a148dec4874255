package demo

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/seed677028b5/integrations/internal/terminal"
)

// showBrief writes a request and the values of its answer that matter, one per line.
func showBrief(out io.Writer, e exchange, body []byte, r reply) {
	request := e.method + " " + e.path
	if len(body) > 0 {
		request += " " + string(body)
	}
	_, _ = fmt.Fprintf(out, "%s → %s\n", request, r.text)
	for _, path := range e.brief {
		_, _ = fmt.Fprintf(out, "  %s: %s\n", path, terminal.ShortJSON(r.at(strings.Split(path, ".")...)))
	}
}

// showWhole writes a request and its answer.
func showWhole(out io.Writer, e exchange, body []byte, r reply, answer []byte) {
	_, _ = fmt.Fprintf(out, "%s %s\n", e.method, e.path)
	for name, value := range e.header {
		_, _ = fmt.Fprintf(out, "%s: %s\n", name, value)
	}
	if len(body) > 0 {
		showDocument(out, body)
	}
	_, _ = fmt.Fprintf(out, "→ %s", r.text)
	if tag := r.header.Get("ETag"); tag != "" {
		_, _ = fmt.Fprintf(out, "   ETag: %s", tag)
	}
	_, _ = fmt.Fprintln(out)
	if len(answer) > 0 {
		showDocument(out, answer)
	}
}

// shownLines bounds how much of a document is shown.
const shownLines = 24

// showDocument writes a JSON document, indented and cut.
func showDocument(out io.Writer, data []byte) {
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
	_, _ = fmt.Fprintln(out, "  "+strings.Join(lines, "\n"))
}
