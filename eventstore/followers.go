package eventstore

import (
	"context"
	"errors"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Follower is a reader of a log that saves its position: the webhook dispatchers, the
// probe schedule, and the subscribers of other programs.
type Follower struct {
	Name     string    `json:"name"` // of its position, such as webhooks.integrations._all._all
	Position uint64    `json:"position"`
	Head     uint64    `json:"head"`             // of the log
	Lag      uint64    `json:"lag"`              // positions up to the head; 0 when it has read all its events
	Oldest   time.Time `json:"oldest,omitzero"`  // when its next event was recorded
	Progress time.Time `json:"last_progress_at"` // when it last saved its position: it made progress, or had nothing left to read
}

// positionName is the name of a position: subscriber, log, workspace and integration.
var positionName = regexp.MustCompile(`^.+\.(integrations|probes|approvals)\.([^.]+)\.([^.]+)$`)

// Followers returns every reader that saves a position, by name.
func (s *Store) Followers(ctx context.Context) ([]Follower, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	watch, err := s.positions.WatchAll(ctx, jetstream.IgnoreDeletes())
	if err != nil {
		return nil, unavailable(err, "read the followers")
	}
	defer watch.Stop() //nolint:errcheck // it ends with ctx
	var all []Follower
	for {
		select {
		case entry := <-watch.Updates():
			if entry == nil { // every present entry has arrived
				slices.SortFunc(all, func(a, b Follower) int { return strings.Compare(a.Name, b.Name) })
				return all, s.measure(ctx, all)
			}
			position, err := strconv.ParseUint(string(entry.Value()), 10, 64)
			if err == nil && positionName.MatchString(entry.Key()) {
				all = append(all, Follower{Name: entry.Key(), Position: position, Progress: entry.Created().UTC()})
			}
		case <-ctx.Done():
			return nil, unavailable(ctx.Err(), "read the followers")
		}
	}
}

// measure determines how far each follower is behind.
func (s *Store) measure(ctx context.Context, all []Follower) error {
	heads := map[string]uint64{}
	for n := range all {
		f := &all[n]
		parts := positionName.FindStringSubmatch(f.Name)
		stream, prefix := logName, logPrefix
		if parts[1] == "probes" {
			stream, prefix = probeName, probePrefix
		}
		below := ""
		if parts[1] == "approvals" {
			stream, prefix, below = approvalName, approvalPrefix, ".*"
		}
		head, known := heads[stream]
		if !known {
			var err error
			if head, err = s.head(ctx, stream); err != nil {
				return err
			}
			heads[stream] = head
		}
		if f.Head = head; f.Position >= head {
			continue
		}
		filter := prefix + strings.ReplaceAll(parts[2]+"."+parts[3], "_all", "*") + below
		left, err := s.firstAfter(ctx, stream, filter, f.Position)
		if err != nil {
			return err
		}
		if left != nil {
			f.Lag, f.Oldest = head-f.Position, left.Time.UTC()
		}
	}
	return nil
}

// firstAfter returns the first message after a position on the subjects of a filter,
// nil when there is none.
func (s *Store) firstAfter(ctx context.Context, stream, filter string, position uint64) (*jetstream.RawStreamMsg, error) {
	handle, err := s.js.Stream(ctx, stream)
	if err != nil {
		return nil, unavailable(err, "read the followers")
	}
	msg, err := handle.GetMsg(ctx, position+1, jetstream.WithGetMsgSubject(filter))
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil, nil //nolint:nilnil // there is none
	}
	if err != nil {
		return nil, unavailable(err, "read the followers")
	}
	return msg, nil
}
