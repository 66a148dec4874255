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
func startService(ctx context.Context, dir string) (url string, ended <-chan error, err error) {
	var command serveCommand
	parser, err := kong.New(&command, flagvalues.Mappers(), kong.DefaultEnvars("INTEGRATIONS_DEMO"))
	if err != nil {
		return "", nil, err
	}
	if _, err := parser.Parse([]string{"--listen=127.0.0.1:0", "--data=" + dir, "--egress-allow-loopback"}); err != nil {
		return "", nil, err
	}
	ready, done := make(chan string, 1), make(chan error, 1)
	go func() {
		done <- serve(ctx, command, slog.New(slog.DiscardHandler), func(url string) { ready <- url })
	}()
	select {
	case url := <-ready:
		return url, done, nil
	case err := <-done:
		return "", nil, fmt.Errorf("start the service: %w", err)
	case <-time.After(time.Minute):
		return "", nil, errors.New("start the service: not ready within a minute")
	}
}
