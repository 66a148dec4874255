package natsmodel_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
	"github.com/synadia-io/orbit.go/jetstreamext"

	"github.com/seed677028b5/integrations/internal/natsmodel"
	"github.com/seed677028b5/integrations/internal/natstest"
)

// connect returns a connection to a model.
func connect(t *testing.T) *nats.Conn {
	t.Helper()
	server := natsmodel.Start(natsmodel.Config{})
	nc, err := nats.Connect("nats://127.0.0.1:4222", nats.SetCustomDialer(server.Dialer("test")))
	require.NoError(t, err)
	t.Cleanup(func() { nc.Close(); server.Close() })
	return nc
}

// onBoth runs a test on the real server and on the model.
func onBoth(t *testing.T, test func(*testing.T, jetstream.JetStream)) {
	for name, open := range map[string]func(*testing.T) *nats.Conn{
		"real": func(t *testing.T) *nats.Conn { t.Helper(); return natstest.Connect(t) }, "model": connect,
	} {
		t.Run(name, func(t *testing.T) {
			js, err := jetstream.New(open(t))
			require.NoError(t, err)
			test(t, js)
		})
	}
}

func made(t *testing.T, js jetstream.JetStream, c jetstream.StreamConfig) jetstream.Stream {
	t.Helper()
	c.Name, c.Subjects, c.AllowDirect = "S", []string{"s.>"}, true
	s, err := js.CreateStream(t.Context(), c)
	require.NoError(t, err)
	return s
}

func put(t *testing.T, js jetstream.JetStream, subjects ...string) {
	t.Helper()
	for _, subject := range subjects {
		_, err := js.PublishMsg(t.Context(), &nats.Msg{Subject: subject, Data: []byte(subject), Header: nats.Header{"Of": {subject}}})
		require.NoError(t, err)
	}
}

// code is the code of an error of JetStream, 0 for another.
func code(err error) jetstream.ErrorCode {
	if e, ok := errors.AsType[*jetstream.APIError](err); ok {
		return e.ErrorCode
	}
	return 0
}

func TestAPublishIsConditional(t *testing.T) {
	onBoth(t, func(t *testing.T, js jetstream.JetStream) {
		made(t, js, jetstream.StreamConfig{})
		on := func(subject string, opts ...jetstream.PublishOpt) (uint64, bool, error) {
			ack, err := js.Publish(t.Context(), subject, []byte("x"), opts...)
			if err != nil {
				return 0, false, err
			}
			return ack.Sequence, ack.Duplicate, nil
		}
		for n, step := range []struct {
			subject  string
			opts     []jetstream.PublishOpt
			sequence uint64
			again    bool
			code     jetstream.ErrorCode
		}{
			{subject: "s.a", opts: []jetstream.PublishOpt{jetstream.WithExpectLastSequencePerSubject(0)}, sequence: 1},
			{subject: "s.a", opts: []jetstream.PublishOpt{jetstream.WithExpectLastSequencePerSubject(0)}, code: jetstream.JSErrCodeStreamWrongLastSequence},
			{subject: "s.b", opts: []jetstream.PublishOpt{jetstream.WithExpectLastSequencePerSubject(0), jetstream.WithMsgID("one")}, sequence: 2},
			{subject: "s.b", opts: []jetstream.PublishOpt{jetstream.WithMsgID("one")}, sequence: 2, again: true},
			{subject: "s.b", opts: []jetstream.PublishOpt{jetstream.WithExpectLastSequencePerSubject(0), jetstream.WithMsgID("one")}, code: jetstream.JSErrCodeStreamWrongLastSequence},
			{subject: "s.a", opts: []jetstream.PublishOpt{jetstream.WithExpectLastSequencePerSubject(1)}, sequence: 3},
			{subject: "s.a", opts: []jetstream.PublishOpt{jetstream.WithExpectLastSequence(1)}, code: jetstream.JSErrCodeStreamWrongLastSequence},
			{subject: "s.c", opts: []jetstream.PublishOpt{jetstream.WithExpectLastSequence(3)}, sequence: 4},
			{subject: "s.c", opts: []jetstream.PublishOpt{jetstream.WithExpectStream("T")}, code: 10060},
		} {
			sequence, again, err := on(step.subject, step.opts...)
			require.Equal(t, step.code, code(err), "step %d: %v", n, err)
			require.Equal(t, step.sequence, sequence, "step %d: %v", n, err)
			require.Equal(t, step.again, again, n)
		}
		_, _, err := on("nobody.stores.it", jetstream.WithRetryAttempts(0))
		require.Error(t, err)
	})
}

