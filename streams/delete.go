package streams

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
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

// leaderHas asks the leader of a stream whether it has a message. GetMsg may ask
// a follower, and what that does not have yet would look like what is gone.
func leaderHas(ctx context.Context, js jetstream.JetStream, stream string, sequence uint64) (bool, error) {
	msg, err := fromLeader(ctx, js.Conn(), stream, fmt.Appendf(nil, `{"seq":%d}`, sequence))
	return msg != nil, err
}

// LastFromLeader returns the last message on a subject as the leader of its stream
// has it, nil when there is none.
func LastFromLeader(ctx context.Context, nc *nats.Conn, stream, subject string) (*jetstream.RawStreamMsg, error) {
	request, err := json.Marshal(map[string]string{"last_by_subj": subject})
	if err != nil {
		return nil, err
	}
	return fromLeader(ctx, nc, stream, request)
}

// fromLeader asks the leader of a stream for a message, nil when it has none.
func fromLeader(ctx context.Context, nc *nats.Conn, stream string, request []byte) (*jetstream.RawStreamMsg, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	reply, err := nc.RequestWithContext(ctx, "$JS.API.STREAM.MSG.GET."+stream, request)
	if err != nil {
		return nil, err
	}
	var answer struct {
		Error   *jetstream.APIError `json:"error"`
		Message struct {
			Subject  string    `json:"subject"`
			Sequence uint64    `json:"seq"`
			Header   []byte    `json:"hdrs"`
			Data     []byte    `json:"data"`
			Time     time.Time `json:"time"`
		} `json:"message"`
	}
	if err := json.Unmarshal(reply.Data, &answer); err != nil {
		return nil, err
	}
	switch {
	case answer.Error != nil && answer.Error.ErrorCode == jetstream.JSErrCodeMessageNotFound:
		return nil, nil
	case answer.Error != nil:
		return nil, answer.Error
	}
	m := answer.Message
	msg := &jetstream.RawStreamMsg{Subject: m.Subject, Sequence: m.Sequence, Data: m.Data, Time: m.Time}
	if len(m.Header) > 0 {
		msg.Header, err = nats.DecodeHeadersMsg(m.Header)
	}
	return msg, err
}
