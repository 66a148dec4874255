package eventstore

import (
	"context"
	"strings"
	"time"
)

// PositionAt returns the position of the first message of a stream that was stored at a time or
// later, 0 when there is none.
func (s *Store) PositionAt(ctx context.Context, stream string, at time.Time) (uint64, error) {
	position, err := s.firstAt(ctx, stream, ">", at)
	if err != nil {
		return 0, unavailable(err, "read "+stream)
	}
	return position, nil
}

// Decode returns a message of the log as reading the log returns it.
func (s *Store) Decode(m Message) Commit { return s.commit(m.Subject, m.Position, m.Header, m.Data) }

// Stored returns a message as a replay yields it, and whether r selects it, leaving Follow aside.
func (r Replay) Stored(m Message) (Stored, bool) {
	parts := strings.Split(m.Subject, ".") // the prefix, the workspace, the integration
	selected := len(parts) >= 3 && m.Position > r.After && !m.Time.Before(r.From) &&
		(r.Of.Workspace == "" || parts[1] == string(r.Of.Workspace)) && (r.Of.ID == "" || parts[2] == string(r.Of.ID)) &&
		(r.Of.Authorizations || r.Approvals || len(parts) == 3)
	return Stored{Position: m.Position, header: m.Header, data: m.Data}, selected
}
