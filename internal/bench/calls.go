package bench

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"
)

// get calls the upstream with nothing between.
func (l *lab) get(ctx context.Context, path string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, l.upstream.url+path, nil)
	if err != nil {
		return err
	}
	return l.send(req, http.StatusOK, io.Discard)
}

// calls measures calls of an endpoint, each recorded, beside calling the upstream oneself. How
// is the end of the path, or mcp for a tools/call.
func calls(how string, connections int) func(context.Context, *lab) (pair, error) {
	return func(ctx context.Context, l *lab) (pair, error) {
		s, err := l.theSmall(ctx)
		if err != nil {
			return pair{}, err
		}
		name := l.name()
		if err := l.do(ctx, s, http.StatusCreated, http.MethodPost, calledIn, body(name, name, l.upstream.url)); err != nil {
			return pair{}, err
		}
		path, call := calledIn+"/"+name+"/endpoints/list_slots/"+how, `{"params": {"day": "2026-12-01"}}`
		if how == overMCP {
			path = "/v1/called/mcp"
			call = fmt.Sprintf(`{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "%s__list_slots", "arguments": {"day": "2026-12-01"}}}`, name)
		}
		var answer struct {
			Error  any `json:"error"`
			Result struct {
				IsError bool `json:"isError"`
			} `json:"result"`
		}
		if err := l.into(ctx, s, http.StatusOK, http.MethodPost, path, call, &answer); err != nil {
			return pair{}, err
		}
		if answer.Error != nil || answer.Result.IsError {
			return pair{}, fmt.Errorf("the endpoint can't be called: %+v", answer)
		}
		return pair{
			figure: l.busy(connections, func(ctx context.Context, _, _ int) error {
				return l.do(ctx, s, http.StatusOK, http.MethodPost, path, call)
			}),
			limit: l.busy(connections, func(ctx context.Context, _, _ int) error { return l.get(ctx, "/slots/2026-12-01") }),
		}, nil
	}
}

const (
	calledIn = "/v1/called/integrations" // a workspace of few tools
	overMCP  = "mcp"
)

// probes measures how many probes a second go through the queue, each recorded,
// beside as many calls at once of the same upstream. A prober makes 16 at once.
func probes(ctx context.Context, l *lab) (pair, error) {
	const integrations, atOnce = 500, 16
	s, err := l.theSmall(ctx)
	if err != nil {
		return pair{}, err
	}
	const in = "/v1/probed/integrations"
	for range integrations {
		name := l.name()
		if err := l.do(ctx, s, http.StatusCreated, http.MethodPost, in, body(name, name, l.upstream.url+slow)); err != nil {
			return pair{}, err
		}
	}
	check := func(ctx context.Context) (sample, error) {
		healthy, since := 0, time.Now()
		for healthy == 0 || time.Since(since) < l.For {
			var report struct {
				Integrations []struct {
					Name   string `json:"name"`
					Status string `json:"status"`
				} `json:"integrations"`
			}
			if err := l.into(ctx, s, http.StatusOK, http.MethodGet, in+"/health-check?max_age_ms=0", "", &report); err != nil {
				return sample{}, err
			}
			seen := 0
			for _, i := range report.Integrations {
				if i.Status == "healthy" {
					seen++
				}
			}
			if seen < integrations {
				return sample{}, fmt.Errorf("only %d of %d integrations were seen to be healthy", seen, integrations)
			}
			healthy += seen
		}
		return perSecond(healthy, since), nil
	}
	return pair{figure: check, limit: l.busy(atOnce, func(ctx context.Context, _, _ int) error { return l.get(ctx, slow) })}, nil
}
