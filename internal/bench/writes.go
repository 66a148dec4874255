package bench

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/eventstore"
)

const (
	writtenTo = "bench" // the workspace
	writes    = "/v1/" + writtenTo + "/integrations"
)

// creates measures creates on some connections beside guarded publishes.
func creates(connections int) func(context.Context, *lab) (pair, error) {
	return func(ctx context.Context, l *lab) (pair, error) {
		s, raw, err := l.writers(ctx, connections)
		if err != nil {
			return pair{}, err
		}
		create := func(ctx context.Context, _, _ int) error {
			name := l.name()
			return l.do(ctx, s, http.StatusCreated, http.MethodPost, writes, body(name, name, l.upstream.url))
		}
		publish := func(ctx context.Context, worker, _ int) error {
			_, err := raw.publish(ctx, worker, domain.NewID(writtenTo, l.name()), 0)
			return err
		}
		return pair{figure: l.busy(connections, create), limit: l.busy(connections, publish), end: raw.close}, nil
	}
}

// appends measures the event store alone beside guarded publishes, without
// HTTP: what waits together goes out together.
func appends(writers int) func(context.Context, *lab) (pair, error) {
	return func(ctx context.Context, l *lab) (pair, error) {
		_, raw, err := l.writers(ctx, writers)
		if err != nil {
			return pair{}, err
		}
		p := pair{end: raw.close}
		events, err := eventstore.Open(ctx, raw.conns[0], eventstore.Config{AllowLazySync: true}) // it syncs; nothing here can verify that
		if err != nil {
			return p, err
		}
		p.figure = l.busy(writers, func(ctx context.Context, _, _ int) error {
			name := l.name()
			i := made(0, inEach, l.upstream.url)
			i.Workspace, i.Name, i.ID = writtenTo, name, domain.NewID(writtenTo, name)
			_, err := events.Append(ctx, i.Workspace, i.ID, 0, domain.IntegrationCreated{Integration: i}, domain.Metadata{CommandID: name, Actor: "bench", At: i.CreatedAt})
			return err
		})
		p.limit = l.busy(writers, func(ctx context.Context, worker, _ int) error {
			_, err := raw.publish(ctx, worker, domain.NewID(writtenTo, l.name()), 0)
			return err
		})
		return p, nil
	}
}

// updates measures updates, each connection of an integration of its own.
func updates(connections int) func(context.Context, *lab) (pair, error) {
	return func(ctx context.Context, l *lab) (pair, error) {
		s, raw, err := l.writers(ctx, connections)
		if err != nil {
			return pair{}, err
		}
		update, err := l.updating(ctx, s, connections)
		return pair{figure: l.busy(connections, update), limit: l.busy(connections, raw.again(l, connections)), end: raw.close}, err
	}
}

// updating returns an operation that updates an integration of each worker.
func (l *lab) updating(ctx context.Context, s *service, workers int) (operation, error) {
	names := make([]string, workers)
	for n := range names {
		names[n] = l.name()
		if err := l.do(ctx, s, http.StatusCreated, http.MethodPost, writes, body(names[n], names[n], l.upstream.url)); err != nil {
			return nil, err
		}
	}
	return func(ctx context.Context, worker, _ int) error {
		return l.do(ctx, s, http.StatusOK, http.MethodPut, writes+"/"+names[worker], body("", l.name(), l.upstream.url))
	}, nil
}

// publisher publishes what the service stores, as fast as NATS takes it: each
// worker on a connection of its own, as over HTTP.
type publisher struct {
	conns   []*nats.Conn
	streams []jetstream.JetStream
	header  nats.Header
	data    []byte
}

// writers returns the service that is written to, and a publisher of messages
// like those that it stores.
func (l *lab) writers(ctx context.Context, workers int) (*service, *publisher, error) {
	s, err := l.theSmall(ctx)
	if err != nil {
		return nil, nil, err
	}
	server, err := l.theServer(ctx)
	if err != nil {
		return nil, nil, err
	}
	p := &publisher{}
	if p.header, p.data, err = l.stored(ctx, s); err != nil {
		return nil, nil, err
	}
	for range workers {
		nc, err := nats.Connect(server.url)
		if err != nil {
			p.close()
			return nil, nil, err
		}
		p.conns = append(p.conns, nc)
		js, err := jetstream.New(nc)
		if err != nil {
			p.close()
			return nil, nil, err
		}
		p.streams = append(p.streams, js)
	}
	_, err = p.streams[0].CreateOrUpdateStream(ctx, jetstream.StreamConfig{
		Name: "INTEGRATIONS", Subjects: []string{"integrations.*.*"}, AllowDirect: true, AllowAtomicPublish: true, DenyDelete: true, DenyPurge: true,
	})
	if err != nil {
		p.close()
		return nil, nil, err
	}
	return s, p, nil
}

// stored creates an integration and returns the message that is stored of it.
func (l *lab) stored(ctx context.Context, s *service) (nats.Header, []byte, error) {
	name := l.name()
	if err := l.do(ctx, s, http.StatusCreated, http.MethodPost, writes, body(name, name, l.upstream.url)); err != nil {
		return nil, nil, err
	}
	nc, err := s.connect()
	if err != nil {
		return nil, nil, err
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		return nil, nil, err
	}
	stream, err := js.Stream(ctx, "INTEGRATIONS")
	if err != nil {
		return nil, nil, err
	}
	msg, err := stream.GetLastMsgForSubject(ctx, subjectOf(domain.NewID(writtenTo, name)))
	if err != nil {
		return nil, nil, err
	}
	header := nats.Header{}
	for key, values := range msg.Header {
		if !strings.HasPrefix(strings.ToLower(key), "nats-") {
			header[key] = values
		}
	}
	return header, msg.Data, nil
}

func subjectOf(id domain.ID) string { return "integrations." + writtenTo + "." + string(id) }

// publish publishes on a subject after a position, and returns the next.
func (p *publisher) publish(ctx context.Context, worker int, id domain.ID, after uint64) (uint64, error) {
	header := nats.Header{}
	for key, values := range p.header {
		header[key] = values
	}
	ack, err := p.streams[worker].PublishMsg(ctx, &nats.Msg{Subject: subjectOf(id), Header: header, Data: p.data}, jetstream.WithExpectLastSequencePerSubject(after))
	if err != nil {
		return 0, fmt.Errorf("publish: %w", err)
	}
	return ack.Sequence, nil
}

// again returns an operation that publishes on one subject of each worker.
func (p *publisher) again(l *lab, workers int) operation {
	ids, last := make([]domain.ID, workers), make([]uint64, workers)
	for n := range ids {
		ids[n] = domain.NewID(writtenTo, l.name())
	}
	return func(ctx context.Context, worker, _ int) (err error) {
		last[worker], err = p.publish(ctx, worker, ids[worker], last[worker])
		return err
	}
}

func (p *publisher) close() {
	for _, nc := range p.conns {
		nc.Close()
	}
}

// visible measures how long a write at 1,000 a second takes until lists show
// it, which is when it is answered: it would wait for a second.
func visible(ctx context.Context, l *lab) (pair, error) {
	const perSecond, workers = 1000, 32
	s, raw, err := l.writers(ctx, workers)
	if err != nil {
		return pair{}, err
	}
	update, err := l.updating(ctx, s, workers)
	return pair{
		figure: byP99(l.paced(perSecond, workers, update)),
		limit:  byP99(l.paced(perSecond, workers, raw.again(l, workers))), end: raw.close,
	}, err
}
