package eventstore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"
)

// Checkpoint decodes into v the JSON that a reader of the log stored under a name,
// and reports whether there is any. Names follow the rules of Position.
func (s *Store) Checkpoint(ctx context.Context, name string, v any) (known bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	entry, err := s.positions.Get(ctx, name)
	switch {
	case errors.Is(err, jetstream.ErrKeyNotFound):
		return false, nil
	case err != nil:
		return false, unavailable(err, "read the checkpoint "+name)
	}
	if err := json.Unmarshal(entry.Value(), v); err != nil {
		return false, fmt.Errorf("read the checkpoint %s: %w", name, err)
	}
	return true, nil
}

// SaveCheckpoint stores v, as JSON, under a name.
func (s *Store) SaveCheckpoint(ctx context.Context, name string, v any) error {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	data, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("store the checkpoint %s: %w", name, err)
	}
	if _, err := s.positions.Put(ctx, name, data); err != nil {
		return unavailable(err, "store the checkpoint "+name)
	}
	return nil
}
