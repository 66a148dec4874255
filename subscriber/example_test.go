package subscriber_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/nats-io/nats.go"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/embeddednats"
	"github.com/seed677028b5/integrations/eventstore"
	"github.com/seed677028b5/integrations/subscriber"
)

// connect stands for nats.Connect: it connects to a log in which the integration crm
// was created, renamed and deleted, and ehr was created and probed.
func connect() (nc *nats.Conn, closeAll func()) {
	dir, err := os.MkdirTemp("", "example-")
	check(err)
	server, err := embeddednats.Start(dir, slog.New(slog.DiscardHandler))
	check(err)
	nc, err = server.Connect()
	check(err)
	ctx, at := context.Background(), time.Date(2026, 5, 6, 12, 0, 0, 0, time.UTC)
	events, err := eventstore.Open(ctx, nc, eventstore.Config{Durable: server.Durable})
	check(err)
	append := func(after uint64, name string, e domain.Event) uint64 {
		position, err := events.Append(ctx, "acme", domain.NewID("acme", name), after, e, domain.Metadata{CommandID: fmt.Sprint(name, "-", after), At: at, Actor: "key-ann"})
		check(err)
		return position
	}
	state := func(name string, version uint64) domain.Integration {
		return domain.Integration{ID: domain.NewID("acme", name), Workspace: "acme", Name: name, Version: version, Incarnation: 1, CreatedAt: at, UpdatedAt: at}
	}
	created := append(0, "crm", domain.IntegrationCreated{Integration: state("crm", 1)})
	updated := append(created, "crm", domain.IntegrationUpdated{Integration: state("crm", 2), Changed: []string{"/display_name"}})
	append(updated, "crm", domain.IntegrationDeleted{ID: domain.NewID("acme", "crm"), Workspace: "acme", Name: "crm", Version: 3, At: at})
	append(0, "ehr", domain.IntegrationCreated{Integration: state("ehr", 1)})
	_, err = events.RecordProbe(ctx, 0, domain.IntegrationProbed{
		ID: domain.NewID("acme", "ehr"), Workspace: "acme", Incarnation: 1, Probe: domain.Probe{Status: domain.Healthy, At: at},
	}, domain.Metadata{CommandID: "probe-1", At: at})
	check(err)
	return nc, func() {
		nc.Close()
		server.Stop()
		check(os.RemoveAll(dir))
	}
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}

// A program that prints the changes of a workspace. After a restart it continues where
// it stopped, because it has a name.
func Example() {
	nc, closeAll := connect()
	defer closeAll()
	ctx, stop := context.WithCancel(context.Background())
	events, err := subscriber.Open(ctx, nc, subscriber.Config{Name: "printer", Concurrency: 1})
	if err != nil {
		panic(err)
	}
	err = events.Run(ctx, subscriber.Changes("acme"), func(_ context.Context, e subscriber.Event) error {
		switch e.Type {
		case subscriber.Created:
			fmt.Println("created", e.Name())
		case subscriber.Updated:
			fmt.Println("updated", e.Name(), e.Changed())
		case subscriber.Deleted:
			fmt.Println("deleted", e.Name())
		case subscriber.Probed: // a topic of its own
		}
		if e.Position == 4 { // a real program runs until it is stopped
			stop()
		}
		return nil
	})
	fmt.Println(err)
	// Output:
	// created crm
	// updated crm [/display_name]
	// deleted crm
	// created ehr
	// <nil>
}

func ExampleChanges() {
	fmt.Println(subscriber.Changes("acme"))
	fmt.Println(subscriber.Changes(""))
	fmt.Println(subscriber.Changes("acme").Of("0195f5d2-7b1c-5c1e-9d0a-3f8f2b7f6a10"))
	// Output:
	// integrations.acme.*
	// integrations.*.*
	// integrations.acme.0195f5d2-7b1c-5c1e-9d0a-3f8f2b7f6a10
}

