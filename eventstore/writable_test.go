package eventstore_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/internal/natstest"
)

func codeOf(t *testing.T, err error) string {
	t.Helper()
	refusal, ok := errors.AsType[*domain.Error](err)
	require.True(t, ok, "%v", err)
	require.Equal(t, domain.Unavailable, domain.KindOf(err))
	return refusal.Code
}

func TestCheckingThatTheLogIsWritableAddsNothingToIt(t *testing.T) {
	s := open(t, natstest.Connect(t))
	require.NoError(t, s.CheckWritable(t.Context()))
	spread(t, s, 0, 3, "acme")
	require.NoError(t, s.CheckWritable(t.Context()))
	head, err := s.Head(t.Context())
	require.NoError(t, err)
	require.Equal(t, uint64(3), head)
}

func TestAMissingLogIsNotWritable(t *testing.T) {
	nc := natstest.Connect(t)
	s := open(t, nc)
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	require.NoError(t, js.DeleteStream(t.Context(), "INTEGRATIONS"))
	require.Equal(t, "event_log_unavailable", codeOf(t, s.CheckWritable(t.Context())))
}

func TestAMissingStreamIsNamed(t *testing.T) {
	nc := natstest.Connect(t)
	s := open(t, nc)
	s.Require([]string{"INTEGRATIONS", "WEBHOOKS", "PROBES"})
	err := s.CheckWritable(t.Context())
	require.Equal(t, "streams_missing", codeOf(t, err))
	require.ErrorContains(t, err, "NATS server: WEBHOOKS;")
}

// A limit does not go away by itself, so the caller is not asked to retry.
func TestALimitOfTheAccountIsNamed(t *testing.T) {
	nc := signIn(t, configured(t, `
		jetstream { sync_interval: always }
		accounts { LIMITED { jetstream: {max_file: 3MB}, users: [{user: u, password: p}] } }
	`), "u", "p").Conn
	s := open(t, nc)
	require.NoError(t, s.CheckWritable(t.Context()))
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	_, err = js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "OTHER", Subjects: []string{"other"}})
	require.NoError(t, err)
	for err == nil {
		_, err = js.Publish(t.Context(), "other", make([]byte, 512<<10))
	}
	err = s.CheckWritable(t.Context())
	require.Equal(t, "log_full", codeOf(t, err))
	require.ErrorContains(t, err, "of 3145728 bytes")
	_, err = s.Append(t.Context(), "acme", crm(1).ID, 0, domain.IntegrationCreated{Integration: large()}, meta("c1"))
	require.Equal(t, "log_full", codeOf(t, err))
}

// large is an integration of half a mebibyte.
func large() domain.Integration {
	i := crm(1)
	i.DisplayName = strings.Repeat("x", 512<<10)
	return i
}