func TestABatchIsStoredWhollyOrNotAtAll(t *testing.T) {
	onBoth(t, func(t *testing.T, js jetstream.JetStream) {
		s := made(t, js, jetstream.StreamConfig{AllowAtomicPublish: true})
		put(t, js, "s.0")
		batch := func(after string, ids ...string) (*jetstreamext.BatchAck, error) {
			var all []*nats.Msg
			for n, id := range ids {
				m := &nats.Msg{Subject: fmt.Sprint("s.", n), Data: []byte("x"), Header: nats.Header{}}
				if id != "" {
					m.Header.Set(jetstream.MsgIDHeader, id)
				}
				if n == 0 {
					m.Header.Set(jetstream.ExpectedLastSubjSeqHeader, after)
				}
				all = append(all, m)
			}
			return jetstreamext.PublishMsgBatch(t.Context(), js, all, jetstreamext.BatchFlowControl{})
		}
		_, err := batch("0", "", "", "")
		require.Equal(t, jetstream.JSErrCodeStreamWrongLastSequence, code(err), err)
		ack, err := batch("1", "a", "b", "c")
		require.NoError(t, err)
		require.Equal(t, []uint64{4, 3}, []uint64{ack.Sequence, ack.BatchSize})
		_, err = batch("2", "d", "b")
		require.Equal(t, jetstream.ErrorCode(10201), code(err), "it has a message that is stored")
		info, err := s.Info(t.Context())
		require.NoError(t, err)
		require.Equal(t, uint64(4), info.State.LastSeq)
	})
}

func TestMessagesAreRead(t *testing.T) {
	onBoth(t, func(t *testing.T, js jetstream.JetStream) {
		s := made(t, js, jetstream.StreamConfig{})
		put(t, js, "s.a.1", "s.b.1", "s.a.2", "s.b.1", "s.c.1")
		require.NoError(t, s.DeleteMsg(t.Context(), 3))
		require.ErrorIs(t, s.DeleteMsg(t.Context(), 3), jetstream.ErrMsgDeleteUnsuccessful)

		last, err := s.GetLastMsgForSubject(t.Context(), "s.b.1")
		require.NoError(t, err)
		require.Equal(t, []any{uint64(4), "s.b.1", "s.b.1", "s.b.1"}, []any{last.Sequence, last.Subject, string(last.Data), last.Header.Get("Of")})
		last, err = s.GetLastMsgForSubject(t.Context(), "s.a.>")
		require.NoError(t, err)
		require.Equal(t, uint64(1), last.Sequence)
		_, err = s.GetLastMsgForSubject(t.Context(), "s.z")
		require.ErrorIs(t, err, jetstream.ErrMsgNotFound)
		_, err = s.GetMsg(t.Context(), 3)
		require.ErrorIs(t, err, jetstream.ErrMsgNotFound)
		next, err := s.GetMsg(t.Context(), 2, jetstream.WithGetMsgSubject("s.*.1"))
		require.NoError(t, err)
		require.Equal(t, uint64(2), next.Sequence)
		next, err = s.GetMsg(t.Context(), 3, jetstream.WithGetMsgSubject("s.*.1"))
		require.NoError(t, err)
		require.Equal(t, uint64(4), next.Sequence)

		page := func(limit int, from uint64, of string) (all []uint64) {
			messages, err := jetstreamext.GetBatch(t.Context(), js, "S", limit, jetstreamext.GetBatchSeq(from), jetstreamext.GetBatchSubject(of))
			require.NoError(t, err)
			for m, err := range messages {
				if errors.Is(err, jetstreamext.ErrNoMessages) {
					return nil
				}
				require.NoError(t, err)
				all = append(all, m.Sequence)
			}
			return all
		}
		require.Equal(t, []uint64{1, 2, 4, 5}, page(10, 1, "s.>"))
		require.Equal(t, []uint64{1, 2}, page(2, 1, "s.>"))
		require.Equal(t, []uint64{4}, page(10, 3, "s.b.*"))
		require.Nil(t, page(10, 6, "s.>"))

		info, err := s.Info(t.Context(), jetstream.WithDeletedDetails(true))
		require.NoError(t, err)
		require.Equal(t, []any{uint64(4), uint64(1), uint64(5), []uint64{3}}, []any{info.State.Msgs, info.State.FirstSeq, info.State.LastSeq, info.State.Deleted})
		require.NoError(t, s.Purge(t.Context(), jetstream.WithPurgeSequence(5)))
		info, err = s.Info(t.Context())
		require.NoError(t, err)
		require.Equal(t, []uint64{1, 5, 5}, []uint64{info.State.Msgs, info.State.FirstSeq, info.State.LastSeq})
		require.NoError(t, s.Purge(t.Context()))
		info, err = s.Info(t.Context())
		require.NoError(t, err)
		require.Equal(t, []uint64{0, 6, 5}, []uint64{info.State.Msgs, info.State.FirstSeq, info.State.LastSeq})
	})
}

