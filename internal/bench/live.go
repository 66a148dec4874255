package bench

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
)

// maxDelivery bounds how long a listener may wait for an event.
const maxDelivery = 10 * time.Second

// live measures how long it takes from a write until each of some listeners has
// received it, beside core NATS from publish to as many subscribers. The next
// write starts once all have received it.
func live(listeners int) func(context.Context, *lab) (pair, error) {
	return func(ctx context.Context, l *lab) (pair, error) {
		s, err := l.theSmall(ctx)
		if err != nil {
			return pair{}, err
		}
		server, err := l.theServer(ctx)
		if err != nil {
			return pair{}, err
		}
		listening, stop := context.WithCancel(ctx)
		p := pair{end: stop}
		received, echoed := make(chan time.Time, 2*listeners), make(chan time.Time, 2*listeners)
		const in = "/v1/live/integrations"
		for range listeners {
			if err := l.listen(listening, s, in+"/events/stream", received); err != nil {
				return p, fmt.Errorf("listen: %w", err)
			}
			if err := subscribe(listening, server.url, echoed); err != nil {
				return p, fmt.Errorf("subscribe: %w", err)
			}
		}
		publishing, err := nats.Connect(server.url)
		if err != nil {
			return p, err
		}
		context.AfterFunc(listening, publishing.Close)
		p.figure = byP99(l.delivery(listeners, received, func() error {
			name := l.name()
			return l.do(ctx, s, http.StatusCreated, http.MethodPost, in, body(name, name, l.upstream.url))
		}))
		p.limit = byP99(l.delivery(listeners, echoed, func() error {
			if err := publishing.Publish(heardOn, []byte(padding)); err != nil {
				return err
			}
			return publishing.Flush()
		}))
		return p, nil
	}
}

// delivery measures the time from a write until all listeners have the event.
func (l *lab) delivery(listeners int, received <-chan time.Time, write func() error) measuring {
	return func(ctx context.Context) (sample, error) {
		var took latencies
		for since := time.Now(); len(took.all) == 0 || time.Since(since) < l.For; {
			start := time.Now()
			if err := write(); err != nil {
				return sample{}, err
			}
			late := time.After(maxDelivery)
			for n := range listeners {
				select {
				case at := <-received:
					took.add(at.Sub(start))
				case <-late:
					return sample{}, fmt.Errorf("%d of %d listeners had the event within %s", n, listeners, maxDelivery)
				case <-ctx.Done():
					return sample{}, ctx.Err()
				}
			}
		}
		return took.sample(), nil
	}
}

// listen opens a stream of events, and sends the time of each.
func (l *lab) listen(ctx context.Context, s *service, path string, received chan<- time.Time) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url+path, nil)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+s.key)
	res, err := l.client.Do(req) //nolint:bodyclose // it is open as long as it is listened to
	if err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK {
		_ = res.Body.Close()
		return fmt.Errorf("the stream of events was answered %d", res.StatusCode)
	}
	go func() {
		defer func() { _ = res.Body.Close() }()
		for lines := bufio.NewScanner(res.Body); lines.Scan(); {
			if strings.HasPrefix(lines.Text(), "data:") {
				received <- time.Now()
			}
		}
	}()
	return nil
}

const heardOn = "echoed"

// subscribe does in core NATS what listen does, on a connection of its own.
func subscribe(ctx context.Context, url string, echoed chan<- time.Time) error {
	nc, err := nats.Connect(url)
	if err != nil {
		return err
	}
	context.AfterFunc(ctx, nc.Close)
	if _, err := nc.Subscribe(heardOn, func(*nats.Msg) { echoed <- time.Now() }); err != nil {
		return err
	}
	return nc.Flush()
}
