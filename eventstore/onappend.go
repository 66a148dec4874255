package eventstore

import (
	"maps"
	"sync"

	"github.com/nats-io/nats.go"
)

// OnAppend calls do with the events that this process appends, once they are on disk and in
// the order of the log if they were stored together, until the function that it returns is
// called. The tail of the log yields the same events, sooner or later. Do must not block.
func (s *Store) OnAppend(do func([]Commit)) (end func()) { return s.appended.add(do) }

// stored hands on events that are on disk.
func (s *Store) stored(all []lastCommit) {
	commits := make([]Commit, 0, len(all))
	for _, c := range all {
		if c.unknown() == nil {
			commits = append(commits, c.Commit)
		}
	}
	s.appended.pass(commits)
}

// decodeAhead decodes a message while it is being stored: what is handed on is what every
// reader of the log reads. The function that it returns waits for that.
func (s *Store) decodeAhead(msg *nats.Msg) func(position uint64) lastCommit {
	decoded, opened, header := make(chan Commit, 1), make(chan Commit, 1), maps.Clone(msg.Header) // publishing adds to it
	go func() {
		c := s.decode(msg.Subject, 0, header, msg.Data)
		decoded <- c
		opened <- s.opened(c)
	}()
	var once sync.Once
	var last lastCommit
	return func(position uint64) lastCommit {
		once.Do(func() {
			c := <-decoded
			c.Position = position
			s.cache.read(logName, position, msg.Header, msg.Data, func() Commit { return c })
			c = <-opened
			c.Position = position
			last = lastCommit{c, len(msg.Data)}
		})
		return last
	}
}