func TestLimitsDropTheOldest(t *testing.T) {
	onBoth(t, func(t *testing.T, js jetstream.JetStream) {
		s := made(t, js, jetstream.StreamConfig{MaxMsgsPerSubject: 2, MaxAge: 300 * time.Millisecond})
		put(t, js, "s.a", "s.b", "s.a", "s.a")
		info, err := s.Info(t.Context())
		require.NoError(t, err)
		require.Equal(t, []uint64{3, 2}, []uint64{info.State.Msgs, info.State.FirstSeq})
		require.Eventually(t, func() bool {
			info, err := s.Info(t.Context())
			return err == nil && info.State.Msgs == 0 && info.State.LastSeq == 4
		}, 20*time.Second, 20*time.Millisecond)
	})
}

func TestABucketIsCreatedChangedAndWatched(t *testing.T) {
	onBoth(t, func(t *testing.T, js jetstream.JetStream) {
		kv, err := js.CreateKeyValue(t.Context(), jetstream.KeyValueConfig{Bucket: "B"})
		require.NoError(t, err)
		_, err = kv.Get(t.Context(), "a")
		require.ErrorIs(t, err, jetstream.ErrKeyNotFound)
		first, err := kv.Create(t.Context(), "a", []byte("1"))
		require.NoError(t, err)
		_, err = kv.Create(t.Context(), "a", []byte("2"))
		require.ErrorIs(t, err, jetstream.ErrKeyExists)
		_, err = kv.Update(t.Context(), "a", []byte("2"), first+7)
		require.Equal(t, jetstream.JSErrCodeStreamWrongLastSequence, code(err))
		second, err := kv.Update(t.Context(), "a", []byte("2"), first)
		require.NoError(t, err)
		_, err = kv.PutString(t.Context(), "b", "1")
		require.NoError(t, err)

		watch, err := kv.WatchAll(t.Context())
		require.NoError(t, err)
		next := func() string {
			select {
			case e := <-watch.Updates():
				if e == nil {
					return "all"
				}
				return fmt.Sprint(e.Key(), "=", string(e.Value()), " ", e.Revision(), " ", e.Operation())
			case <-time.After(20 * time.Second):
				return "nothing"
			}
		}
		require.Equal(t, []string{"a=2 2 KeyValuePutOp", "b=1 3 KeyValuePutOp", "all"}, []string{next(), next(), next()})
		require.Error(t, kv.Delete(t.Context(), "a", jetstream.LastRevision(first)))
		require.NoError(t, kv.Delete(t.Context(), "a", jetstream.LastRevision(second)))
		require.Equal(t, "a= 4 KeyValueDeleteOp", next())
		_, err = kv.Create(t.Context(), "a", []byte("3"))
		require.NoError(t, err)
		require.Equal(t, "a=3 5 KeyValuePutOp", next())
		require.NoError(t, kv.Purge(t.Context(), "b"))
		require.Equal(t, "b= 6 KeyValuePurgeOp", next())
		require.NoError(t, watch.Stop())
		keys, err := kv.Keys(t.Context())
		require.NoError(t, err)
		require.Equal(t, []string{"a"}, keys)
	})
}

func TestAnOrderedConsumerGetsEverythingInOrder(t *testing.T) {
	onBoth(t, func(t *testing.T, js jetstream.JetStream) {
		made(t, js, jetstream.StreamConfig{})
		put(t, js, "s.a", "s.b", "s.a", "s.c")
		for _, of := range []struct {
			config jetstream.OrderedConsumerConfig
			want   []uint64
		}{
			{jetstream.OrderedConsumerConfig{DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: 2}, []uint64{2, 3, 4, 5, 6}},
			{jetstream.OrderedConsumerConfig{DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: 1, FilterSubjects: []string{"s.a", "s.d"}}, []uint64{1, 3, 5}},
			{jetstream.OrderedConsumerConfig{HeadersOnly: true}, []uint64{1, 2, 3, 4, 5, 6}},
			{jetstream.OrderedConsumerConfig{DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: 9}, nil},
		} {
			ordered(t, js, of.config, of.want)
		}
	})
}

