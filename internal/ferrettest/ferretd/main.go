// Ferretd is FerretDB as a process of its own, for tests that kill it, or put
// another database in its place.
package main

import (
	"context"
	"flag"
	"log/slog"
	"os"
	"os/signal"

	"github.com/FerretDB/FerretDB/ferretdb"
)

func main() {
	listen := flag.String("listen", "", "address to listen on")
	folder := flag.String("folder", "", "where the databases are")
	flag.Parse()
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError}))
	f, err := ferretdb.New(&ferretdb.Config{
		Listener: ferretdb.ListenerConfig{TCP: *listen}, Handler: "sqlite", SQLiteURL: "file:" + *folder + "/", Logger: log,
	})
	if err == nil {
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
		defer stop()
		err = f.Run(ctx)
	}
	if err != nil {
		log.Error("ended", slog.Any("err", err))
		os.Exit(1)
	}
}
