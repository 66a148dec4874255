// Package egress sends requests to upstreams.
//
// Its promise: it opens no connection to a destination that its policy denies, no
// answer takes more than bounded time and memory, and nothing else in this service
// dials an upstream.
package egress

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"net/netip"
	"net/url"

	"github.com/seed677028b5/integrations/connectors/callerror"
	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/internal/tracing"
)

// Client is an http.RoundTripper that judges every destination before it dials. It
// follows no redirect, keeps no cookie and adds no credential. It is safe for
// concurrent use.
type Client struct {
	UserAgent string // what requests should name this service as
	Version   string // of this service
	guard     *guard
	transport *http.Transport
	certified *certified
	has       bool // the transport presents a client certificate
}

// New returns a Client. An error is a problem of the configuration.
func New(c Config) (*Client, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	g := newGuard(c)
	transport, err := newTransport(c, g)
	if err != nil {
		return nil, err
	}
	version := cmp.Or(c.Version, "dev")
	return &Client{UserAgent: "integrations/" + version, Version: version, guard: g, transport: transport, certified: &certified{}}, nil
}

// DenyListener makes a listener of ours a destination that is never dialled. A
// listener on an unspecified address is denied on every address of this machine.
func (c *Client) DenyListener(listener netip.AddrPort) { c.guard.deny(listener) }

// Judge returns the error of a URL that the policy denies by its name, nil for any
// other. The addresses of a name are judged when they are dialled.
func (c *Client) Judge(target *url.URL) *callerror.Error {
	if err := c.guard.judgeURL(target); err != nil {
		return &callerror.Error{Code: domain.CallBlockedDestination, Sentence: denied, Unsent: true, Cause: err}
	}
	return nil
}

// RoundTrip implements http.RoundTripper. Its errors are of type *callerror.Error.
func (c *Client) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx, span := startSpan(r.Context(), r.Method, r.URL)
	if tracing.Parent(ctx) != "" {
		r = r.WithContext(ctx)
		r.Header = r.Header.Clone()
		tracing.Inject(ctx, r.Header)
	}
	resp, err := c.roundTrip(r)
	var e *callerror.Error
	if err != nil && !errors.As(err, &e) {
		e = &callerror.Error{}
	}
	endSpan(span, resp, e)
	return resp, err
}

func (c *Client) roundTrip(r *http.Request) (*http.Response, error) {
	if e := c.Judge(r.URL); e != nil {
		if r.Body != nil {
			_ = r.Body.Close()
		}
		return nil, e
	}
	seen := progress{hasCertificate: c.has}
	resp, err := c.transport.RoundTrip(r.WithContext(seen.watch(r.Context())))
	if err == nil && resp.StatusCode == http.StatusProxyAuthRequired && c.guard.proxy != "" && r.URL.Scheme == "http" {
		_ = resp.Body.Close()
		err = proxyError(resp.StatusCode)
	}
	if err != nil {
		return nil, seen.explain(r.Context(), err)
	}
	return resp, nil
}

// Do sends r once and reads the answer.
func (c *Client) Do(ctx context.Context, r *Request) (Answer, *callerror.Error) {
	resp, e := c.send(ctx, r, false)
	if e != nil {
		return Answer{}, e
	}
	defer func() { _ = resp.Body.Close() }()
	got := Answer{Status: resp.StatusCode, Header: resp.Header, URL: r.URL}
	e = got.read(ctx, resp, r, cmp.Or(r.MaxAnswer, MaxBody))
	return got, e
}

// Head sends r once and returns the answer without its body.
func (c *Client) Head(ctx context.Context, r *Request) (Answer, *callerror.Error) {
	resp, e := c.send(ctx, r, true) // net/http logs what an upstream sends behind its answer to HEAD
	if e != nil {
		return Answer{}, e
	}
	_ = resp.Body.Close()
	return Answer{Status: resp.StatusCode, Header: resp.Header, URL: r.URL}, nil
}

func (c *Client) send(ctx context.Context, r *Request, closing bool) (*http.Response, *callerror.Error) {
	ctx, span := startSpan(ctx, r.Method, r.URL)
	resp, e := c.sendOnce(ctx, r, closing)
	endSpan(span, resp, e)
	if e != nil {
		return nil, e
	}
	if r.Answered != nil {
		r.Answered(resp.StatusCode, resp.Header)
	}
	return resp, nil
}

func (c *Client) sendOnce(ctx context.Context, r *Request, closing bool) (*http.Response, *callerror.Error) {
	request, e := r.http(ctx)
	if e != nil {
		return nil, e
	}
	request.Close = closing
	resp, err := c.With(r.ClientCertificate).roundTrip(request)
	if errors.As(err, &e) {
		return nil, e
	}
	return resp, nil
}
