package eventstore

import (
	"context"
	"time"
)

// holderKey is where the identity of the log is that an operator has called the only holder
// of its tokens.
const holderKey = "tokens.holder"

// TokensSharedSince returns when this log became one that another installation may go on
// from too: it was restored, or lost its end. Tokens that are older may be in use there, or
// spent. It returns the zero time for a log that never was restored, and for one of which an
// operator has confirmed that nobody else has its tokens (HoldTokens).
func (s *Store) TokensSharedSince(ctx context.Context) (time.Time, error) {
	l := s.Lineage()
	if len(l.Epochs) < 2 {
		return time.Time{}, nil
	}
	if held := s.holder.Load(); held != nil && *held == l.ID() {
		return time.Time{}, nil
	}
	msg, err := s.lastFromLeader(ctx, "KV_"+stateBucket, "$KV."+stateBucket+"."+holderKey)
	if err != nil {
		return time.Time{}, err
	}
	if id := l.ID(); msg != nil && string(msg.Data) == id {
		s.holder.Store(&id)
		return time.Time{}, nil
	}
	last := l.Epochs[len(l.Epochs)-1]
	if last.Began.IsZero() {
		return last.Stream, nil
	}
	return last.Began, nil
}

// HoldTokens records that no other installation has the tokens of this log.
func (s *Store) HoldTokens(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	if _, err := s.state.Put(ctx, holderKey, []byte(s.Lineage().ID())); err != nil {
		return unavailable(err, "record the holder of the tokens")
	}
	return nil
}
