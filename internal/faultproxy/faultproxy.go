// Package faultproxy puts a proxy between a test and a server, which can delay, mute
// and cut the connection: Toxiproxy, in a process of its own.
package faultproxy

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/seed677028b5/integrations/internal/peers"
)

// Directions of a fault.
const (
	Upstream   = "upstream"   // to the server
	Downstream = "downstream" // from the server
)

var (
	start sync.Once
	api   string
	count atomic.Int64
)

// Proxy is a TCP proxy on loopback.
type Proxy struct {
	Listen string // address to connect to; it stays the same after Stop and Start

	t   testing.TB
	url string
}

// New starts a proxy to an address. It ends with the test.
func New(t testing.TB, to string) *Proxy {
	t.Helper()
	start.Do(func() { api, _ = peers.StartProgram(t, "faultproxy") })
	if api == "" {
		t.Fatal("the fault proxy did not start")
	}
	name := fmt.Sprint("proxy-", count.Add(1))
	p := &Proxy{t: t, url: api + "/proxies/" + name}
	p.send(http.MethodPost, api+"/proxies", map[string]any{"name": name, "listen": "127.0.0.1:0", "upstream": to, "enabled": true}, p)
	t.Cleanup(func() { p.send(http.MethodDelete, p.url, nil, nil) })
	return p
}

// Stop closes all connections and refuses new ones.
func (p *Proxy) Stop() { p.enable(false) }

// Start accepts connections again.
func (p *Proxy) Start() { p.enable(true) }

func (p *Proxy) enable(enabled bool) {
	p.t.Helper()
	p.send(http.MethodPost, p.url, map[string]any{"enabled": enabled}, nil)
}

// Delay delays what passes in one direction.
func (p *Proxy) Delay(direction string, milliseconds int64) {
	p.t.Helper()
	p.add("latency", direction, map[string]any{"latency": milliseconds})
}

// Mute lets nothing pass in one direction, and keeps the connections.
func (p *Proxy) Mute(direction string) {
	p.t.Helper()
	p.add("timeout", direction, map[string]any{"timeout": 0})
}

func (p *Proxy) add(kind, direction string, attributes map[string]any) {
	p.t.Helper()
	p.send(http.MethodPost, p.url+"/toxics", map[string]any{"name": kind + "-" + direction, "type": kind, "stream": direction, "attributes": attributes}, nil)
}

// Heal ends all faults.
func (p *Proxy) Heal() {
	p.t.Helper()
	var faults []struct{ Name string }
	p.send(http.MethodGet, p.url+"/toxics", nil, &faults)
	for _, f := range faults {
		p.send(http.MethodDelete, p.url+"/toxics/"+f.Name, nil, nil)
	}
}

func (p *Proxy) send(method, url string, body, into any) {
	p.t.Helper()
	data, err := json.Marshal(body)
	if err != nil {
		p.t.Fatal(err)
	}
	req, err := http.NewRequest(method, url, bytes.NewReader(data)) // without the context of the test, which may have ended
	if err != nil {
		p.t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		p.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	answer, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode >= http.StatusBadRequest {
		err = fmt.Errorf("%s: %s", res.Status, answer)
	}
	if err == nil && into != nil {
		err = json.Unmarshal(answer, into)
	}
	if err != nil {
		p.t.Fatalf("%s %s: %v", method, url, err)
	}
}
