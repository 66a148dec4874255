package webhooks_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/internal/natstest"
	"github.com/seed677028b5/integrations/webhooks"
)

func TestADestinationIsToldWhatItWantsAndTheReceiverCanVerifyIt(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.change("acme", "before")
	s.probe("acme", "before", "", domain.Healthy)
	everything, updates, health := listen(t, nil), listen(t, nil), listen(t, nil)
	_, secret := s.destination(everything.url)
	s.destination(updates.url, "integration.updated")
	s.destination(health.url, "integration.health_changed", "integration.deleted")
	s.change("other", "crm")
	s.change("acme", "crm")
	updated := s.change("acme", "crm")
	s.probe("acme", "crm", domain.Healthy, domain.Healthy)
	s.probe("acme", "crm", domain.Healthy, domain.Unreachable)
	s.eventually("all are delivered", func() bool { return len(everything.all()) == 3 && len(updates.all()) == 1 && len(health.all()) == 1 })
	s.nothingPending()

	hook, err := standardwebhooks.NewWebhook(secret)
	require.NoError(t, err)
	for _, g := range everything.all() {
		require.NoError(t, hook.Verify(g.body, g.header))
		require.Equal(t, "application/json", g.header.Get("Content-Type"))
		require.Contains(t, g.header.Get("User-Agent"), "integrations/")
	}
	got := updates.all()[0]
	require.False(t, got.signedBy(t, secret), "each destination has a secret of its own")
	require.Equal(t, "integration.updated", got.Type)
	require.Equal(t, updated, got.Data.Position)
	require.Regexp(t, `^\{"type":"integration.updated","timestamp":"[^"]+Z","data":\{"integration_id":"[^"]+","position":\d+\}\}$`, string(got.body))
	require.Regexp(t, `"type":"integration.health_changed","time":"[^"]+Z","status":"unreachable","previous":"healthy","message":"Down.","http_status":503`, string(health.all()[0].body))
	require.Len(t, everything.all(), 3)
}

func TestBothSecretsSignWhileTheyOverlapAndTheNewOneAloneAfterwards(t *testing.T) {
	t.Parallel()
	s := start(t)
	r := listen(t, nil)
	d, first := s.destination(r.url)
	rotated, secret, err := s.hooks.Rotate(t.Context(), "acme", d.ID, 24*time.Hour)
	require.NoError(t, err)
	second := secret.Reveal()
	require.NotEqual(t, first, second)
	require.Equal(t, uint64(2), rotated.SecretVersion)
	next := func() received {
		before := len(r.all())
		s.change("acme", "crm")
		s.eventually("it is delivered", func() bool { return len(r.all()) > before })
		return r.all()[before]
	}
	s.later.Store(int64(23 * time.Hour))
	during := next()
	require.True(t, during.signedBy(t, first))
	require.True(t, during.signedBy(t, second))
	require.Len(t, strings.Fields(during.header.Get("webhook-signature")), 2)
	s.later.Store(int64(25 * time.Hour))
	after := next()
	require.False(t, after.signedBy(t, first))
	require.True(t, after.signedBy(t, second))
}

func TestASecretIsNowhereButInTheFirstAnswer(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	nc, end := natstest.Start(t, dir)
	log := &written{}
	s := startOn(t, nc, log, new(atomic.Int64), nil)
	r := listen(t, nil)
	d, first := s.destination(r.url)
	_, secret, err := s.hooks.Rotate(t.Context(), "acme", d.ID, time.Hour)
	require.NoError(t, err)
	s.change("acme", "crm")
	s.eventually("it is delivered", func() bool { return len(r.all()) == 1 })
	s.stop()
	end()
	for _, text := range []string{first, secret.Reveal()} {
		raw, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(text, "whsec_"))
		require.NoError(t, err)
		require.Len(t, raw, 32)
		forms := [][]byte{[]byte(strings.TrimPrefix(text, "whsec_")), raw}
		for _, form := range forms {
			require.False(t, bytes.Contains([]byte(log.String()), form))
			require.NoError(t, filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
				if err != nil || entry.IsDir() {
					return err
				}
				content, err := os.ReadFile(path)
				require.False(t, bytes.Contains(content, form), path)
				return err
			}))
		}
	}
}

func TestSecretsAreTheSameAfterARestartAndDifferForAll(t *testing.T) {
	t.Parallel()
	nc := natstest.Connect(t)
	s := startOn(t, nc, &written{}, new(atomic.Int64), nil)
	r := listen(t, nil)
	_, one := s.destination(r.url)
	_, two := s.destination(r.url)
	require.NotEqual(t, one, two)
	s.stop()
	again := startOn(t, nc, &written{}, new(atomic.Int64), nil)
	again.change("acme", "crm")
	again.eventually("both are delivered", func() bool { return len(r.all()) == 2 })
	for _, secret := range []string{one, two} {
		require.True(t, r.all()[0].signedBy(t, secret) != r.all()[1].signedBy(t, secret))
	}
}

