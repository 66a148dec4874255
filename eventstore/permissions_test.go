package eventstore_test

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/eventstore"
)

// documented returns the code block of a language in docs/subscribing.md.
func documented(t *testing.T, language string) string {
	t.Helper()
	text, err := os.ReadFile("../docs/subscribing.md")
	require.NoError(t, err)
	_, block, found := strings.Cut(string(text), "\n```"+language+"\n")
	require.True(t, found, language)
	block, _, _ = strings.Cut(block, "\n```\n")
	return block
}

// configured starts a server with a configuration, on its own folder and port, and
// returns its URL.
func configured(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "nats.conf")
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	o, err := server.ProcessConfigFile(file)
	require.NoError(t, err)
	require.True(t, o.SyncAlways)
	o.Host, o.Port, o.HTTPPort, o.StoreDir, o.NoSigs, o.NoLog = "127.0.0.1", server.RANDOM_PORT, server.RANDOM_PORT, t.TempDir(), true, true
	srv, err := server.NewServer(o)
	require.NoError(t, err)
	srv.Start()
	t.Cleanup(func() { srv.Shutdown(); srv.WaitForShutdown() })
	require.True(t, srv.ReadyForConnections(time.Minute))
	return srv.ClientURL()
}

func TestTheDocumentedServerHasWhatTheServiceChecks(t *testing.T) {
	file := filepath.Join(t.TempDir(), "nats.conf")
	require.NoError(t, os.WriteFile(file, []byte(documented(t, "conf")), 0o600))
	o, err := server.ProcessConfigFile(file)
	require.NoError(t, err)
	require.Equal(t, 8222, o.HTTPPort, "the service checks there whether the server syncs")
	require.GreaterOrEqual(t, o.MaxPayload, int32(8_000_000))
}

// user is a connection and the permission errors that the server reported on it.
type user struct {
	*nats.Conn
	mu      sync.Mutex
	refused []string
}

func signIn(t *testing.T, url, name, password string) *user {
	t.Helper()
	u := &user{}
	var err error
	u.Conn, err = nats.Connect(url, nats.UserInfo(name, password), nats.CustomInboxPrefix("_INBOX_"+name), nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
		if errors.Is(err, nats.ErrPermissionViolation) {
			u.mu.Lock()
			defer u.mu.Unlock()
			u.refused = append(u.refused, err.Error())
		}
	}))
	require.NoError(t, err)
	t.Cleanup(u.Close)
	return u
}

// isRefused waits until the server has reported a permission error for a subject.
func (u *user) isRefused(t *testing.T, subject string) {
	t.Helper()
	require.NoError(t, u.Flush())
	require.Eventually(t, func() bool {
		u.mu.Lock()
		defer u.mu.Unlock()
		for _, text := range u.refused {
			if strings.Contains(text, `"`+subject+`"`) {
				return true
			}
		}
		return false
	}, time.Minute, time.Millisecond, "%s was not refused", subject)
}

func TestASubscriberReadsItsWorkspaceAndNothingElse(t *testing.T) {
	url := configured(t, documented(t, "conf"))
	service := signIn(t, url, "service", "change-me")
	s := open(t, service.Conn)
	js, err := jetstream.New(service.Conn)
	require.NoError(t, err)
	var wanted jetstream.ConsumerConfig
	require.NoError(t, json.Unmarshal([]byte(documented(t, "json")), &wanted))
	_, err = js.CreateConsumer(t.Context(), "INTEGRATIONS", wanted)
	require.NoError(t, err)
	_, err = js.CreateConsumer(t.Context(), "INTEGRATIONS", jetstream.ConsumerConfig{Durable: "globex-billing", FilterSubject: "integrations.globex.*", AckPolicy: jetstream.AckExplicitPolicy})
	require.NoError(t, err)
	for _, stream := range []jetstream.StreamConfig{{Name: "SECRETS", Subjects: []string{"secrets.>"}, AllowDirect: true}, {Name: "KV_API_KEYS", Subjects: []string{"$KV.API_KEYS.>"}, AllowDirect: true}} {
		_, err := js.CreateStream(t.Context(), stream)
		require.NoError(t, err)
	}
	spread(t, s, 0, 6, "acme", "globex")

	u := signIn(t, url, "acme-billing", "change-me-as-well")
	theirs, err := jetstream.NewWithAPIPrefix(u.Conn, "LOG.API")
	require.NoError(t, err)
	consumer, err := theirs.Consumer(t.Context(), "INTEGRATIONS", "acme-billing")
	require.NoError(t, err)
	read := func(want ...uint64) {
		t.Helper()
		for _, position := range want {
			msg, err := consumer.Next(jetstream.FetchMaxWait(time.Minute))
			require.NoError(t, err)
			at, err := msg.Metadata()
			require.NoError(t, err)
			require.Equal(t, position, at.Sequence.Stream)
			require.Equal(t, "/v1/acme/integrations", msg.Headers().Get("ce-source"))
			require.NoError(t, msg.DoubleAck(t.Context()))
		}
	}
	read(1, 3, 5)
	_, err = consumer.Next(jetstream.FetchMaxWait(50 * time.Millisecond))
	require.ErrorIs(t, err, nats.ErrTimeout, "it doesn't get the events of the other workspace")

	inbox := u.NewInbox()
	for _, subject := range refusedSubjects() {
		require.NoError(t, u.PublishRequest(subject, inbox, []byte(`{"seq": 2}`)))
		u.isRefused(t, subject)
	}
	for _, subject := range []string{"integrations.globex.*", "integrations.acme.*", "integrations.>", "secrets.>", "_INBOX.>", "$JS.ACK.>", ">"} {
		_, err := u.SubscribeSync(subject)
		require.NoError(t, err)
		u.isRefused(t, subject)
	}

	// Replies to its requests go to nobody else, and so not into the log.
	spread(t, s, 6, 7, "acme") // an event to request
	for _, subject := range []string{
		"LOG.API.CONSUMER.INFO.INTEGRATIONS.acme-billing", "LOG.API.CONSUMER.MSG.NEXT.INTEGRATIONS.acme-billing", "$JS.ACK.INTEGRATIONS.acme-billing.1.1.1.1.1",
	} {
		require.NoError(t, u.PublishRequest(subject, "integrations.globex.x", nil))
	}
	_, err = consumer.Info(t.Context()) // its reply follows those of earlier requests
	require.NoError(t, err)
	require.Never(t, func() bool { head, err := s.Head(t.Context()); return err != nil || head != 7 }, 200*time.Millisecond, 5*time.Millisecond)
}

