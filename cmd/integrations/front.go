package main

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/seed677028b5/integrations/cmd/integrations/metrics"
	"github.com/seed677028b5/integrations/internal/listen"
	"github.com/seed677028b5/integrations/transport"
)

// frontFlags are how callers reach the service.
type frontFlags struct {
	TLSCert        string         `name:"tls-cert" help:"PEM file of the certificate for TLS, which is read again when it changes; default: no TLS." type:"path"`
	TLSKey         string         `name:"tls-key" help:"PEM file of its private key." type:"path"`
	TrustedProxies []netip.Prefix `help:"Networks of reverse proxies and load balancers that report the address of a caller, such as 10.1.0.0/16."`
	ForwardedBy    string         `help:"Header in which they report it: X-Forwarded-For or Forwarded (RFC 7239)." enum:"X-Forwarded-For,Forwarded" default:"X-Forwarded-For"`
	ProxyProtocol  bool           `help:"Trusted proxies begin each connection with a header of the PROXY protocol."`
	DebugListen    string         `help:"Loopback address on which to serve profiles of this process for go tool pprof, such as 127.0.0.1:6060; default: none." type:"address"`
}

func (f frontFlags) check() error {
	switch {
	case (f.TLSCert == "") != (f.TLSKey == ""):
		return errors.New("--tls-cert and --tls-key need each other")
	case f.ProxyProtocol && len(f.TrustedProxies) == 0:
		return errors.New("--proxy-protocol needs --trusted-proxies: nobody else may name the address of a caller")
	}
	return nil
}

func (f frontFlags) proxies() transport.Proxies {
	return transport.Proxies{Networks: f.TrustedProxies, Header: f.ForwardedBy}
}

func (f frontFlags) config(address string, log *slog.Logger) listen.Config {
	return listen.Config{Address: address, CertFile: f.TLSCert, KeyFile: f.TLSKey, Log: log}
}

func (f frontFlags) listen(ctx context.Context, address string, registry *prometheus.Registry, log *slog.Logger) (net.Listener, error) {
	config := f.config(address, log)
	if config.TLS() {
		config.Loaded = metrics.Certificate(registry)
	}
	if f.ProxyProtocol {
		config.Proxy = f.proxies().Trust
	}
	return config.Listen(ctx, func(l net.Listener) net.Listener { return transport.ProblemListener(l, newID) })
}

// url returns the URL of the service at the address that it listens on.
func (f frontFlags) url(listening net.Addr) string {
	if f.TLSCert != "" {
		return "https://" + listening.String()
	}
	return "http://" + listening.String()
}
