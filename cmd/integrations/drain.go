package main

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"
)

// drainWithin bounds how long requests under way may take after the signal to
// end; the rest of the 10 s is for the stores.
const drainWithin = 7 * time.Second

// closing makes each answer the last on its connection once the service is
// ending. Connections that nobody uses stay open until then: a request that is on
// its way on one of them is answered.
func closing(h http.Handler, ending *atomic.Bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if ending.Load() {
			w.Header().Set("Connection", "close")
		}
		h.ServeHTTP(w, r)
	})
}

// listenAndDrain answers requests until ctx ends, and for a delay after that;
// then it has those end that would go on for ever, and lets the others under way
// end.
func listenAndDrain(ctx context.Context, l net.Listener, h http.Handler, delay time.Duration, endStreams func(), log *slog.Logger) error {
	var ending atomic.Bool
	srv := &http.Server{
		Handler: closing(h, &ending), ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 30 * time.Second, WriteTimeout: 150 * time.Second,
		IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(l) }()
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	log.Info("ending: letting requests under way end", slog.Duration("after", delay))
	ending.Store(true)
	select {
	case err := <-served:
		return err
	case <-time.After(delay):
	}
	endStreams()
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainWithin)
	defer cancel()
	if err := srv.Shutdown(drain); err != nil {
		log.Warn("requests under way were cut off", slog.Any("err", err))
		return srv.Close()
	}
	return nil
}