// refusedSubjects are subjects with which a subscriber could do harm.
func refusedSubjects() []string {
	all := []string{
		"integrations.acme.x", "integrations.globex.x", "probes.acme.x", "secrets.acme.x.y", "$KV.API_KEYS.x", "$KV.SUBSCRIBERS.x",
		"$JS.ACK.INTEGRATIONS.globex-billing.1.2.1.1.1", "$JS.API.CONSUMER.MSG.NEXT.INTEGRATIONS.acme-billing",
	}
	for _, api := range []string{"$JS.API.", "LOG.API."} {
		for _, call := range []string{
			"CONSUMER.MSG.NEXT.INTEGRATIONS.globex-billing", "CONSUMER.INFO.INTEGRATIONS.globex-billing",
			"CONSUMER.CREATE.INTEGRATIONS.acme-billing.integrations.globex.*", "CONSUMER.CREATE.INTEGRATIONS.mine.integrations.globex.*",
			"CONSUMER.CREATE.INTEGRATIONS", "CONSUMER.DURABLE.CREATE.INTEGRATIONS.acme-billing", "CONSUMER.DELETE.INTEGRATIONS.globex-billing",
			"CONSUMER.NAMES.INTEGRATIONS", "CONSUMER.LIST.INTEGRATIONS",
			"DIRECT.GET.INTEGRATIONS", "DIRECT.GET.INTEGRATIONS.integrations.globex.x", "STREAM.MSG.GET.INTEGRATIONS", "STREAM.INFO.INTEGRATIONS",
			"STREAM.CREATE.MINE", "STREAM.UPDATE.INTEGRATIONS", "STREAM.DELETE.INTEGRATIONS", "STREAM.PURGE.INTEGRATIONS", "STREAM.NAMES",
			"DIRECT.GET.SECRETS", "STREAM.MSG.GET.SECRETS", "CONSUMER.CREATE.SECRETS", "DIRECT.GET.KV_API_KEYS.$KV.API_KEYS.x", "STREAM.MSG.GET.KV_API_KEYS",
		} {
			all = append(all, api+call)
		}
	}
	return all
}

// This is why a subscriber has an account of its own.
func TestAUserInTheAccountOfTheServiceCouldWriteToTheLog(t *testing.T) {
	url := configured(t, `
		jetstream { sync_interval: always }
		accounts { INTEGRATIONS { jetstream: enabled, users: [
			{user: service, password: change-me}
			{user: acme-billing, password: change-me, permissions: {publish: ["$JS.API.CONSUMER.INFO.INTEGRATIONS.acme-billing"], subscribe: ["_INBOX_acme-billing.>"]}}
		]}}`)
	s := open(t, signIn(t, url, "service", "change-me").Conn)
	u := signIn(t, url, "acme-billing", "change-me")
	require.NoError(t, u.PublishRequest("$JS.API.CONSUMER.INFO.INTEGRATIONS.acme-billing", "integrations.globex.x", nil))
	require.Eventually(t, func() bool { head, err := s.Head(t.Context()); return err == nil && head == 1 }, time.Minute, time.Millisecond)
}

// This is why nobody should subscribe to the subjects directly.
func TestAPlainSubscriptionReceivesEventsThatNeverHappened(t *testing.T) {
	service := signIn(t, configured(t, documented(t, "conf")), "service", "change-me")
	s := open(t, service.Conn)
	heard, err := service.SubscribeSync("integrations.acme.*")
	require.NoError(t, err)
	appendTo(t, s, 0, domain.IntegrationCreated{Integration: crm(1)}, "c1")
	_, err = s.Append(t.Context(), "acme", crm(1).ID, 0, domain.IntegrationCreated{Integration: crm(1)}, meta("c2"))
	require.ErrorIs(t, err, eventstore.ErrConflict)
	for _, command := range []string{"c1", "c2"} {
		msg, err := heard.NextMsg(time.Minute)
		require.NoError(t, err)
		require.Equal(t, command, msg.Header.Get("ce-id"))
	}
}
