// Command integrations runs the integrations service, and the tools beside it.
package main

import (
	"context"
	"io"
	"log"
	"os"
	"os/signal"
	"syscall"

	"github.com/seed677028b5/integrations/connectors/sandbox"
)

func main() {
	sandbox.Become()          // where this process is one of a sandbox's, it goes no further
	log.SetOutput(io.Discard) // net/http tells it what an upstream says behind its answer, which may be a secret
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(execute(ctx, os.Args[1:], os.Stdout, os.Stderr))
}