// ordered expects an ordered consumer to get these sequences; two are published meanwhile, once.
func ordered(t *testing.T, js jetstream.JetStream, c jetstream.OrderedConsumerConfig, want []uint64) {
	t.Helper()
	consumer, err := js.OrderedConsumer(t.Context(), "S", c)
	require.NoError(t, err)
	got := make(chan uint64, 10)
	consuming, err := consumer.Consume(func(m jetstream.Msg) {
		meta, err := m.Metadata()
		if err != nil || c.HeadersOnly != (len(m.Data()) == 0) || m.Headers().Get("Of") != m.Subject() || meta.Stream != "S" {
			close(got)
			return
		}
		got <- meta.Sequence.Stream
	}, jetstream.PullMaxMessagesWithBytesLimit(2, 1<<20))
	require.NoError(t, err)
	defer consuming.Stop()
	if last, err := js.Stream(t.Context(), "S"); err == nil && last.CachedInfo().State.LastSeq == 4 {
		put(t, js, "s.d", "s.c")
	}
	for _, sequence := range want {
		select {
		case s := <-got:
			require.Equal(t, sequence, s)
		case <-time.After(20 * time.Second):
			require.Fail(t, "no message")
		}
	}
	require.Empty(t, got)
}

func TestAConsumerOfTheLastMessagesEnds(t *testing.T) {
	onBoth(t, func(t *testing.T, js jetstream.JetStream) {
		made(t, js, jetstream.StreamConfig{})
		put(t, js, "s.a", "s.b", "s.a", "s.c", "s.c")
		c, err := js.CreateConsumer(t.Context(), "S", jetstream.ConsumerConfig{
			DeliverPolicy: jetstream.DeliverLastPerSubjectPolicy, FilterSubject: "s.*", AckPolicy: jetstream.AckNonePolicy, MemoryStorage: true, InactiveThreshold: time.Minute,
		})
		require.NoError(t, err)
		require.Equal(t, uint64(3), c.CachedInfo().NumPending)
		var got []uint64
		for range 3 {
			batch, err := c.FetchNoWait(2)
			require.NoError(t, err)
			for m := range batch.Messages() {
				meta, err := m.Metadata()
				require.NoError(t, err)
				got = append(got, meta.Sequence.Stream)
				require.Equal(t, uint64(len(got)), meta.Sequence.Consumer)
				require.Equal(t, uint64(3-len(got)), meta.NumPending)
			}
			require.NoError(t, batch.Error())
		}
		require.Equal(t, []uint64{2, 3, 5}, got)
		info, err := c.Info(t.Context())
		require.NoError(t, err)
		require.Equal(t, []uint64{3, 0}, []uint64{info.Delivered.Consumer, info.NumPending})
		require.NoError(t, js.DeleteConsumer(t.Context(), "S", c.CachedInfo().Name))
		_, err = c.Info(t.Context())
		require.ErrorIs(t, err, jetstream.ErrConsumerNotFound)
	})
}

func TestStreamsAreListedAndFound(t *testing.T) {
	onBoth(t, func(t *testing.T, js jetstream.JetStream) {
		_, err := js.Stream(t.Context(), "S")
		require.ErrorIs(t, err, jetstream.ErrStreamNotFound)
		_, err = js.KeyValue(t.Context(), "B")
		require.ErrorIs(t, err, jetstream.ErrBucketNotFound)
		s := made(t, js, jetstream.StreamConfig{})
		again, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "S", Subjects: []string{"s.>"}, AllowDirect: true})
		require.NoError(t, err, "the same again is no error")
		require.Equal(t, s.CachedInfo().Config, again.CachedInfo().Config)
		_, err = js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "S", Subjects: []string{"t.>"}})
		require.ErrorIs(t, err, jetstream.ErrStreamNameAlreadyInUse)
		changed := s.CachedInfo().Config
		changed.Subjects = append(changed.Subjects, "t")
		_, err = js.UpdateStream(t.Context(), changed)
		require.NoError(t, err)
		put(t, js, "t")
		var names []string
		list := js.StreamNames(t.Context())
		for name := range list.Name() {
			names = append(names, name)
		}
		require.NoError(t, list.Err())
		require.Equal(t, []string{"S"}, names)
		info, err := js.AccountInfo(t.Context())
		require.NoError(t, err)
		require.Equal(t, 1, info.Streams)
	})
}

func TestWhatIsDeniedIsRefused(t *testing.T) {
	onBoth(t, func(t *testing.T, js jetstream.JetStream) {
		s := made(t, js, jetstream.StreamConfig{DenyDelete: true, DenyPurge: true})
		put(t, js, "s.a")
		require.ErrorIs(t, s.DeleteMsg(t.Context(), 1), jetstream.ErrMsgDeleteUnsuccessful)
		require.Error(t, s.Purge(t.Context()))
		require.True(t, slices.Contains(s.CachedInfo().Config.Subjects, "s.>"))
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		_, err := s.GetMsg(ctx, 1)
		require.NoError(t, err)
	})
}
