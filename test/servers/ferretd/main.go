// Ferretd is FerretDB, which implements the protocol of MongoDB, as a process of its
// own. It prints its URI, and ends with its standard input.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"

	"github.com/FerretDB/FerretDB/ferretdb"
)

func main() {
	listen := flag.String("listen", "", "address to listen on")
	tls := flag.String("tls", "", "address to listen on over TLS")
	cert := flag.String("cert", "", "certificate file for TLS")
	key := flag.String("key", "", "key file for TLS")
	folder := flag.String("folder", "", "folder of the databases")
	flag.Parse()
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError}))
	f, err := ferretdb.New(&ferretdb.Config{
		Listener: ferretdb.ListenerConfig{TCP: *listen, TLS: *tls, TLSCertFile: *cert, TLSKeyFile: *key},
		Handler:  "sqlite", SQLiteURL: "file:" + *folder + "/", Logger: log,
	})
	if err == nil {
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
		defer stop()
		go func() {
			_, _ = io.Copy(io.Discard, os.Stdin)
			stop()
		}()
		go func() { fmt.Println(f.MongoDBURI()) }()
		err = f.Run(ctx)
	}
	if err != nil {
		log.Error("ended", slog.Any("err", err))
		os.Exit(1)
	}
}
