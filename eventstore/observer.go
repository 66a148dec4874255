package eventstore

import (
	"time"

	"github.com/seed677028b5/integrations/streams"
)

// AppendOutcome is what an append to the log led to.
type AppendOutcome string

// Outcomes of appends.
const (
	AppendOK       AppendOutcome = "ok"
	AppendConflict AppendOutcome = "conflict" // another event was first
	AppendFailed   AppendOutcome = "failed"   // not stored, or not known to be
)

// Observer is notified of appends to the log. A nil function is not called.
type Observer struct {
	Appended  func(took time.Duration, outcome AppendOutcome) // an append has ended, its wait for others included
	Committed func(events int)                                // the server has stored one event, or a batch
}

// Observe sets the observer. It must be called before the first append.
func (s *Store) Observe(o Observer) { s.appends.observe = o }

func (o Observer) appended(start time.Time, err error) {
	if o.Appended == nil {
		return
	}
	outcome := AppendOK
	switch {
	case streams.IsConflict(err):
		outcome = AppendConflict
	case err != nil:
		outcome = AppendFailed
	}
	o.Appended(time.Since(start), outcome)
}

func (o Observer) committed(events int) {
	if o.Committed != nil {
		o.Committed(events)
	}
}
