package streams

import (
	"context"
	"errors"

	"github.com/nats-io/nats.go/jetstream"
)

// Delete deletes a message. One that is gone already is as good as deleted: who
// lost the answer to a delete makes it again.
func Delete(ctx context.Context, js jetstream.JetStream, stream jetstream.Stream, sequence uint64) error {
	return unlessGone(ctx, js, stream, sequence, stream.DeleteMsg(ctx, sequence))
}

// SecureDelete is Delete, and overwrites the message on disk.
func SecureDelete(ctx context.Context, js jetstream.JetStream, stream jetstream.Stream, sequence uint64) error {
	return unlessGone(ctx, js, stream, sequence, stream.SecureDeleteMsg(ctx, sequence))
}

// unlessGone returns the error of a delete, nil when the message is gone. The
// client tells why the server refused in words alone, so the server is asked.
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
// follower, and what that does not have yet would look like what is gone.
func leaderHas(ctx context.Context, js jetstream.JetStream, stream string, sequence uint64) (bool, error) {
	msg, err := FromLeader(ctx, js.Conn(), stream, sequence)
	return msg != nil, err
}
