package streams

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// ErrNoLeader means that the server which answered may lead the stream no more.
var ErrNoLeader = errors.New("the leader of the stream has lost touch with the other servers")

// heardWithin is less than the shortest time after which servers that no longer hear their
// leader elect another one: 4 s, minElectionTimeout in raft.go of nats-server.
const heardWithin = 3 * time.Second

// Info returns the state of a stream as its leader has it. A leader that is cut off, or was
// frozen, goes on answering with what it had. Until a majority was heard from, Info asks
// again; when ctx ends, the error is ErrNoLeader.
func Info(ctx context.Context, js jetstream.JetStream, stream string, opts ...jetstream.StreamInfoOpt) (*jetstream.StreamInfo, error) {
	for {
		s, err := js.Stream(ctx, stream) // a fresh handle: Info would write to a shared one
		if err != nil {
			return nil, err
		}
		info := s.CachedInfo()
		if len(opts) > 0 {
			if info, err = s.Info(ctx, opts...); err != nil {
				return nil, err
			}
		}
		if leads(info.Cluster) {
			return info, nil
		}
		if !Wait(ctx, heardWithin/20) {
			return nil, errors.Join(ErrNoLeader, ctx.Err())
		}
	}
}

// leads reports whether a leader has heard from a majority, itself included, so lately that
// none of these servers follows another leader.
func leads(c *jetstream.ClusterInfo) bool {
	if c == nil {
		return true
	}
	heard := 1
	for _, r := range c.Replicas {
		if r.Current && !r.Offline && r.Active < heardWithin {
			heard++
		}
	}
	return heard > (len(c.Replicas)+1)/2
}