func TestAWorkspaceHasAtMostFiftyDestinationsAndSeesItsOwn(t *testing.T) {
	t.Parallel()
	s := start(t)
	for range 50 {
		s.destination("https://a.example")
	}
	_, _, err := s.hooks.Create(t.Context(), "acme", domain.Document{"url": "https://a.example"})
	require.Equal(t, "too_many_destinations", codeOf(err))
	theirs, _, err := s.hooks.Create(t.Context(), "other", domain.Document{"url": "https://a.example"})
	require.NoError(t, err)
	require.Len(t, s.hooks.List("acme"), 50)
	require.Equal(t, []domain.WebhookDestination{theirs}, s.hooks.List("other"))
	_, err = s.hooks.Update(t.Context(), "acme", theirs.ID, domain.Document{})
	require.Equal(t, "webhook_destination_not_found", codeOf(err))
	_, _, err = s.hooks.Rotate(t.Context(), "acme", theirs.ID, 0)
	require.Equal(t, "webhook_destination_not_found", codeOf(err))
	require.Equal(t, "webhook_destination_not_found", codeOf(s.hooks.Delete(t.Context(), "acme", theirs.ID)))
	require.NoError(t, s.hooks.Delete(t.Context(), "other", theirs.ID))
	require.Empty(t, s.hooks.List("other"))
}

func TestManyAtOnceMakeNoMoreThanFiftyDestinations(t *testing.T) {
	t.Parallel()
	s := start(t)
	var making sync.WaitGroup
	for range 80 {
		making.Go(func() {
			if _, _, err := s.hooks.Create(t.Context(), "acme", domain.Document{"url": "https://a.example"}); err != nil {
				assert.Equal(t, "too_many_destinations", codeOf(err), err)
			}
		})
	}
	making.Wait()
	require.Len(t, s.hooks.List("acme"), 50)
}

func TestATestTellsWhatCameOfItEvenWhenTheDestinationIsDisabled(t *testing.T) {
	t.Parallel()
	s := start(t)
	r := listen(t, nil)
	d, secret := s.destination(r.url, "integration.deleted")
	_, err := s.hooks.Update(t.Context(), "acme", d.ID, domain.Document{"enabled": false})
	require.NoError(t, err)
	tested, err := s.hooks.Test(t.Context(), "acme", d.ID)
	require.NoError(t, err)
	require.Equal(t, webhooks.Delivered, tested.Status)
	require.Equal(t, 204, tested.HTTPStatus)
	require.Equal(t, "webhook.test", r.all()[0].Type)
	require.True(t, r.all()[0].signedBy(t, secret))
	r.set(status(410))
	tested, err = s.hooks.Test(t.Context(), "acme", d.ID)
	require.NoError(t, err)
	require.Equal(t, webhooks.Failed, tested.Status)
	log := s.deliveries(d, "")
	require.Len(t, log, 2)
	require.Equal(t, webhooks.Failed, log[0].Status, "the newest comes first")
	require.Equal(t, "destination_disabled", codeOf(s.hooks.Redeliver(t.Context(), "acme", d.ID, log[0].ID)))
}

func TestTheLogIsReadInPagesNewestFirst(t *testing.T) {
	t.Parallel()
	s := start(t)
	r := listen(t, nil)
	d, _ := s.destination(r.url)
	for range 7 {
		s.change("acme", "crm")
	}
	s.eventually("the log has all", func() bool { return len(s.deliveries(d, "")) == 7 })
	var positions []uint64
	for before, pages := uint64(0), 0; ; pages++ {
		page, next, err := s.hooks.Deliveries(t.Context(), "acme", d.ID, webhooks.Delivered, before, 3)
		require.NoError(t, err)
		for _, one := range page {
			positions = append(positions, one.Position)
		}
		if before = next; next == 0 {
			require.Equal(t, 2, pages)
			break
		}
	}
	require.Equal(t, []uint64{7, 6, 5, 4, 3, 2, 1}, positions)
}

func codeOf(err error) string {
	refusal, ok := errors.AsType[*domain.Error](err)
	if !ok {
		return ""
	}
	return refusal.Code
}

func dial(t *testing.T, address string) *nats.Conn {
	t.Helper()
	nc, err := nats.Connect("nats://"+address, nats.MaxReconnects(-1), nats.ReconnectWait(10*time.Millisecond))
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	return nc
}
