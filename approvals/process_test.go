package approvals_test

import (
	"context"
	"crypto/rand"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/approvals"
	"github.com/seed677028b5/integrations/commands"
	"github.com/seed677028b5/integrations/connectors"
	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/eventstore"
	"github.com/seed677028b5/integrations/internal/natstest"
	"github.com/seed677028b5/integrations/projections"
	"github.com/seed677028b5/integrations/projections/sqlite"
	"github.com/seed677028b5/integrations/vault"
)

// A process is one of several that share the streams.
type process struct {
	*commands.Service

	nats  *nats.Conn
	vault *vault.Vault
	run   func(ctx context.Context) // makes approved calls until ctx ends
}

// A clinic is what several processes share, and the upstream that they call.
type clinic struct {
	*testing.T

	nats  string
	keys  vault.RootKeys
	ahead atomic.Int64 // of the clock

	url  string
	mu   sync.Mutex
	sent []string      // the bodies of the calls
	hold chan struct{} // calls are answered once it is closed; nil: at once
}

func open(t *testing.T) *clinic {
	c := &clinic{T: t, nats: natstest.Listen(t), keys: vault.RootKeys{File: filepath.Join(t.TempDir(), "root.keyset")}}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		c.mu.Lock()
		c.sent = append(c.sent, string(body))
		hold := c.hold
		c.mu.Unlock()
		if hold != nil {
			<-hold
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"booked": 12345678901234567890}`))
	}))
	t.Cleanup(srv.Close)
	c.url = srv.URL
	return c
}

func (c *clinic) now() time.Time {
	return time.Now().UTC().Add(time.Duration(c.ahead.Load())).Truncate(time.Microsecond)
}

// calls returns the bodies of the calls that the upstream got.
func (c *clinic) calls() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]string(nil), c.sent...)
}

// process opens another process.
func (c *clinic) process() process {
	t := c.T
	t.Helper()
	nc, err := nats.Connect(c.nats)
	require.NoError(t, err)
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	log := slog.New(slog.DiscardHandler)
	events, err := eventstore.Open(ctx, nc, eventstore.Config{AllowLazySync: true})
	require.NoError(t, err)
	secrets, err := vault.Open(ctx, nc, c.keys, 1)
	require.NoError(t, err)
	store, err := sqlite.Open(ctx, filepath.Join(t.TempDir(), "read.db"), log)
	require.NoError(t, err)
	projector := &projections.Projector{Events: events, Store: store, Log: log}
	outside, err := connectors.New(connectors.Config{AllowLoopback: true})
	require.NoError(t, err)
	calls, err := approvals.Open(ctx, nc, approvals.Config{
		Events: events, Vault: secrets, Shown: projector.WaitForApproval, Replicas: 1, Now: c.now, NewID: rand.Text, Log: log,
	})
	require.NoError(t, err)
	s := &commands.Service{Approvals: calls, Events: events, Vault: secrets, Connectors: outside, Rules: outside.Rules(), Now: c.now, NewID: rand.Text, Log: log}
	var working sync.WaitGroup
	working.Go(func() { _ = projector.Run(ctx) })
	t.Cleanup(func() {
		stop()
		working.Wait()
		require.NoError(t, store.Close())
		nc.Close()
	})
	return process{Service: s, nats: nc, vault: secrets, run: func(ctx context.Context) { _ = calls.Run(ctx, s) }}
}

// start has a process make calls until the test ends.
func (c *clinic) start(p process) {
	ctx, stop := context.WithCancel(context.WithoutCancel(c.Context()))
	var working sync.WaitGroup
	working.Go(func() { p.run(ctx) })
	c.Cleanup(func() { stop(); working.Wait() })
}

var (
	agent = commands.Caller{Workspace: "acme", Actor: "agent"}
	boss  = commands.Caller{Workspace: "acme", Actor: "boss"}
)

// create makes the integration whose endpoint needs an approval.
func (c *clinic) create(p process) domain.ID {
	c.Helper()
	out, err := p.CreateIntegration(c.Context(), agent, domain.Document{
		"name": "clinic", "display_name": "Clinic", "base_url": c.url, "endpoints": []any{map[string]any{
			"name": "book", "description": "Book.", "path": "/book", "approval": "writes",
			"input_schema": map[string]any{"type": "object", "properties": map[string]any{"patient": map[string]any{"type": "string"}}},
		}},
	}, commands.Condition{})
	require.NoError(c, err)
	return out.Integration.ID
}

// ask asks for a call, and returns its approval.
func (c *clinic) ask(p process, id domain.ID, patient string) domain.Approval {
	c.Helper()
	result, err := p.InvokeEndpoint(c.Context(), agent, id, "book", map[string]any{"patient": patient})
	require.NoError(c, err)
	require.NotNil(c, result.Approval)
	require.Equal(c, domain.CallApprovalRequired, result.ErrorCode)
	return *result.Approval
}

// approve approves a call.
func (c *clinic) approve(p process, a domain.Approval) {
	c.Helper()
	_, _, err := p.Decide(c.Context(), boss, a.ID, domain.Verdict{Approve: true})
	require.NoError(c, err)
}

// await returns an approval once it is in a state.
func (c *clinic) await(p process, id string, state domain.ApprovalState) domain.Approval {
	c.Helper()
	var a domain.Approval
	require.Eventually(c, func() bool {
		var err error
		a, err = p.Approval(c.Context(), "acme", id)
		return err == nil && a.State == state
	}, time.Minute, 5*time.Millisecond, state)
	return a
}
