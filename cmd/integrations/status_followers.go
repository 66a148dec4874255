package main

import (
	"time"

	"github.com/nats-io/nats.go"

	"github.com/seed677028b5/integrations/eventstore"
	"github.com/seed677028b5/integrations/webhooks"
)

// pendingStatus is how many webhooks wait to be delivered.
type pendingStatus struct {
	Pending uint64    `json:"pending"`
	Oldest  time.Time `json:"oldest_pending_at,omitzero"`
}

// readFollowers finds out how the other readers of the logs stand.
func (st *status) readFollowers(s streams, events *eventstore.Store, nc *nats.Conn) (err error) {
	if st.Followers, err = events.Followers(s.ctx); err != nil {
		return err
	}
	for n, f := range st.Followers {
		st.Followers[n].Name = followerName(f.Name)
	}
	st.Webhooks.Pending, st.Webhooks.Oldest, err = webhooks.PendingOn(s.ctx, nc)
	return err
}

// showFollowers writes a line for each. The age of the last sign of progress tells
// one that has nothing left from one that is gone: the first shows it every 10 s.
func (st *status) showFollowers(line func(format string, args ...any)) {
	now := clock()
	ago := func(at time.Time) string {
		if at.IsZero() {
			return "-"
		}
		return max(0, now.Sub(at)).Round(time.Second).String()
	}
	line("webhooks pending\t%d\toldest %s", st.Webhooks.Pending, ago(st.Webhooks.Oldest))
	if len(st.Followers) == 0 {
		return
	}
	line("\nFOLLOWER\tPOSITION\tHEAD\tBEHIND\tBEHIND FOR\tLAST PROGRESS AGO")
	for _, f := range st.Followers {
		line("%s\t%d\t%d\t%d\t%s\t%s", printable(f.Name), f.Position, f.Head, f.Lag, ago(f.Oldest), ago(f.Progress))
	}
}
