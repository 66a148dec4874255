package streams

import (
	"context"
	"errors"

	"github.com/nats-io/nats.go/jetstream"
)

// Delete deletes a message. It succeeds if the message is already gone, because a
// caller that lost the reply to a delete repeats it.
func Delete(ctx context.Context, js jetstream.JetStream, stream jetstream.Stream, sequence uint64) error {
	return unlessGone(ctx, js, stream, sequence, stream.DeleteMsg(ctx, sequence))
}

// SecureDelete is Delete, and also overwrites the message on disk.
func SecureDelete(ctx context.Context, js jetstream.JetStream, stream jetstream.Stream, sequence uint64) error {
	return unlessGone(ctx, js, stream, sequence, stream.SecureDeleteMsg(ctx, sequence))
}

// unlessGone returns the error of a delete, nil when the message is gone. The
// client gives the server's reason only as text, so unlessGone asks the server.
func unlessGone(ctx context.Context, js jetstream.JetStream, stream jetstream.Stream, sequence uint64, err error) error {
	if !errors.Is(err, jetstream.ErrMsgDeleteUnsuccessful) {
		return err
	}
	there, unknown := leaderHas(ctx, js, stream.CachedInfo().Config.Name, sequence)
	if there || unknown != nil {
		return errors.Join(err, unknown)
	}
	return nil
}

// leaderHas reports whether the leader of a stream has a message. GetMsg may ask a
// follower, where a message that has not arrived yet looks like a deleted one.
func leaderHas(ctx context.Context, js jetstream.JetStream, stream string, sequence uint64) (bool, error) {
	msg, err := FromLeader(ctx, js.Conn(), stream, sequence)
	return msg != nil, err
}
