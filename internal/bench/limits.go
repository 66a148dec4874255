package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/nats-io/nats-server/v2/server"
)

// The kinds of processes that stand beside the service.
const (
	natsKind = "nats"
	ginKind  = "gin"
)

// LimitCommand is the command of the program that calls Stand.
const LimitCommand = "bench-limit"

// Stand is a process that stands beside the service until ctx ends: a NATS
// server on the folder data, or a Gin server that answers with the file data.
// It logs to w when it is ready.
func Stand(ctx context.Context, kind, data string, w io.Writer) error {
	switch kind {
	case natsKind:
		srv, err := newNATS(data, true)
		if err != nil {
			return err
		}
		defer srv.WaitForShutdown()
		defer srv.Shutdown()
		if err := json.NewEncoder(w).Encode(readyLine{Msg: readyMsg, URL: "nats://" + srv.Addr().String()}); err != nil {
			return err
		}
		<-ctx.Done()
		return nil
	case ginKind:
		return standGin(ctx, data, w)
	}
	return fmt.Errorf("there is no limit %q", kind)
}

// newNATS starts a NATS server with the settings of the embedded one. It syncs
// before it acknowledges, unless a log is only being filled.
func newNATS(data string, syncs bool) (*server.Server, error) {
	srv, err := server.NewServer(&server.Options{
		ServerName: "embedded", Host: "127.0.0.1", Port: server.RANDOM_PORT, DontListen: !syncs, JetStream: true, StoreDir: data, SyncAlways: syncs,
		MaxPayload: 8 << 20, NoSigs: true, NoLog: true,
	})
	if err != nil {
		return nil, err
	}
	srv.Start()
	if !srv.ReadyForConnections(time.Minute) {
		srv.Shutdown()
		return nil, errors.New("the NATS server is not ready within a minute")
	}
	return srv, nil
}

func standGin(ctx context.Context, file string, w io.Writer) error {
	bytes, err := os.ReadFile(file) //nolint:gosec // the parent's own file
	if err != nil {
		return err
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	gin.SetMode(gin.ReleaseMode)
	engine := gin.New()
	engine.GET("/v1/:workspace/integrations/:id", func(c *gin.Context) {
		c.Data(http.StatusOK, "application/json", bytes)
	})
	srv := &http.Server{Handler: engine, ReadHeaderTimeout: 5 * time.Second}
	context.AfterFunc(ctx, func() { _ = srv.Close() })
	if err := json.NewEncoder(w).Encode(readyLine{Msg: readyMsg, URL: "http://" + l.Addr().String()}); err != nil {
		return err
	}
	if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
