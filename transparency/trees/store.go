// Package trees keeps the Merkle trees of the logs, and everything that is read from them:
// tiles, checkpoints, proofs and exports.
//
// Its one promise: a checkpoint is signed only for messages that are in the log, and the tree
// of one identity of a log only grows. What it keeps can be built again from the log, except
// the hashes of messages that have expired.
package trees

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/streams"
	"github.com/seed677028b5/integrations/transparency"
)

// Stream is the stream that has the trees.
const Stream = "TREES"

const (
	prefix  = "trees."
	timeout = 5 * time.Second // of one request to NATS
)

// Store has the trees.
type Store struct {
	nc *nats.Conn
	js jetstream.JetStream
}

// Open returns the store, and creates its stream if it does not exist.
func Open(ctx context.Context, nc *nats.Conn, replicas int) (*Store, error) {
	js, err := jetstream.New(nc)
	if err != nil {
		return nil, fmt.Errorf("open the trees: %w", err)
	}
	if _, err := streams.Ensure(ctx, js, jetstream.StreamConfig{
		Name: Stream, Subjects: []string{prefix + ">"}, AllowDirect: true, Replicas: max(replicas, 1), MaxMsgsPerSubject: 1,
	}); err != nil {
		return nil, fmt.Errorf("open the trees: %w", err)
	}
	return &Store{nc, js}, nil
}

// Attach returns the trees that exist, for a program that creates nothing.
func Attach(nc *nats.Conn) (*Store, error) {
	js, err := jetstream.New(nc)
	if err != nil {
		return nil, fmt.Errorf("open the trees: %w", err)
	}
	return &Store{nc, js}, nil
}

// A State is a tree and its last checkpoint. Its full tiles are stored beside it.
type State struct {
	Identity string            `json:"identity"` // of the log
	Edge     transparency.Edge `json:"edge"`
	Note     string            `json:"note"`

	sequence uint64    // of its message; 0: there is none
	at       time.Time // when it was stored
}

// Checkpoint returns the checkpoint of the state, as it was signed.
func (s State) Checkpoint(log transparency.Log) transparency.Checkpoint {
	return transparency.Checkpoint{Origin: transparency.OriginOf(log, s.Identity), Size: s.Edge.Size, Root: s.Edge.Root(), Note: s.Note}
}

// At returns when the state was stored.
func (s State) At() time.Time { return s.at }

// State returns the tree of a log as the leader of the stream has it. The error is of kind
// NotFound while there is none.
func (t *Store) State(ctx context.Context, log transparency.Log) (State, error) {
	s, err := t.load(ctx, log)
	if err == nil && s.sequence == 0 {
		err = domain.Errorf(domain.NotFound, "checkpoint_not_found", "there is no checkpoint of this log yet")
	}
	return s, err
}

// load is State with the zero State when there is none.
func (t *Store) load(ctx context.Context, log transparency.Log) (State, error) {
	msg, err := streams.LastFromLeader(ctx, t.nc, Stream, stateSubject(log))
	if err != nil {
		return State{}, unavailable(err)
	}
	if msg == nil {
		return State{}, nil
	}
	var s State
	if err := json.Unmarshal(msg.Data, &s); err != nil {
		return State{}, fmt.Errorf("read the tree of %s: %w", log, err)
	}
	if err := s.Edge.Check(); err != nil {
		return State{}, fmt.Errorf("read the tree of %s: %w", log, err)
	}
	s.sequence, s.at = msg.Sequence, msg.Time
	return s, nil
}

// save stores a state after the one that it was made from. It fails when another process has
// stored one in between.
func (t *Store) save(ctx context.Context, log transparency.Log, s *State) error {
	data, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("write the tree of %s: %w", log, err)
	}
	ack, err := t.publish(ctx, stateSubject(log), data, s.sequence)
	if err != nil {
		return err
	}
	s.sequence = ack
	return nil
}

// saveTile stores a full tile. One that is there already has the same hashes, unless the log
// was replaced since.
func (t *Store) saveTile(ctx context.Context, log transparency.Log, tile transparency.Tile) error {
	data, subject := transparency.EncodeTile(tile.Hashes), tileSubject(log, tile.Level, tile.Index)
	_, err := t.publish(ctx, subject, data, 0)
	for streams.IsConflict(err) {
		var msg *jetstream.RawStreamMsg
		if msg, err = streams.LastFromLeader(ctx, t.nc, Stream, subject); err != nil {
			return unavailable(err)
		}
		if msg == nil || string(msg.Data) == string(data) {
			return nil
		}
		_, err = t.publish(ctx, subject, data, msg.Sequence)
	}
	return err
}

func (t *Store) publish(ctx context.Context, subject string, data []byte, after uint64) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	ack, err := t.js.PublishMsg(ctx, &nats.Msg{Subject: subject, Data: data}, jetstream.WithExpectLastSequencePerSubject(after))
	switch {
	case streams.IsConflict(err):
		return 0, fmt.Errorf("write %s: %w", subject, err)
	case err != nil:
		return 0, unavailable(err)
	}
	return ack.Sequence, nil
}

// Tile returns the hashes of a tile of the tree of a state: all that it has.
func (t *Store) Tile(ctx context.Context, log transparency.Log, s State, level int, index uint64) ([]transparency.Hash, error) {
	if level >= 8 {
		return nil, nil
	}
	switch last := s.Edge.Size >> (8 * (level + 1)); {
	case index > last, index == last && level >= len(s.Edge.Levels):
		return nil, nil
	case index == last:
		return s.Edge.Levels[level], nil
	}
	msg, err := streams.LastFromLeader(ctx, t.nc, Stream, tileSubject(log, level, index))
	if err != nil {
		return nil, unavailable(err)
	}
	if msg == nil {
		return nil, fmt.Errorf("the tree of %s lacks tile %d of level %d", log, index, level)
	}
	return transparency.DecodeTile(msg.Data)
}

// source returns the tiles of a state. It keeps the last one of each level.
func (t *Store) source(ctx context.Context, log transparency.Log, s State) transparency.TileSource {
	type kept struct {
		index  uint64
		hashes []transparency.Hash
	}
	last := map[int]kept{}
	return func(level int, index uint64, _ int) ([]transparency.Hash, error) {
		if k, ok := last[level]; ok && k.index == index {
			return k.hashes, nil
		}
		hashes, err := t.Tile(ctx, log, s, level, index)
		if err == nil {
			last[level] = kept{index, hashes}
		}
		return hashes, err
	}
}

// Tiled returns the tree of a state, to prove what is in it.
func (t *Store) Tiled(ctx context.Context, log transparency.Log, s State) (*transparency.Tiled, error) {
	return transparency.NewTiled(s.Edge.Size, s.Edge.Root(), t.source(ctx, log, s))
}

func stateSubject(log transparency.Log) string { return prefix + string(log) + ".state" }

func tileSubject(log transparency.Log, level int, index uint64) string {
	return fmt.Sprintf("%s%s.tile.%d.%d", prefix, log, level, index)
}

func unavailable(err error) error {
	return domain.Wrap(fmt.Errorf("trees: %w", err), domain.Unavailable, "trees_unavailable", "the trees of the logs are unavailable; try again")
}
