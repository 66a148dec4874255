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

// tests measures the test of an endpoint beside calling the upstream oneself.
func tests(ctx context.Context, l *lab) (pair, error) {
	s, err := l.theSmall(ctx)
	if err != nil {
		return pair{}, err
	}
	name := l.name()
	if err := l.do(ctx, s, http.StatusCreated, http.MethodPost, writes, body(name, name, l.upstream.url)); err != nil {
		return pair{}, err
	}
	path := writes + "/" + name + "/endpoints/list_slots/test"
	var answer struct {
		Error any `json:"error"`
	}
	if err := l.into(ctx, s, http.StatusOK, http.MethodPost, path, testBody, &answer); err != nil {
		return pair{}, err
	}
	if answer.Error != nil {
		return pair{}, fmt.Errorf("the endpoint can't be called: %v", answer.Error)
	}
	return pair{
		figure: byP50(l.busy(1, func(ctx context.Context, _, _ int) error {
			return l.do(ctx, s, http.StatusOK, http.MethodPost, path, testBody)
		})),
		limit: byP50(l.busy(1, func(ctx context.Context, _, _ int) error { return l.get(ctx, "/slots/2026-12-01") })),
	}, nil
}

const testBody = `{"params": {"day": "2026-12-01"}}`

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
