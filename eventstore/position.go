package eventstore

import (
	"context"
	"errors"
	"strconv"

	"github.com/nats-io/nats.go/jetstream"
)

// Position returns how far the subscriber of a name has come, and whether that
// was ever stored. A name is made of letters, digits, dots, hyphens and
// underscores.
func (s *Store) Position(ctx context.Context, subscriber string) (position uint64, known bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	entry, err := s.reached.Get(ctx, subscriber)
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return 0, false, nil
	}
	if err == nil {
		position, err = strconv.ParseUint(string(entry.Value()), 10, 64)
	}
	if err != nil {
		return 0, false, unavailable(err, "read the position of "+subscriber)
	}
	return position, true, nil
}

// SavePosition stores how far the subscriber of a name has come.
func (s *Store) SavePosition(ctx context.Context, subscriber string, position uint64) error {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	if _, err := s.reached.Put(ctx, subscriber, strconv.AppendUint(nil, position, 10)); err != nil {
		return unavailable(err, "store the position of "+subscriber)
	}
	return nil
}
