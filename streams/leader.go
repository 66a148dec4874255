package streams

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// LastFromLeader asks the leader of a stream for the last message on a subject. It
// returns nil when there is none.
func LastFromLeader(ctx context.Context, nc *nats.Conn, stream, subject string) (*jetstream.RawStreamMsg, error) {
	request, err := json.Marshal(map[string]string{"last_by_subj": subject})
	if err != nil {
		return nil, err
	}
	return fromLeader(ctx, nc, stream, request)
}

// FromLeader asks the leader of a stream for the message at a sequence. It returns
// nil when there is none.
func FromLeader(ctx context.Context, nc *nats.Conn, stream string, sequence uint64) (*jetstream.RawStreamMsg, error) {
	return fromLeader(ctx, nc, stream, fmt.Appendf(nil, `{"seq":%d}`, sequence))
}

// NextFromLeader asks the leader of a stream for the first message at or after a
// sequence on a subject, which may have wildcards. It returns nil when there is none.
func NextFromLeader(ctx context.Context, nc *nats.Conn, stream, subject string, from uint64) (*jetstream.RawStreamMsg, error) {
	request, err := json.Marshal(struct {
		From    uint64 `json:"seq"`
		Subject string `json:"next_by_subj"`
	}{max(from, 1), subject})
	if err != nil {
		return nil, err
	}
	return fromLeader(ctx, nc, stream, request)
}

// LastSequence returns the last sequence that the leader of a stream has, 0 when the
// stream is empty.
func LastSequence(ctx context.Context, js jetstream.JetStream, stream string) (uint64, error) {
	info, err := Info(ctx, js, stream)
	if err != nil || info.State.Msgs == 0 {
		return 0, err
	}
	return info.State.LastSeq, nil
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
