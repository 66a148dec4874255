package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/alecthomas/kong"

	"github.com/seed677028b5/integrations/cmd/integrations/demo"
	"github.com/seed677028b5/integrations/internal/flagvalues"
)

// demoCommand shows a newcomer what the service does.
type demoCommand struct {
	All  bool `help:"Show every step instead of eight."`
	Exit bool `help:"Exit after the last step instead of keeping the service running."`
}

func (c demoCommand) Run(s console) error {
	return demo.Run(s.ctx, s.out, startService, demo.Options{All: c.All, Exit: c.Exit})
}

// startService starts a service on dir and on a free port.
func startService(ctx context.Context, dir string) (demo.Service, error) {
	return startServiceWith(ctx, dir, "--listen=127.0.0.1:0")
}

// startServiceWith starts a service on dir, with further flags.
func startServiceWith(ctx context.Context, dir string, flags ...string) (demo.Service, error) {
	var command serveCommand
	parser, err := kong.New(&command, flagvalues.Mappers(), kong.DefaultEnvars("INTEGRATIONS_DEMO"))
	if err != nil {
		return demo.Service{}, err
	}
	if _, err := parser.Parse(append([]string{"--data=" + dir, "--egress-allow-loopback"}, flags...)); err != nil {
		return demo.Service{}, err
	}
	ready, done := make(chan started, 1), make(chan error, 1)
	go func() {
		done <- serve(ctx, command, slog.New(slog.DiscardHandler), func(at started) { ready <- at })
	}()
	select {
	case at := <-ready:
		return demo.Service{URL: at.url, Ended: done, SignIn: func(key string) string { return at.url + at.console.Link(key) }}, nil
	case err := <-done:
		return demo.Service{}, fmt.Errorf("start the service: %w", err)
	case <-time.After(time.Minute):
		return demo.Service{}, errors.New("start the service: not ready within a minute")
	}
}
