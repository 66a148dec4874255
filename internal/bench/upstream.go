package bench

import (
	"context"
	"io"
	"net"
	"net/http"
	"time"
)

// upstream is an external API as it would be in the best of worlds: near, and
// always up.
type upstream struct {
	url    string
	server *http.Server
}

// slow is the path that answers after a millisecond.
const slow = "/slow"

func startUpstream(ctx context.Context) (*upstream, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	u := &upstream{url: "http://" + l.Addr().String()}
	u.server = &http.Server{ReadHeaderTimeout: 5 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == slow {
			time.Sleep(time.Millisecond)
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"slots": [{"id": "north-9", "start": "2026-12-01T09:00:00Z"}]}`)
	})}
	go func() { _ = u.server.Serve(l) }()
	return u, nil
}
