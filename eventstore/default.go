package eventstore

import (
	"context"
	"errors"

	"github.com/nats-io/nats.go/jetstream"
)

// defaultPrefix begins the keys of defaults in the bucket of the log's state.
const defaultPrefix = "default."

// NewDefault reports whether a default that another version changed holds for this log: it
// does if the log was empty when a process first asked for it, by its name. The answer is
// stored, and stays the same. A name consists of letters, digits and hyphens.
func (s *Store) NewDefault(ctx context.Context, name string) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	const isNew, isOld = "new", "old"
	for {
		entry, err := s.state.Get(ctx, defaultPrefix+name)
		if err == nil {
			return string(entry.Value()) == isNew, nil
		}
		if !errors.Is(err, jetstream.ErrKeyNotFound) {
			return false, unavailable(err, "read a default")
		}
		head, err := s.Head(ctx)
		if err != nil {
			return false, err
		}
		value := isOld
		if head == 0 {
			value = isNew
		}
		_, err = s.state.Create(ctx, defaultPrefix+name, []byte(value))
		if err != nil && !errors.Is(err, jetstream.ErrKeyExists) { // another process may be first
			return false, unavailable(err, "store a default")
		}
	}
}
