package peers

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"time"
)

// A Tab is a page of its own, with its own cookies. It fails its test when the browser doesn't answer.
type Tab struct {
	t       testing.TB
	browser *Chromium
	session string

	mu       sync.Mutex
	loaded   chan struct{}
	problems []string
	requests []string
	bytes    int // that the last page and what it loaded had, decoded
}

func (p *Tab) call(method string, params any) json.RawMessage {
	p.t.Helper()
	got, err := p.browser.call(p.session, method, params)
	if err != nil {
		p.t.Fatal(err)
	}
	return got
}

// note keeps what a page complains about, and what it asks for.
func (p *Tab) note(m message) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var e struct {
		Type  string
		Entry struct{ Level, Text, URL string }
		Args  []struct {
			Value       any
			Description string
		}
		ExceptionDetails struct {
			Text      string
			Exception struct{ Description string }
		}
		Request    struct{ URL string }
		DataLength int
	}
	if json.Unmarshal(m.Params, &e) != nil {
		return
	}
	switch m.Method {
	case "Page.loadEventFired":
		if p.loaded != nil {
			close(p.loaded)
			p.loaded = nil
		}
	case "Log.entryAdded":
		p.problems = append(p.problems, e.Entry.Level+": "+e.Entry.Text+" "+e.Entry.URL)
	case "Runtime.exceptionThrown":
		p.problems = append(p.problems, e.ExceptionDetails.Text+" "+e.ExceptionDetails.Exception.Description)
	case "Runtime.consoleAPICalled":
		if e.Type == "error" || e.Type == "warning" || e.Type == "assert" {
			p.problems = append(p.problems, fmt.Sprint(e.Type, ": ", e.Args))
		}
	case "Network.requestWillBeSent":
		p.requests = append(p.requests, e.Request.URL)
	case "Network.dataReceived":
		p.bytes += e.DataLength
	}
}

// See sets the size of the tab, and whether its user prefers dark.
func (p *Tab) See(width, height int, dark bool) {
	p.t.Helper()
	scheme := "light"
	if dark {
		scheme = "dark"
	}
	p.call("Emulation.setDeviceMetricsOverride", map[string]any{"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false})
	p.call("Emulation.setEmulatedMedia", map[string]any{"features": []any{map[string]any{"name": "prefers-color-scheme", "value": scheme}}})
}

// NoScripts sets whether pages may run scripts of theirs.
func (p *Tab) NoScripts(off bool) {
	p.t.Helper()
	p.call("Emulation.setScriptExecutionDisabled", map[string]any{"value": off})
}

// expect returns a function that waits for the next page to be loaded.
func (p *Tab) expect() func() {
	loaded := make(chan struct{})
	p.mu.Lock()
	p.loaded, p.bytes = loaded, 0
	p.mu.Unlock()
	return func() {
		p.t.Helper()
		select {
		case <-loaded:
		case <-time.After(time.Minute):
			p.t.Fatal("the page was not loaded within a minute")
		}
	}
}

// Go opens a page.
func (p *Tab) Go(url string) {
	p.t.Helper()
	wait := p.expect()
	p.call("Page.navigate", map[string]any{"url": url})
	wait()
}

// Do evaluates a script that leads to another page, and waits for that.
func (p *Tab) Do(script string) {
	p.t.Helper()
	wait := p.expect()
	p.Eval(script, nil)
	wait()
}

// Eval evaluates a script, waits for its promise, and decodes its value into result, unless
// that is nil.
func (p *Tab) Eval(script string, result any) {
	p.t.Helper()
	if err := p.eval(script, result); err != nil {
		p.t.Fatal(err)
	}
}

func (p *Tab) eval(script string, result any) error {
	var got struct {
		Result struct {
			Value       json.RawMessage
			Description string
			Subtype     string
		}
		ExceptionDetails *struct{ Exception struct{ Description string } }
	}
	data, err := p.browser.call(p.session, "Runtime.evaluate", map[string]any{"expression": script, "awaitPromise": true, "returnByValue": true, "userGesture": true})
	if err == nil {
		err = json.Unmarshal(data, &got)
	}
	switch {
	case err != nil:
		return fmt.Errorf("%.200s: %w", script, err)
	case got.ExceptionDetails != nil:
		return fmt.Errorf("%.200s: %s", script, got.ExceptionDetails.Exception.Description)
	case result == nil:
		return nil
	}
	if err := json.Unmarshal(got.Result.Value, result); err != nil {
		return fmt.Errorf("%.200s: %w: %s", script, err, got.Result.Value)
	}
	return nil
}

// Text evaluates a script to a string.
func (p *Tab) Text(script string) (s string) {
	p.t.Helper()
	p.Eval("String("+script+")", &s)
	return s
}

// HTML returns the page as it is now.
func (p *Tab) HTML() string {
	p.t.Helper()
	return p.Text("document.documentElement.outerHTML")
}

// Until waits until a script evaluates to true, on this page or one that it leads to.
func (p *Tab) Until(script string) {
	p.t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		var holds bool
		if p.eval("Boolean("+script+")", &holds) == nil && holds { // a page that is being left evaluates nothing
			return
		}
		if time.Now().After(deadline) {
			p.t.Fatalf("within a minute it did not become true that %s\n%s", script, p.HTML())
		}
	}
}

// Screenshot returns what is seen as a PNG.
func (p *Tab) Screenshot(whole bool) []byte {
	p.t.Helper()
	var got struct{ Data string }
	if err := json.Unmarshal(p.call("Page.captureScreenshot", map[string]any{"format": "png", "captureBeyondViewport": whole}), &got); err != nil {
		p.t.Fatal(err)
	}
	data, err := base64.StdEncoding.DecodeString(got.Data)
	if err != nil {
		p.t.Fatal(err)
	}
	return data
}

// Problems returns what pages complained about since the last time.
func (p *Tab) Problems() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := p.problems
	p.problems = nil
	return all
}

// Requests returns the URLs that were asked for since the last time, and how many bytes the last
// page came to with what it loaded.
func (p *Tab) Requests() (urls []string, bytes int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	urls, p.requests = p.requests, nil
	return urls, p.bytes
}
