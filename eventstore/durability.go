package eventstore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/nats-io/nats.go/jetstream"
)

func (c Config) checkDurable(ctx context.Context) error {
	if c.AllowLazySync {
		return nil
	}
	if c.Durable == nil {
		return errors.New("can't determine whether the NATS server syncs before it acknowledges: " +
			"give --nats-monitor-url, or --allow-lazy-sync to risk losing acknowledged events in a power cut")
	}
	durable, err := c.Durable(ctx)
	if err != nil {
		return fmt.Errorf("find out whether the NATS server syncs before it acknowledges: %w", err)
	}
	if !durable {
		return errors.New("the NATS server acknowledges before it syncs, so a power cut would lose acknowledged events: " +
			"set jetstream { sync_interval: always } there, or start with --allow-lazy-sync")
	}
	return nil
}

// Monitored returns a DurableFunc that asks the monitoring port of every
// server of a cluster, given as base URLs such as http://127.0.0.1:8222.
func Monitored(client *http.Client, baseURLs ...string) DurableFunc {
	return func(ctx context.Context) (bool, error) {
		for _, base := range baseURLs {
			durable, err := monitored(ctx, client, strings.TrimSuffix(base, "/")+"/jsz")
			if err != nil || !durable {
				return false, err
			}
		}
		return len(baseURLs) > 0, nil
	}
}

func monitored(ctx context.Context, client *http.Client, url string) (bool, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return false, err
	}
	res, err := client.Do(req)
	if err != nil {
		return false, err
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusOK {
		return false, fmt.Errorf("%s answered %s", url, res.Status)
	}
	var jsz struct {
		Config struct {
			SyncAlways bool `json:"sync_always"`
		} `json:"config"`
	}
	if err := json.NewDecoder(io.LimitReader(res.Body, 1<<20)).Decode(&jsz); err != nil {
		return false, fmt.Errorf("%s: %w", url, err)
	}
	return jsz.Config.SyncAlways, nil
}

// checkLog refuses a log that may lose events other than by being deleted.
func checkLog(c jetstream.StreamConfig) error {
	var wrong []error
	refuse := func(when bool, why string) {
		if when {
			wrong = append(wrong, errors.New(why))
		}
	}
	refuse(!c.DenyDelete, "messages can be deleted: deny_delete must be on")
	refuse(!c.DenyPurge, "the stream can be purged: deny_purge must be on")
	refuse(c.Retention != jetstream.LimitsPolicy, "retention must be limits")
	refuse(c.Storage != jetstream.FileStorage, "storage must be file")
	refuse(c.MaxAge > 0, "max_age must not be set")
	refuse(c.MaxBytes > 0, "max_bytes must not be set")
	refuse(c.MaxMsgs > 0, "max_msgs must not be set")
	refuse(c.MaxMsgsPerSubject > 0, "max_msgs_per_subject must not be set")
	refuse(c.AllowMsgTTL, "message TTLs must not be allowed")
	refuse(c.AllowRollup, "rollups must not be allowed")
	refuse(c.NoAck, "acknowledgements must be on")
	refuse(c.PersistMode == jetstream.AsyncPersistMode, "persist_mode must not be async")
	refuse(!c.AllowDirect, "allow_direct must be on")
	return errors.Join(wrong...)
}
