package eventstore

import (
	"maps"
	"sync"

	"github.com/nats-io/nats.go"

	"github.com/seed677028b5/integrations/streams"
)

// OnAppend calls do with the events that this process appends, once they are on disk and in
// the order of the log if they were stored together, until the function that it returns is
// called. The tail of the log yields the same events, sooner or later. Do must not block.
func (s *Store) OnAppend(do func([]Commit)) (end func()) { return s.appended.add(do) }

// stored hands on events that are on disk.
func (s *Store) stored(all []ownCommit) {
	commits, kept := make([]Commit, 0, len(all)), make([]ownCommit, 0, len(all))
	for _, c := range all {
		if c.unknown() == nil {
			commits, kept = append(commits, c.Commit), append(kept, c)
		}
	}
	s.appended.pass(commits)
	s.events.add(s.era(), kept...)
}

// decodeAhead decodes a message while it is being stored: what is handed on is what every
// reader of the log reads. The function that it returns waits for that.
func (s *Store) decodeAhead(now era, msg *nats.Msg) func(position uint64) ownCommit {
	decoded, opened, header := make(chan Commit, 1), make(chan Commit, 1), maps.Clone(msg.Header) // publishing adds to it
	go func() {
		c := s.decode(msg.Subject, 0, header, msg.Data)
		decoded <- c
		opened <- s.opened(c)
	}()
	var once sync.Once
	own := ownCommit{era: now}
	return func(position uint64) ownCommit {
		once.Do(func() {
			own.sealed = <-decoded
			own.sealed.Position = position
			s.cache.read(logName, position, msg.Header, msg.Data, func() Commit { return own.sealed })
			own.lastCommit = lastCommit{<-opened, len(msg.Data)}
			own.Position = position
		})
		return own
	}
}

// loseKept forgets what is kept when it is unknown whether an append was stored.
func (s *Store) loseKept(err error) {
	if err != nil && !notStored(err) && !streams.IsConflict(err) {
		s.events.lose()
	}
}
