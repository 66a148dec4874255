package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/eventstore"
	"github.com/seed677028b5/integrations/projections"
	"github.com/seed677028b5/integrations/projections/sqlite"
)

// errShort reports that fewer events were read than exist.
var errShort = errors.New("not all events were read")

// rebuild measures how fast a read model is built from the log, as rebuild does
// it, beside reading and decoding the same events and no more.
func rebuild(ctx context.Context, l *lab) (pair, error) {
	nc, events, err := l.log(ctx)
	if err != nil {
		return pair{}, err
	}
	return pair{
		figure: l.building(events), end: nc.Close,
		limit: consumes(nc, l.Size, jetstream.DeliverLastPerSubjectPolicy, func(msg jetstream.Msg) error {
			name, version, _ := strings.Cut(msg.Headers().Get("ce-type"), ".v")
			number, err := strconv.Atoi(version)
			if err == nil {
				_, err = eventstore.Codec().Decode(domain.Encoded{Name: name, Version: number, Data: msg.Data()})
			}
			return err
		}),
	}, nil
}

// rebuildBesideInsert is rebuild beside what the store does of it.
func rebuildBesideInsert(ctx context.Context, l *lab) (pair, error) {
	nc, events, err := l.log(ctx)
	if err != nil {
		return pair{}, err
	}
	return pair{figure: l.building(events), limit: l.inserting, end: nc.Close}, nil
}

// building builds a read model from the log, as rebuild does it.
func (l *lab) building(events *eventstore.Store) measuring {
	return func(ctx context.Context) (sample, error) {
		generations, remove, err := l.generations()
		if err != nil {
			return sample{}, err
		}
		defer remove()
		builder := projections.Builder{Events: events, Generations: generations, Log: generations.Log}
		since := time.Now()
		built, err := builder.Run(ctx)
		if err == nil && built.Integrations < l.Size {
			err = fmt.Errorf("%w: %d of %d", errShort, built.Integrations, l.Size)
		}
		return perSecond(l.Size, since), err
	}
}

// inserting writes as many integrations to a new read model, without a log.
func (l *lab) inserting(ctx context.Context) (s sample, err error) {
	const inBatch = 500
	generations, remove, err := l.generations()
	if err != nil {
		return sample{}, err
	}
	defer remove()
	_, store, err := generations.Create(ctx)
	if err != nil {
		return sample{}, err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	since := time.Now()
	for n := 0; n < l.Size; {
		var batch projections.Batch
		for ; n < l.Size && len(batch.Documents) < inBatch; n++ {
			batch.Documents = append(batch.Documents, projections.Document{Position: uint64(len(batch.Documents)) + 1, Integration: made(n, inEach, l.upstream.url)})
		}
		if err := store.Apply(ctx, batch); err != nil {
			return sample{}, err
		}
	}
	err = store.Index(ctx)
	return perSecond(l.Size, since), err
}

// generations returns an empty folder of read models, which remove removes.
func (l *lab) generations() (g *sqlite.Generations, remove func(), err error) {
	dir := filepath.Join(l.dir, "rebuilt")
	return &sqlite.Generations{Folder: dir, Log: slog.New(slog.DiscardHandler)}, func() { _ = os.RemoveAll(dir) }, os.Mkdir(dir, 0o700)
}

// replay measures how fast the log is written as CloudEvents, beside reading it.
func replay(ctx context.Context, l *lab) (pair, error) {
	nc, events, err := l.log(ctx)
	if err != nil {
		return pair{}, err
	}
	write := func(ctx context.Context) (sample, error) {
		since := time.Now()
		var lines []byte
		count := 0
		for batch, err := range events.Replay(ctx, eventstore.Replay{}) {
			if err != nil {
				return sample{}, err
			}
			lines = lines[:0]
			for _, e := range batch {
				lines = append(e.AppendJSON(lines), '\n')
			}
			if _, err := io.Discard.Write(lines); err != nil {
				return sample{}, err
			}
			count += len(batch)
		}
		if count < l.Size {
			return sample{}, fmt.Errorf("%w: %d of %d", errShort, count, l.Size)
		}
		return perSecond(count, since), ctx.Err()
	}
	return pair{figure: write, limit: consumes(nc, l.Size, jetstream.DeliverAllPolicy, func(jetstream.Msg) error { return nil }), end: nc.Close}, nil
}

// log connects to the log of the filled service, as the tools do.
func (l *lab) log(ctx context.Context) (*nats.Conn, *eventstore.Store, error) {
	s, err := l.theFilled(ctx)
	if err != nil {
		return nil, nil, err
	}
	nc, err := s.connect()
	if err != nil {
		return nil, nil, err
	}
	events, err := eventstore.Attach(ctx, nc, 0)
	if err != nil {
		nc.Close()
		return nil, nil, err
	}
	return nc, events, nil
}

// consumes reads count messages with an ordered consumer.
func consumes(nc *nats.Conn, count int, policy jetstream.DeliverPolicy, take func(jetstream.Msg) error) measuring {
	return func(ctx context.Context) (sample, error) {
		js, err := jetstream.New(nc)
		if err != nil {
			return sample{}, err
		}
		since := time.Now()
		consumer, err := js.OrderedConsumer(ctx, "INTEGRATIONS", jetstream.OrderedConsumerConfig{DeliverPolicy: policy, FilterSubjects: []string{"integrations.*.*"}})
		if err != nil {
			return sample{}, err
		}
		messages, err := consumer.Messages(jetstream.PullMaxMessages(5000))
		if err != nil {
			return sample{}, err
		}
		defer messages.Stop()
		defer context.AfterFunc(ctx, messages.Stop)()
		for range count {
			msg, err := messages.Next()
			if err == nil {
				err = take(msg)
			}
			if err != nil {
				return sample{}, err
			}
		}
		return perSecond(count, since), nil
	}
}