// The typed event is a domain.IntegrationProbed.
func ExampleProbes() {
	nc, closeAll := connect()
	defer closeAll()
	ctx, stop := context.WithCancel(context.Background())
	events, err := subscriber.Open(ctx, nc, subscriber.Config{})
	if err != nil {
		panic(err)
	}
	_ = events.Run(ctx, subscriber.Probes("acme"), func(_ context.Context, e subscriber.Event) error {
		if probed, ok := e.Event.(domain.IntegrationProbed); ok {
			fmt.Println(e.Type, probed.Probe.Status)
		}
		stop()
		return nil
	})
	// Output: integration.probed healthy
}

// A program that stores the position itself, in the same transaction as its data.
func ExampleConfig() {
	nc, closeAll := connect()
	defer closeAll()
	stored := struct {
		position uint64
		log      string
	}{position: 2}
	ctx, stop := context.WithCancel(context.Background())
	events, err := subscriber.Open(ctx, nc, subscriber.Config{After: stored.position, LogID: stored.log, Concurrency: 1})
	if err != nil {
		panic(err)
	}
	_ = events.Run(ctx, subscriber.Changes("acme"), func(_ context.Context, e subscriber.Event) error {
		stored.position, stored.log = e.Position, events.LogID()
		fmt.Println(e.Position, e.Type, e.Name())
		if e.Position == 4 {
			stop()
		}
		return nil
	})
	// Output:
	// 3 integration.deleted crm
	// 4 integration.created ehr
}

// An event whose handler fails is handled again.
func ExampleSubscriber_Run() {
	nc, closeAll := connect()
	defer closeAll()
	ctx, stop := context.WithCancel(context.Background())
	events, err := subscriber.Open(ctx, nc, subscriber.Config{
		After: 3, Pause: subscriber.Pause{First: time.Millisecond}, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		panic(err)
	}
	attempts := 0
	_ = events.Run(ctx, subscriber.Changes("acme"), func(_ context.Context, e subscriber.Event) error {
		if attempts++; attempts < 3 {
			return fmt.Errorf("attempt %d failed", attempts)
		}
		fmt.Println(e.Name(), "after", attempts, "attempts")
		stop()
		return nil
	})
	// Output: ehr after 3 attempts
}

// A Watermill Router with a subscriber.
func ExampleSubscriber_Subscribe() {
	nc, closeAll := connect()
	defer closeAll()
	ctx, stop := context.WithCancel(context.Background())
	events, err := subscriber.Open(ctx, nc, subscriber.Config{Name: "router", Concurrency: 1})
	if err != nil {
		panic(err)
	}
	router, err := message.NewRouter(message.RouterConfig{}, watermill.NopLogger{})
	if err != nil {
		panic(err)
	}
	router.AddConsumerHandler("printer", string(subscriber.Changes("acme")), events, func(msg *message.Message) error {
		e, err := subscriber.EventOf(msg)
		if err != nil {
			return err
		}
		fmt.Println(msg.Metadata[subscriber.MetaType], e.Name())
		if e.Position == 4 {
			stop()
		}
		return nil
	})
	if err := router.Run(ctx); err != nil {
		panic(err)
	}
	// Output:
	// integration.created crm
	// integration.updated crm
	// integration.deleted crm
	// integration.created ehr
}

// The JSON of an event follows the schemas in asyncapi.yaml.
func ExampleEvent_JSON() {
	e := subscriber.Event{Type: subscriber.Deleted, Event: domain.IntegrationDeleted{ID: "0195f5d2", Workspace: "acme", Name: "crm", Version: 3}}
	data, version, err := e.JSON()
	if err != nil {
		panic(err)
	}
	var fields struct{ Name string }
	if err := json.Unmarshal(data, &fields); err != nil {
		panic(err)
	}
	fmt.Println(e.Type, "version", version, "of", fields.Name)
	// Output: integration.deleted version 1 of crm
}
