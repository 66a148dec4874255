package demo

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// followChange makes a change while it listens to the events of the workspace.
func (t *tour) followChange(all string, change exchange) {
	if t.failed != nil {
		return
	}
	ctx, cancel := context.WithTimeout(t.ctx, 30*time.Second)
	defer cancel()
	req, err := t.request(http.MethodGet, all+"/events/stream", nil)
	if err != nil {
		t.fail(err)
		return
	}
	res, err := http.DefaultClient.Do(req.WithContext(ctx)) // it answers once it listens
	if err != nil {
		t.fail(err)
		return
	}
	defer func() { _ = res.Body.Close() }()
	t.do(change)
	if t.failed != nil {
		return
	}
	var event struct {
		Type    string
		Version uint64
		Changed []string
	}
	for lines := bufio.NewScanner(res.Body); lines.Scan() && event.Type == ""; {
		if data, found := strings.CutPrefix(lines.Text(), "data: "); found {
			if err := json.Unmarshal([]byte(data), &event); err != nil {
				t.fail(err)
				return
			}
		}
	}
	if event.Type != "integration.updated" || len(event.Changed) != 1 {
		t.fail(errors.New("the event should name what has changed"))
		return
	}
	_, _ = fmt.Fprintf(t.out, "GET %s/events/stream → event: %s, version %d, changed: %s\n", all, event.Type, event.Version, event.Changed[0])
}
