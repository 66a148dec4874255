package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"golang.org/x/sync/errgroup"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/eventstore"
)

// inEach is how many integrations a workspace of the filled service has.
const inEach = 1000

// padding makes a configuration about 1 KB of JSON.
const padding = "List the free slots of a day, in every room or in one. A slot is half an hour long, begins on the hour or half past it, and is free " +
	"until somebody has booked it. Slots of the past are not listed, and neither are those that are over a year ahead. The rooms are those of " +
	"the clinic that the key belongs to; a room that is closed on that day has no slots. Ask again after a booking: what was free when it was " +
	"listed may be taken by the time that it is wanted, and the booking is refused then."

const schema = `{"type":"object","properties":{"day":{"type":"string","format":"date"},"room":{"type":"string","description":"where"}},"required":["day"]}`

// made returns the n-th integration of a filled service, whose workspaces have
// so many each.
func made(n, each int, baseURL string) domain.Integration {
	w := domain.Workspace(fmt.Sprintf("workspace-%04d", n/each))
	name := fmt.Sprintf("%s-%07d", [...]string{"clinic", "pharmacy", "scheduling", "billing"}[n%4], n)
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(n*7919%1000003) * time.Second)
	return domain.Integration{
		ID: domain.NewID(w, name), Workspace: w, Name: name, Version: 1, Incarnation: 1, CreatedAt: at, UpdatedAt: at.Add(time.Duration(n*31%1000) * time.Hour),
		Configuration: domain.Configuration{
			DisplayName: "The " + name, Protocol: domain.Protocols()[n%2], BaseURL: baseURL, Enabled: n%5 != 0,
			Endpoints: []domain.Endpoint{{
				Name: "list_slots", Description: padding, Path: "/slots/{day}", Method: "GET", InputSchema: json.RawMessage(schema),
			}},
		},
	}
}

// filling is what a log is filled with.
type filling struct {
	integrations int
	each         int // integrations of a workspace
	versions     int // events of an integration; default 1
}

// fill writes a log into a data folder that no service runs on. It doesn't sync, which would
// only take longer.
func (l *lab) fill(ctx context.Context, data string, with filling) error {
	srv, err := newNATS(filepath.Join(data, "nats"), false)
	if err != nil {
		return err
	}
	defer srv.WaitForShutdown()
	defer srv.Shutdown()
	nc, err := nats.Connect("", nats.InProcessServer(srv))
	if err != nil {
		return err
	}
	defer nc.Close()
	events, err := eventstore.Open(ctx, nc, eventstore.Config{Replicas: 1, AllowLazySync: true})
	if err != nil {
		return err
	}
	var next atomic.Int64
	parts, running := errgroup.WithContext(ctx)
	for range 256 {
		parts.Go(func() error {
			for {
				n := int(next.Add(1)) - 1
				if n >= with.integrations {
					return nil
				}
				if err := fillOne(running, events, made(n, with.each, l.upstream.url), max(1, with.versions)); err != nil {
					return err
				}
			}
		})
	}
	return parts.Wait()
}

// fillOne creates an integration, and updates it until it has so many versions.
func fillOne(ctx context.Context, events *eventstore.Store, i domain.Integration, versions int) error {
	position := uint64(0)
	for version := 1; version <= versions; version++ {
		i.Version = uint64(version)
		var e domain.Event = domain.IntegrationCreated{Integration: i}
		if version > 1 {
			e = domain.IntegrationUpdated{Integration: i}
		}
		m := domain.Metadata{CommandID: fmt.Sprintf("fill-%s-%d", i.Name, version), Actor: "bench", At: i.UpdatedAt}
		var err error
		if position, err = events.Append(ctx, i.Workspace, i.ID, position, e, m); err != nil {
			return err
		}
	}
	return nil
}
