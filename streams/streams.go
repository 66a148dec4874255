// Package streams opens streams and buckets of JetStream and classifies its errors. A
// cluster that has just started, or has just created a stream, first elects a leader;
// this package waits until the stream answers.
package streams

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	answersWithin = 30 * time.Second // an election takes a few seconds
	askAgain      = 50 * time.Millisecond
	nothing       = "nothing" // a subject and a key that don't exist
)

// Ensure returns the stream once it answers, and creates it if it doesn't exist. An
// existing stream keeps its configuration. Ensure gives up after half a minute
// without an answer, or when ctx ends.
func Ensure(ctx context.Context, js jetstream.JetStream, cfg jetstream.StreamConfig) (jetstream.Stream, error) {
	stream, err := answering(ctx, func() (jetstream.Stream, error) {
		stream, err := js.Stream(ctx, cfg.Name)
		if errors.Is(err, jetstream.ErrStreamNotFound) {
			stream, err = js.CreateStream(ctx, cfg)
			if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) { // another process was first
				stream, err = js.Stream(ctx, cfg.Name)
			}
		}
		if err != nil {
			return nil, err
		}
		if _, err := stream.GetLastMsgForSubject(ctx, nothing); err != nil && !errors.Is(err, jetstream.ErrMsgNotFound) {
			return nil, err
		}
		return stream, nil
	})
	if err != nil {
		return nil, fmt.Errorf("stream %s: %w", cfg.Name, err)
	}
	return stream, nil
}

// EnsureBucket is Ensure for a bucket.
func EnsureBucket(ctx context.Context, js jetstream.JetStream, cfg jetstream.KeyValueConfig) (jetstream.KeyValue, error) {
	bucket, err := answering(ctx, func() (jetstream.KeyValue, error) {
		bucket, err := js.KeyValue(ctx, cfg.Bucket)
		if errors.Is(err, jetstream.ErrBucketNotFound) {
			bucket, err = js.CreateKeyValue(ctx, cfg)
			if errors.Is(err, jetstream.ErrBucketExists) { // another process was first
				bucket, err = js.KeyValue(ctx, cfg.Bucket)
			}
		}
		if err != nil {
			return nil, err
		}
		if _, err := bucket.Get(ctx, nothing); err != nil && !errors.Is(err, jetstream.ErrKeyNotFound) {
			return nil, err
		}
		return bucket, nil
	})
	if err != nil {
		return nil, fmt.Errorf("bucket %s: %w", cfg.Bucket, err)
	}
	return bucket, nil
}

// answering calls open until it succeeds or fails with an error that won't pass.
func answering[T any](ctx context.Context, open func() (T, error)) (T, error) {
	return backoff.Retry(ctx, func() (T, error) {
		v, err := open()
		if err != nil && !passes(err) {
			err = backoff.Permanent(err)
		}
		return v, err
	}, backoff.WithBackOff(backoff.NewConstantBackOff(askAgain)), backoff.WithMaxElapsedTime(answersWithin))
}

// The errors of a cluster that has no leader, or doesn't know its servers yet
// (nats-server, errors.json).
const (
	codeNoPeers      jetstream.ErrorCode = 10005 // JSClusterNoPeersErr
	codeNotAvailable jetstream.ErrorCode = 10008 // JSClusterNotAvailErr
	codeNotLeader    jetstream.ErrorCode = 10009 // JSClusterNotLeaderErr
	codeOffline      jetstream.ErrorCode = 10118 // JSStreamOfflineErr
)

// passes reports whether an error only means that nobody answers yet.
func passes(err error) bool {
	if e, ok := errors.AsType[*jetstream.APIError](err); ok {
		return slices.Contains([]jetstream.ErrorCode{codeNoPeers, codeNotAvailable, codeNotLeader, codeOffline}, e.ErrorCode)
	}
	return errors.Is(err, nats.ErrNoResponders) || errors.Is(err, nats.ErrTimeout) || errors.Is(err, context.DeadlineExceeded)
}

// IsConflict reports whether the server refused a publish because the subject has a
// later message. Replicated streams use a different code.
func IsConflict(err error) bool {
	e, ok := errors.AsType[*jetstream.APIError](err)
	return ok && (e.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence || e.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequenceConstant)
}
