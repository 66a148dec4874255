package peers

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"
)

// Chromium is a running browser, driven by the DevTools protocol over a pipe.
type Chromium struct {
	in   *os.File
	mu   sync.Mutex
	next int
	wait map[int]chan message
	tabs map[string]*Tab // by session
	done chan struct{}
}

type message struct {
	ID        int             `json:"id,omitempty"`
	Method    string          `json:"method,omitempty"`
	Params    json.RawMessage `json:"params,omitempty"`
	SessionID string          `json:"sessionId,omitempty"`
	Result    json.RawMessage `json:"result,omitempty"`
	Error     *struct {
		Message string `json:"message"`
	} `json:"error,omitempty"`
}

// StartChromium starts a browser that ends with the test. The test is skipped on a machine
// that has none, or where it doesn't start.
func StartChromium(t testing.TB) *Chromium {
	t.Helper()
	program, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("NOT TESTED IN A BROWSER: there is no chromium here (Debian: apt-get install chromium)")
	}
	profile, err := os.MkdirTemp("", "chromium") //nolint:usetesting // its children may still write there when it has ended, which would fail the test
	if err != nil {
		t.Fatal(err)
	}
	theirIn, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	out, theirOut, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), program, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
		"--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--hide-scrollbars",
		"--remote-debugging-pipe", "--user-data-dir="+profile)
	cmd.ExtraFiles = []*os.File{theirIn, theirOut}
	var stderr bytes.Buffer
	cmd.Stderr, cmd.WaitDelay = &stderr, 10*time.Second
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_, _ = theirIn.Close(), theirOut.Close()
	b := &Chromium{in: in, wait: map[int]chan message{}, tabs: map[string]*Tab{}, done: make(chan struct{})}
	go b.read(out)
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		_, _ = in.Close(), out.Close()
		_ = os.RemoveAll(profile)
	})
	if _, err := b.call("", "Browser.getVersion", nil); err != nil {
		t.Skip("NOT TESTED IN A BROWSER: ", err, "\n", stderr.String())
	}
	return b
}

// read hands out what the browser sends.
func (b *Chromium) read(out *os.File) {
	defer close(b.done)
	r := bufio.NewReaderSize(out, 1<<20)
	for {
		data, err := r.ReadBytes(0)
		if err != nil {
			return
		}
		var m message
		if json.Unmarshal(data[:len(data)-1], &m) != nil {
			continue
		}
		b.mu.Lock()
		answered, tab := b.wait[m.ID], b.tabs[m.SessionID]
		delete(b.wait, m.ID)
		b.mu.Unlock()
		switch {
		case answered != nil:
			answered <- m
		case tab != nil:
			tab.note(m)
		}
	}
}

var errNoAnswer = errors.New("chromium does not answer")

func (b *Chromium) call(session, method string, params any) (json.RawMessage, error) {
	data, err := json.Marshal(params)
	if err != nil {
		return nil, err
	}
	if params == nil {
		data = []byte("{}")
	}
	answered := make(chan message, 1)
	b.mu.Lock()
	b.next++
	m := message{ID: b.next, Method: method, Params: data, SessionID: session}
	b.wait[m.ID] = answered
	sent, err := json.Marshal(m)
	if err == nil {
		_, err = b.in.Write(append(sent, 0))
	}
	b.mu.Unlock()
	if err != nil {
		return nil, err
	}
	select {
	case got := <-answered:
		if got.Error != nil {
			return nil, fmt.Errorf("%s: %s", method, got.Error.Message)
		}
		return got.Result, nil
	case <-b.done:
		return nil, errNoAnswer
	case <-time.After(time.Minute):
		return nil, fmt.Errorf("%s: %w within a minute", method, errNoAnswer)
	}
}

// Open returns a tab in a profile of its own.
func (b *Chromium) Open(t testing.TB) *Tab {
	t.Helper()
	tab := &Tab{t: t, browser: b}
	var made struct{ BrowserContextID, TargetID, SessionID string }
	for _, step := range []struct {
		method string
		params func() any
	}{
		{"Target.createBrowserContext", func() any { return map[string]any{} }},
		{"Target.createTarget", func() any {
			return map[string]any{"url": "about:blank", "browserContextId": made.BrowserContextID}
		}},
		{"Target.attachToTarget", func() any { return map[string]any{"targetId": made.TargetID, "flatten": true} }},
	} {
		got, err := b.call("", step.method, step.params())
		if err == nil {
			err = json.Unmarshal(got, &made)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	tab.session = made.SessionID
	b.mu.Lock()
	b.tabs[tab.session] = tab
	b.mu.Unlock()
	for _, domain := range []string{"Page", "Runtime", "Log", "Network"} {
		tab.call(domain+".enable", nil)
	}
	return tab
}
