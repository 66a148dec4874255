package connectors

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"runtime/debug"
	"time"

	"github.com/seed677028b5/integrations/connectors/jsonschema"
	"github.com/seed677028b5/integrations/domain"
)

// outbound is the one way out, shared by the connectors of a Registry.
type outbound struct {
	door      door
	upstreams *upstreams
	schemas   *jsonschema.Cache
	tokens    *tokens
	signers   map[domain.AuthType]signer
	agent     string // User-Agent
	now       func() time.Time
	firstWait time.Duration // before the first retry
}

// door is an http.RoundTripper that judges before it dials. It follows no
// redirect, keeps no cookie and adds no credential.
type door struct {
	guard     *guard
	transport *http.Transport
}

// RoundTrip returns errDenied for a URL that the policy denies by its name.
func (d door) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := d.guard.judgeURL(r.URL); err != nil {
		if r.Body != nil {
			_ = r.Body.Close()
		}
		return nil, err
	}
	return d.transport.RoundTrip(r)
}

// maxHeaderBytes is how long the headers of an answer may be.
const maxHeaderBytes = 64 << 10

// newTransport returns the one transport of a policy: kept-alive connections
// are not judged again, so two policies must not share one.
func newTransport(c Config, g *guard) (*http.Transport, error) {
	t := &http.Transport{
		Proxy:                  nil, // not even from the environment
		DialContext:            g.dial,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:    10 * time.Second,
		ExpectContinueTimeout:  time.Second,
		IdleConnTimeout:        60 * time.Second,
		MaxIdleConns:           256,
		MaxIdleConnsPerHost:    64,
		MaxConnsPerHost:        128,
		MaxResponseHeaderBytes: maxHeaderBytes,
		DisableCompression:     true, // readBody unpacks, and caps what comes out
		ForceAttemptHTTP2:      true,
	}
	if c.ProxyURL != "" {
		proxy, err := url.Parse(c.ProxyURL)
		if err != nil {
			return nil, errors.New("the egress proxy is not a URL")
		}
		t.Proxy = http.ProxyURL(proxy)
	}
	if c.CAFile != "" {
		roots, err := rootsWith(c.CAFile)
		if err != nil {
			return nil, err
		}
		t.TLSClientConfig.RootCAs = roots
	}
	return t, nil
}

// rootsWith returns the system's roots and those in a PEM file.
func rootsWith(path string) (*x509.CertPool, error) {
	data, err := os.ReadFile(path) //nolint:gosec // the operator names the file
	if err != nil {
		return nil, fmt.Errorf("read the CA file: %w", err)
	}
	roots, err := x509.SystemCertPool()
	if err != nil {
		roots = x509.NewCertPool()
	}
	if !roots.AppendCertsFromPEM(data) {
		return nil, errors.New("the CA file has no PEM certificate in it")
	}
	return roots, nil
}

// userAgent says to upstreams who calls: this service and its revision.
func userAgent() string {
	revision := "dev"
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" && len(s.Value) >= 7 {
				revision = s.Value[:7]
			}
		}
	}
	return "integrations/" + revision
}
