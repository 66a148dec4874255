package simulation

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"
)

// receiver is what all webhook destinations lead to. It fails at times.
type receiver struct {
	world *world

	mu    sync.Mutex
	tries map[string]uint64
	got   []delivery
	whole bool // nothing fails any more
}

// delivery is a webhook that was received.
type delivery struct {
	url, id string
	at      time.Duration
	shown
}

func newReceiver(w *world) *receiver { return &receiver{world: w, tries: map[string]uint64{}} }

func (r *receiver) calm() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.whole = true
}

var errUnreachable = errors.New("unreachable")

// send answers a webhook, in place of the egress client.
func (r *receiver) send(req *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, err
	}
	var payload struct {
		Data shown `json:"data"`
	}
	if err := json.Unmarshal(body, &payload); err != nil {
		r.world.problem("webhook unreadable", "%v", err)
	}
	url, id := req.URL.String(), req.Header.Get("webhook-id")
	r.mu.Lock()
	r.tries[url+id]++
	fate := chance(r.world.seed, "webhook "+url+" "+id, r.tries[url+id])
	whole := r.whole
	r.mu.Unlock()
	takes, roll := time.Millisecond+time.Duration(fate.Int64N(int64(40*time.Millisecond))), fate.IntN(100)
	switch {
	case whole:
		roll = 100
	case roll < 4:
		takes = time.Minute // longer than an attempt
	case roll < 10:
		takes += 2 * time.Second
	}
	select {
	case <-time.After(takes):
	case <-req.Context().Done():
		return nil, req.Context().Err()
	}
	status := http.StatusNoContent
	switch {
	case roll < 16 && roll >= 10:
		status = http.StatusInternalServerError
	case roll < 20 && roll >= 16:
		return nil, errUnreachable
	default:
		r.mu.Lock()
		r.got = append(r.got, delivery{url, id, time.Since(r.world.began), payload.Data})
		r.mu.Unlock()
	}
	if roll < 24 && roll >= 20 { // it has the webhook, and its answer is lost
		return nil, errUnreachable
	}
	return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(""))}, nil
}

// checkDeliveries holds webhooks to the log, and to their order.
func (w *world) checkDeliveries() {
	type queue struct{ url, id string }
	first := map[queue]map[uint64]bool{}
	furthest := map[queue]uint64{}
	for _, d := range w.receiver.got {
		if d.Position == 0 || d.Position > uint64(len(w.log)) {
			w.problem("webhook of nothing", "%+v", d)
			continue
		}
		e := w.log[d.Position-1]
		if e.command != d.Command || e.at > d.at {
			w.problem("webhook ahead of the log", "%s is of event %d by command %s; the log has %+v", d.id, d.Position, d.Command, e)
		}
		q := queue{d.url, d.ID}
		if first[q] == nil {
			first[q] = map[uint64]bool{}
		}
		if !first[q][d.Position] && d.Position < furthest[q] {
			w.problem("webhooks out of order", "event %d of %s came to %s after event %d", d.Position, e.name, d.url, furthest[q])
		}
		first[q][d.Position] = true
		furthest[q] = max(furthest[q], d.Position)
	}
}
