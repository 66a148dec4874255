package main

import (
	"fmt"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/internal/ferrettest"
	"github.com/seed677028b5/integrations/transparency"
)

// deployed is a service with the NATS server of the compose file, whose log was archived.
type deployed struct {
	*process

	server            *server.Server
	data, place, held string
	flags             []string // of the service, and of its tools
	operator          []string // of tools whose user at NATS is the operator
}

func deployedService(t *testing.T, events int, more ...string) *deployed {
	t.Helper()
	srv := start(t, configured(t, "nats.conf"))
	require.True(t, srv.ReadyForConnections(10*time.Second))
	dir := t.TempDir()
	d := &deployed{server: srv, data: t.TempDir(), place: filepath.Join(dir, "archive"), held: filepath.Join(dir, "held.txt")}
	d.flags = append(flags(srv), more...)
	d.operator = append([]string{"--nats-url=nats://operator:0perator@" + srv.Addr().String()}, more...)
	d.start(t)
	d.must(http.StatusCreated, http.MethodPost, all, plainCRM)
	for n := 2; n <= events; n++ {
		d.must(http.StatusOK, http.MethodPut, all+"/crm", fmt.Sprintf(`{"display_name": "CRM %d"}`, n))
	}
	holds(t, d.held, transparency.Integrations, uint64(events))
	d.runs(t, 0, d.flags, "archive", "--to", d.place, "--before", time.Now().UTC().Format(time.RFC3339Nano))
	return d
}

func (d *deployed) start(t *testing.T) {
	t.Helper()
	d.process = startProcess(t, d.data, append([]string{"--checkpoints-to", d.held, "--checkpoints-every=1s", "--probe-interval=0s"}, d.flags...)...)
}

// runs runs a command beside the service, which ends with an exit status, and returns what it wrote.
func (d *deployed) runs(t *testing.T, want int, as []string, args ...string) string {
	t.Helper()
	began := time.Now()
	exit, out := tool(t, append(append(args, "--data", d.data), as...)...)
	t.Logf("%s: exit %d in %s: %s", args, exit, time.Since(began), out)
	require.Equal(t, want, exit, out)
	return out
}

func (d *deployed) prune(t *testing.T, want int, as []string, args ...string) string {
	t.Helper()
	return d.runs(t, want, as, append([]string{"prune", "--archive", d.place, "--min-age=0s"}, args...)...)
}

// interrupted leaves the limits in the log that a killed prune leaves there.
func (d *deployed) interrupted(t *testing.T) {
	t.Helper()
	nc, err := nats.Connect(d.server.Addr().String(), nats.UserInfo("operator", "0perator"))
	require.NoError(t, err)
	defer nc.Close()
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	log, err := js.Stream(t.Context(), "INTEGRATIONS")
	require.NoError(t, err)
	info := mustInfo(t, log)
	c := info.Config
	c.Metadata["integrations.prune"] = "running"
	c.MaxMsgs, c.Discard = int64(info.State.Msgs), jetstream.DiscardNew
	_, err = js.UpdateStream(t.Context(), c)
	require.NoError(t, err)
}

// The service may not change the limits of the log; the operator may.
func TestTheOperatorOfTheComposeFileRemovesArchivedEvents(t *testing.T) {
	slow(t)
	for name, more := range map[string][]string{"SQLite": nil, "MongoDB": {"--mongodb-uri", ""}} {
		t.Run(name, func(t *testing.T) {
			if more != nil {
				more = []string{more[0], ferrettest.Listen(t)}
			}
			d := deployedService(t, 12, more...)
			out := d.prune(t, 1, d.flags, "--keep=3", "--apply")
			require.Contains(t, out, "--nats-url nats://operator")
			d.must(http.StatusOK, http.MethodPut, all+"/crm", `{"display_name": "not refused"}`)

			require.Contains(t, d.prune(t, 0, d.flags, "--keep=3"), "10 of 13 events", "anybody may look")
			require.Contains(t, d.prune(t, 0, d.operator, "--keep=3", "--apply"), "removed 10 of 13 events")
			d.must(http.StatusOK, http.MethodPut, all+"/crm", `{"display_name": "after"}`)
			require.Contains(t, d.runs(t, 0, d.flags, "verify", "--archive", d.place, "--checkpoint", d.held), "10 of those were removed")
			require.Contains(t, d.must(http.StatusOK, http.MethodGet, all+"/crm", ""), "after")
			d.runs(t, 0, d.flags, "rebuild")
			d.must(http.StatusOK, http.MethodGet, "/readyz", "")

			d.interrupted(t)
			for range 2 {
				answer := d.must(http.StatusServiceUnavailable, http.MethodPut, all+"/crm", `{"display_name": "refused"}`)
				require.Contains(t, answer, "log_limited")
				require.Contains(t, d.must(http.StatusOK, http.MethodGet, all+"/crm", ""), "after")
				require.Contains(t, d.runs(t, 0, d.flags, "status"), "if no integrations prune runs, run it again")
				require.Zero(t, d.stop())
				d.start(t)
			}
			d.prune(t, 0, d.operator, "--keep=3", "--apply")
			d.must(http.StatusOK, http.MethodPut, all+"/crm", `{"display_name": "accepted again"}`)
			d.runs(t, 0, d.flags, "verify", "--archive", d.place, "--checkpoint", d.held)
		})
	}
}
