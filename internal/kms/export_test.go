package kms

import (
	"context"
	"net"
	"net/http"
	"time"
)

// OpenAt is Open for a key in AWS whose host is reached at an address, without TLS.
func OpenAt(address, uri string, getenv func(string) string, now func() time.Time) (Key, error) {
	k, err := Open(uri, getenv, now)
	if is, ok := k.(*awsKey); ok {
		is.client.Transport = plain{&http.Transport{DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, address)
		}}}
	}
	return k, err
}

// plain sends without TLS what is for https.
type plain struct{ http.RoundTripper }

func (p plain) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.URL.Scheme = "http"
	return p.RoundTripper.RoundTrip(r)
}
