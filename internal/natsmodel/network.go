package natsmodel

import "time"

// A Network decides what happens to messages. All of its methods are called by one goroutine.
type Network interface {
	// Request decides on a message of a client. The subject is without what is random.
	Request(client, subject string) Fate
	// Reply decides on what the server sends to a client because of such a message.
	Reply(client, subject string) Fate
	// Behind reports whether a read of a stream that any replica may answer is answered by
	// one that is behind.
	Behind(client, stream string) bool
}

// Fate is what happens to a message.
type Fate struct {
	After time.Duration // how long it takes
	Lost  bool
}

// calm is a network in which nothing is late or lost.
type calm struct{}

func (calm) Request(_, _ string) Fate { return Fate{} }

func (calm) Reply(_, _ string) Fate { return Fate{} }

func (calm) Behind(_, _ string) bool { return false }
