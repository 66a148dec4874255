package chaos

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// patience is how long a client waits for an answer.
	patience = 2 * time.Second
	// pause is how long a client rests after what was no success of the service.
	pause = 20 * time.Millisecond
	// repeats bounds how often a request with an Idempotency-Key is made again.
	repeats = 20
)

// Load is clients that create, update, delete and read a few integrations at the
// same time, so that they get into each other's way.
type Load struct {
	History *History
	Prefix  string                         // of every X-Request-Id
	Names   []string                       // of the integrations
	Clients int                            // at once
	Target  func() (workspace, key string) // URL of the workspace, and an API key for it; it may change at any time

	requests atomic.Int64
}

// Run makes load until ctx ends, and returns once every operation has ended: a
// client's patience later at most.
func (l *Load) Run(ctx context.Context) {
	var clients sync.WaitGroup
	for n := range l.Clients {
		clients.Go(func() {
			transport := &http.Transport{}
			defer transport.CloseIdleConnections()
			c := &client{load: l, number: n, http: &http.Client{Transport: transport, Timeout: patience}, seen: map[string]uint64{}}
			for ctx.Err() == nil {
				if !c.operate(ctx) {
					rest(ctx)
				}
			}
		})
	}
	clients.Wait()
}

func rest(ctx context.Context) {
	select {
	case <-time.After(pause):
	case <-ctx.Done():
	}
}

type client struct {
	load   *Load
	number int
	http   *http.Client
	seen   map[string]uint64 // the version it last saw, by name
}

// operate makes one operation, and reports whether the service was there for it.
func (c *client) operate(ctx context.Context) bool {
	o := Operation{Client: c.number, Name: c.load.Names[rand.IntN(len(c.load.Names))], Request: fmt.Sprint(c.load.Prefix, "-", c.load.requests.Add(1))}
	switch roll := rand.IntN(100); {
	case roll < 25:
		o.Kind = Create
	case roll < 60:
		o.Kind = Update
	case roll < 75:
		o.Kind = Delete
	case roll < 85:
		o.Kind = Look
	default:
		o.Kind = Get
	}
	if o.Kind == Create || o.Kind == Update {
		o.Marker = o.Request
	}
	if (o.Kind == Update || o.Kind == Delete) && rand.IntN(2) == 0 {
		o.IfVersion = c.seen[o.Name]
	}
	safe := o.Marker != "" && rand.IntN(3) == 0 // it may be repeated
	secret := rand.IntN(5) < 2
	c.load.History.begin(&o)
	at := c.once(&o, secret, safe)
	if at == nowhere {
		return false // it never left, so there is nothing to judge
	}
	for n := 0; safe && o.Outcome == Unknown && n < repeats && ctx.Err() == nil; n++ {
		rest(ctx)
		if c.once(&o, secret, safe); o.Outcome == Refused {
			o.Outcome = Unknown // the repetition was refused, which shows nothing about the first
		}
	}
	c.load.History.end(o)
	if o.Outcome == Acknowledged && o.Version != 0 {
		c.seen[o.Name] = o.Version
	}
	return o.Outcome == Acknowledged || at != http.StatusServiceUnavailable && at != 0
}

// nowhere is the status of a request that found nobody to take it.
const nowhere = -1

// once makes the request of an operation, notes the outcome, and returns the
// status: 0 when there was no answer.
func (c *client) once(o *Operation, secret, safe bool) int {
	req, err := c.request(*o, secret, safe)
	if err != nil {
		c.load.History.odd(fmt.Sprintf("%s %s: %v", o.Kind, o.Request, err))
		return nowhere
	}
	o.Outcome, o.Code = Unknown, ""
	res, err := c.http.Do(req)
	if err != nil {
		if failed, ok := errors.AsType[*net.OpError](err); ok && failed.Op == "dial" && !safe { // net/http may have sent what is safe before
			return nowhere
		}
		return 0
	}
	defer res.Body.Close() //nolint:errcheck // it was read
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return 0
	}
	c.answered(o, res, body)
	return res.StatusCode
}

func (c *client) request(o Operation, secret, safe bool) (*http.Request, error) {
	method, path, body := http.MethodGet, "/integrations/"+o.Name, ""
	auth := ""
	if secret {
		auth = fmt.Sprintf(`, "auth": {"bearer_token_value": %q}`, "secret of "+o.Request)
	}
	switch o.Kind {
	case Create:
		method, path = http.MethodPost, "/integrations"
		body = fmt.Sprintf(`{"name": %q, "base_url": "https://crm.example.com", "display_name": %q%s}`, o.Name, o.Marker, auth)
	case Update:
		method, body = http.MethodPut, fmt.Sprintf(`{"display_name": %q%s}`, o.Marker, auth)
	case Delete:
		method = http.MethodDelete
	case Look:
		method, path, body = http.MethodPut, path+"?dry_run=true", "{}"
	case Get:
	}
	workspace, key := c.load.Target()
	req, err := http.NewRequest(method, workspace+path, strings.NewReader(body)) // it ends with the client's patience
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+key)
	req.Header.Set("X-Request-Id", o.Request)
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	if o.IfVersion != 0 {
		req.Header.Set("If-Match", fmt.Sprintf(`"v%d"`, o.IfVersion))
	}
	if safe {
		req.Header.Set("Idempotency-Key", o.Request)
	}
	if o.Kind == Get && o.Position != 0 {
		req.Header.Set("Event-Position", strconv.FormatUint(o.Position, 10))
	}
	return req, nil
}

// answer is what is read of the body of an answer.
type answer struct {
	Version     uint64  `json:"version"`
	DisplayName string  `json:"display_name"`
	Code        string  `json:"code"`
	Integration *answer `json:"integration"` // of a dry run
}

func (c *client) answered(o *Operation, res *http.Response, body []byte) {
	var reply answer
	if len(body) > 0 && json.Unmarshal(body, &reply) != nil {
		c.load.History.odd(fmt.Sprintf("%s %s: %s, and a body that is not JSON: %.200s", o.Kind, o.Request, res.Status, body))
		return
	}
	switch res.StatusCode {
	case http.StatusOK, http.StatusCreated, http.StatusNoContent:
		if reply.Integration != nil {
			reply = *reply.Integration
		}
		o.Outcome, o.Version, o.Shown = Acknowledged, reply.Version, reply.DisplayName
		if o.Kind.Writes() {
			o.Position, _ = strconv.ParseUint(res.Header.Get("Event-Position"), 10, 64) // 0 is at no event
		}
	case http.StatusNotFound, http.StatusConflict, http.StatusPreconditionFailed:
		o.Outcome, o.Code = Refused, reply.Code
	case http.StatusServiceUnavailable:
		o.Code = reply.Code
		if reply.Code != "outcome_unknown" {
			o.Outcome = Refused
		}
	default:
		c.load.History.odd(fmt.Sprintf("%s %s: %s %.200s", o.Kind, o.Request, res.Status, body))
	}
}
