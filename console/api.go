package console

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
)

// A problem is a refusal of the API (RFC 9457), or one of the console.
type problem struct {
	Status    int    `json:"status"`
	Title     string `json:"title"`
	Detail    string `json:"detail"`
	Code      string `json:"code"`
	RequestID string `json:"request_id"`
	Errors    []struct {
		Pointer string `json:"pointer"`
		Code    string `json:"code"`
		Detail  string `json:"detail"`
	} `json:"errors"`

	RetryAfter string `json:"-"` // seconds; "" if the API names none
}

// Error implements error.
func (p *problem) Error() string { return p.Title + ": " + p.Detail }

// At returns what is wrong at a JSON pointer, "" if nothing is.
func (p *problem) At(pointer string) string {
	if p == nil {
		return ""
	}
	for _, e := range p.Errors {
		if e.Pointer == pointer {
			return e.Detail
		}
	}
	return ""
}

// An ask is a request to the API.
type ask struct {
	method, path string
	query        url.Values
	body         any // nil: none; a json.RawMessage is sent as it is
	header       map[string]string
}

// An answer is what the API answered.
type answer struct {
	header http.Header
	body   []byte
}

// do makes a request with the key of the session. An answer from 400 on is a *problem.
func (p *page) do(a ask) (answer, error) { return p.doWith(p.session.Key, a) }

func (p *page) doWith(key string, a ask) (answer, error) {
	r, err := p.request(p.r.Context(), key, a)
	if err != nil {
		return answer{}, err
	}
	w := &recorder{header: http.Header{}, status: http.StatusOK}
	p.api.ServeHTTP(w, r)
	got := answer{header: w.header, body: w.body.Bytes()}
	switch {
	case w.cut:
		return answer{}, &problem{Status: http.StatusBadGateway, Title: "Too much to show", Detail: "The answer is larger than a page can hold; ask the API for it.", Code: "too_large"}
	case w.status < http.StatusBadRequest:
		return got, nil
	}
	refused := &problem{Status: w.status, Title: http.StatusText(w.status), RetryAfter: w.header.Get("Retry-After")}
	if err := json.Unmarshal(got.body, refused); err != nil {
		refused.Detail = "the service gave an answer that can't be read"
	}
	return got, refused
}

// request returns a request to the API for the person at the browser: from the same address, by the same name
// of this host.
func (p *page) request(ctx context.Context, key string, a ask) (*http.Request, error) {
	body := io.Reader(http.NoBody) // as net/http gives it to a handler
	if a.body != nil {
		data, err := json.Marshal(a.body)
		if err != nil {
			return nil, err
		}
		body = bytes.NewReader(data)
	}
	at := a.path
	if len(a.query) > 0 {
		at += "?" + a.query.Encode()
	}
	r, err := http.NewRequestWithContext(ctx, a.method, at, body)
	if err != nil {
		return nil, err
	}
	r.Host, r.RemoteAddr, r.RequestURI = p.r.Host, p.r.RemoteAddr, at
	r.Header.Set("Authorization", "Bearer "+key)
	if a.body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	for _, name := range []string{"X-Forwarded-For", "Forwarded"} { // the API knows which proxies to believe
		if values := p.r.Header.Values(name); values != nil {
			r.Header[name] = values
		}
	}
	for name, value := range a.header {
		r.Header.Set(name, value)
	}
	return r, nil
}

// get reads something of the workspace of the page.
func (p *page) get(path string, query url.Values, into any) error {
	got, err := p.do(ask{method: http.MethodGet, path: p.below(path), query: query})
	if err != nil {
		return err
	}
	return json.Unmarshal(got.body, into)
}

// post asks for something in the workspace of the page.
func (p *page) post(path string, body, into any) error {
	got, err := p.do(ask{method: http.MethodPost, path: p.below(path), body: body})
	if err != nil || into == nil {
		return err
	}
	return json.Unmarshal(got.body, into)
}

// below returns a path of the API in the workspace of the page. Its parts are escaped by the caller.
func (p *page) below(path string) string { return "/v1/" + url.PathEscape(p.Workspace) + path }

// maxAnswer bounds what one page reads of one answer.
const maxAnswer = 16 << 20

// recorder keeps the answer of the API.
type recorder struct {
	header http.Header
	status int
	body   bytes.Buffer
	cut    bool // it is longer than maxAnswer
}

// Header implements http.ResponseWriter.
func (w *recorder) Header() http.Header { return w.header }

// WriteHeader implements http.ResponseWriter.
func (w *recorder) WriteHeader(status int) { w.status = status }

// Write implements http.ResponseWriter.
func (w *recorder) Write(data []byte) (int, error) {
	if w.body.Len()+len(data) > maxAnswer {
		w.cut = true
		return 0, io.ErrShortWrite
	}
	return w.body.Write(data)
}

// decode reads JSON with numbers as they are written.
func decode(data []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	return d.Decode(into)
}
