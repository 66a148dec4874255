package natstest

import (
	"context"
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

// borrow returns a connection to an account, which is emptied before and after.
func borrow(t testing.TB, from chan string) *nats.Conn {
	t.Helper()
	url := <-from
	t.Cleanup(func() { from <- url })
	empty(t, url)
	t.Cleanup(func() { empty(t, url) })
	nc, err := nats.Connect(url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	return nc
}

// empty deletes every stream of an account.
func empty(t testing.TB, url string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
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
		if err := js.DeleteStream(ctx, name); err != nil {
			t.Errorf("delete stream %s: %v", name, err)
		}
	}
	if err := names.Err(); err != nil {
		t.Errorf("list streams: %v", err)
	}
}
