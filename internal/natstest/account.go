package natstest

import (
	"context"
	"errors"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// accounts holds the URLs of NATS_URLS that no test uses just now, each an account
// with JetStream; nil when there are none. One process at a time may use them.
var accounts = sync.OnceValue(func() chan string {
	text := os.Getenv("NATS_URLS")
	if text == "" {
		return nil
	}
	urls := strings.Split(text, ",")
	all := make(chan string, len(urls))
	for _, url := range urls {
		all <- url
	}
	return all
})

// borrow returns a connection to an account, which is emptied after the test. One
// that holds streams before it is somebody's, and is left alone.
func borrow(t testing.TB, from chan string) *nats.Conn {
	t.Helper()
	url := <-from
	t.Cleanup(func() { from <- url })
	eachStream(t, url, func(_ context.Context, _ jetstream.JetStream, _ string) error {
		return errors.New("an account of NATS_URLS is not empty, and tests delete all that is in one")
	})
	t.Cleanup(func() {
		eachStream(t, url, func(ctx context.Context, js jetstream.JetStream, name string) error {
			return js.DeleteStream(ctx, name)
		})
	})
	nc, err := nats.Connect(url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	return nc
}

// eachStream does something to every stream of an account.
func eachStream(t testing.TB, url string, do func(ctx context.Context, js jetstream.JetStream, name string) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute) // another test may keep the server busy
	defer cancel()
	nc, err := nats.Connect(url)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	names := js.StreamNames(ctx)
	for name := range names.Name() {
		if err := do(ctx, js, name); err != nil {
			t.Fatalf("stream %s: %v", name, err)
		}
	}
	if err := names.Err(); err != nil {
		t.Fatalf("list streams: %v", err)
	}
}
