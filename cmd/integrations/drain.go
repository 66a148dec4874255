package main

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"
)

// maxDrain bounds how long requests in flight may take after SIGTERM. The rest of the
// usual 10 s is for the stores.
const maxDrain = 7 * time.Second

// closeConnections closes each connection after its next response once the service is
// ending. Idle connections stay open until then, so that a request that is already
// sent is answered.
func closeConnections(h http.Handler, ending *atomic.Bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if ending.Load() {
			w.Header().Set("Connection", "close")
		}
		h.ServeHTTP(w, r)
	})
}

// listenAndDrain serves requests until ctx ends, and for a delay after that. Then it
// ends the streams, which have no end of their own, and waits for the other requests in
// flight.
func listenAndDrain(ctx context.Context, l net.Listener, h http.Handler, delay time.Duration, endStreams func(), log *slog.Logger) error {
	var ending atomic.Bool
	srv := &http.Server{
		Handler: closeConnections(h, &ending), ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 30 * time.Second, WriteTimeout: 150 * time.Second,
		IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(l) }()
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	log.Info("shutting down: waiting for requests in flight", slog.Duration("delay", delay))
	ending.Store(true)
	select {
	case err := <-served:
		return err
	case <-time.After(delay):
	}
	endStreams()
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), maxDrain)
	defer cancel()
	if err := srv.Shutdown(drain); err != nil {
		log.Warn("requests in flight were cut off", slog.Any("err", err))
		return srv.Close()
	}
	return nil
}
