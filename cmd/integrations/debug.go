package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"net/netip"
	"time"
)

// debugServer serves the profiles of this process, on loopback alone: they show what it
// does, and cost CPU.
type debugServer struct {
	listener net.Listener
}

// openDebug listens on an address of loopback; "": nil.
func openDebug(ctx context.Context, address string, log *slog.Logger) (*debugServer, error) {
	if address == "" {
		return nil, nil //nolint:nilnil // there is none
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("--debug-listen: %w", err)
	}
	if !isLoopback(host) {
		return nil, fmt.Errorf("--debug-listen: %q must be an address of loopback, such as 127.0.0.1:6060: profiles need no API key", address)
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("--debug-listen: %w", err)
	}
	log.Info("profiles of this process", slog.String("url", "http://"+l.Addr().String()+"/debug/pprof/"))
	return &debugServer{l}, nil
}

func isLoopback(host string) bool {
	address, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && address.IsLoopback()
}

// serve serves profiles until ctx ends.
func (d *debugServer) serve(ctx context.Context) error {
	routes := http.NewServeMux()
	routes.HandleFunc("GET /debug/pprof/", pprof.Index)
	routes.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
	routes.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	routes.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	routes.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	srv := &http.Server{
		Handler: onLoopback(routes), ReadHeaderTimeout: 5 * time.Second, BaseContext: func(net.Listener) context.Context { return ctx },
	}
	defer context.AfterFunc(ctx, func() { _ = srv.Close() })()
	if err := srv.Serve(d.listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// onLoopback refuses a Host that is not of loopback: a page could reach this listener
// under a name of its own (DNS rebinding).
func onLoopback(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host, _, err := net.SplitHostPort(r.Host)
		if err != nil {
			host = r.Host
		}
		if !isLoopback(host) {
			http.Error(w, "this listener doesn't serve that Host", http.StatusMisdirectedRequest)
			return
		}
		h.ServeHTTP(w, r)
	})
}
