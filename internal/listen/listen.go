// Package listen opens the listener of the service: TCP, below it the PROXY protocol of
// load balancers, and TLS with a certificate that may change while the service runs.
//
// Its promise: an address that a load balancer reports is believed from trusted networks
// only, and a certificate that can't be read never replaces one that could.
package listen

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"time"

	"github.com/pires/go-proxyproto"

	"github.com/seed677028b5/integrations/internal/systemd"
)

// maxProxyHeader bounds how long a load balancer may take to name the caller.
const maxProxyHeader = 5 * time.Second

// Config is how the service listens.
type Config struct {
	Address  string                // host:port
	CertFile string                // PEM with the certificate and those that lead to a root; "": no TLS
	KeyFile  string                // PEM with the private key
	Proxy    func(netip.Addr) bool // who must send a header of the PROXY protocol, version 1 or 2, and nobody else may; nil: nobody does
	Loaded   func(until time.Time) // a certificate that is valid until then is used from now on; nil: nobody needs to know
	Log      *slog.Logger
}

// Check returns the error of a certificate that Listen would refuse.
func (c Config) Check() error {
	if !c.TLS() {
		return nil
	}
	_, err := newCertificate(c.CertFile, c.KeyFile, nil, c.Log)
	return err
}

// TLS reports whether callers need https.
func (c Config) TLS() bool { return c.CertFile != "" }

// Listen opens the listener. Without TLS, wrap is between it and net/http, which needs to
// see a TLS connection itself.
func (c Config) Listen(ctx context.Context, wrap func(net.Listener) net.Listener) (net.Listener, error) {
	var certificate *certificate
	if c.TLS() {
		var err error
		if certificate, err = newCertificate(c.CertFile, c.KeyFile, c.Loaded, c.Log); err != nil {
			return nil, err
		}
	}
	l, err := c.socket(ctx)
	if err != nil {
		return nil, err
	}
	if c.Proxy != nil {
		l = &proxyproto.Listener{Listener: l, ReadHeaderTimeout: maxProxyHeader, ConnPolicy: c.policy}
	}
	if certificate != nil {
		return tls.NewListener(l, &tls.Config{
			MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"}, GetCertificate: certificate.get,
		}), nil
	}
	return wrap(l), nil
}

// socket returns the socket that systemd opened for this process, else it opens one. The
// addresses must agree: what the service lets callers do depends on its own.
func (c Config) socket(ctx context.Context) (net.Listener, error) {
	l, err := systemd.Listener()
	if err != nil {
		return nil, err
	}
	if l == nil {
		return new(net.ListenConfig).Listen(ctx, "tcp", c.Address)
	}
	if want, err := net.ResolveTCPAddr("tcp", c.Address); err != nil || !sameAddress(l.Addr(), want) {
		return nil, errors.Join(fmt.Errorf("--listen is %s, and the socket of systemd listens on %s: ListenStream must be the same address", c.Address, l.Addr()), l.Close())
	}
	return l, nil
}

// sameAddress reports whether a socket has an address. Without a host, it has every one.
func sameAddress(socket net.Addr, want *net.TCPAddr) bool {
	got, ok := socket.(*net.TCPAddr)
	everywhere := want.IP == nil || want.IP.IsUnspecified()
	return ok && got.Port == want.Port && (got.IP.Equal(want.IP) || everywhere && got.IP.IsUnspecified())
}

// policy wants a header from load balancers, and refuses one from others.
func (c Config) policy(conn proxyproto.ConnPolicyOptions) (proxyproto.Policy, error) {
	if from, err := netip.ParseAddrPort(conn.Upstream.String()); err == nil && c.Proxy(from.Addr()) {
		return proxyproto.REQUIRE, nil
	}
	return proxyproto.REJECT, nil
}
