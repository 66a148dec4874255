package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/seed677028b5/integrations/accesslog"
	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/eventstore"
	"github.com/seed677028b5/integrations/internal/objects"
	"github.com/seed677028b5/integrations/transparency"
	"github.com/seed677028b5/integrations/transparency/trees"
	"github.com/seed677028b5/integrations/vault"
)

// checkpointFlags are where checkpoints are sent.
type checkpointFlags struct {
	To    []string      `name:"checkpoints-to" help:"Where to send signed checkpoints of the logs: the path of a file that grows, an https URL that each is posted to, or s3://BUCKET/PREFIX, where each becomes an object. Repeatable. The key of this service alone can't rewrite what somebody else holds."`
	Every time.Duration `name:"checkpoints-every" help:"How often to send the checkpoints of logs that have grown, at least 1s." default:"1m"`
}

// check returns an error for a destination that nothing can be sent to.
func (f checkpointFlags) check() error {
	if f.Every < time.Second {
		return fmt.Errorf("--checkpoints-every: %s must be at least 1s", f.Every)
	}
	for _, to := range f.To {
		if objects.IsBucket(to) {
			if _, err := objects.Open(to); err != nil {
				return fmt.Errorf("--checkpoints-to: %w", err)
			}
			continue
		}
		if !strings.Contains(to, "://") {
			continue
		}
		if u, err := url.Parse(to); err != nil || !domain.SecureURL(to) || u.User != nil {
			return fmt.Errorf("--checkpoints-to: %q must be the path of a file, an https URL without a password, or s3://BUCKET/PREFIX", to)
		}
	}
	return nil
}

// sender returns what sends checkpoints.
func (f checkpointFlags) sender(r *trees.Reader, post func(*http.Request) (*http.Response, error), log *slog.Logger) (*trees.Sender, error) {
	s := &trees.Sender{Events: r.Events, Trees: r.Trees, To: f.To, Every: f.Every, Post: post, Put: map[string]trees.Put{}, Log: log}
	for _, to := range f.To {
		if !objects.IsBucket(to) {
			continue
		}
		bucket, err := objects.Open(to)
		if err != nil {
			return nil, fmt.Errorf("--checkpoints-to: %w", err)
		}
		s.Put[to] = func(ctx context.Context, name, note string) error {
			err := bucket.Put(ctx, name, []byte(note))
			if errors.Is(err, objects.ErrExists) {
				err = fmt.Errorf("the bucket has another checkpoint as %s: two services sign for one log", name)
			}
			return err
		}
	}
	return s, nil
}

// logStreams returns the stream of each log that has a tree.
func logStreams() map[transparency.Log]string {
	return map[transparency.Log]string{
		transparency.Integrations: eventstore.StreamOfIntegrations,
		transparency.Approvals:    eventstore.StreamOfApprovals,
		transparency.Calls:        eventstore.StreamOfCalls,
		transparency.Access:       accesslog.Stream,
	}
}

// openTrees opens the trees of the logs. Their key is derived from what the vault seals.
func openTrees(ctx context.Context, nc *nats.Conn, events *eventstore.Store, secrets *vault.Vault, replicas int) (*trees.Reader, error) {
	store, err := trees.Open(ctx, nc, replicas)
	if err != nil {
		return nil, err
	}
	seed, err := secrets.DeriveKey("checkpoints")
	if err != nil {
		return nil, err
	}
	key, err := transparency.NewKey(seed)
	if err != nil {
		return nil, err
	}
	return &trees.Reader{Events: events, Trees: store, Key: key, Streams: logStreams()}, nil
}

// followTrees returns what makes the trees grow.
func followTrees(r *trees.Reader, log *slog.Logger) *trees.Follower {
	return &trees.Follower{Events: r.Events, Trees: r.Trees, Streams: r.Streams, Key: r.Key, Log: log}
}
