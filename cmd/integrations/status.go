package main

import (
	"encoding/json"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/seed677028b5/integrations/eventstore"
	"github.com/seed677028b5/integrations/projections"
)

// statusCommand shows how everything stands, and changes nothing.
type statusCommand struct {
	JSON       bool `name:"json" help:"Write JSON."`
	storeFlags `embed:""`
}

// status is what --json writes.
type status struct {
	Service      string                  `json:"service"`    // running, stopped, or unknown: beside a NATS server of others nobody can tell
	Generation   uint64                  `json:"generation"` // of the read model; 0: none
	Log          eventstore.Integrity    `json:"log"`        // what of the log is there
	Integrations standing                `json:"integrations"`
	Probes       standing                `json:"probes"`
	Parked       []parked                `json:"parked"`
	Followers    []eventstore.Follower   `json:"followers"` // other readers of the logs
	Webhooks     pendingStatus           `json:"webhooks"`
	DeadLetters  uint64                  `json:"dead_letters"`
	LastDead     []eventstore.DeadLetter `json:"last_dead_letters"`
	Streams      []eventstore.StreamSize `json:"streams"`
	Problem      string                  `json:"problem,omitempty"` // why the read model can't be read
}

// standing is how far a log is shown.
type standing struct {
	Head     uint64 `json:"head"`
	Position uint64 `json:"position"`
	Lag      uint64 `json:"lag"`
}

// parked is an integration that is shown as it was before an event.
type parked struct {
	Workspace string    `json:"workspace_id"`
	ID        string    `json:"integration_id"`
	Position  uint64    `json:"position"`
	Reason    string    `json:"reason"`
	At        time.Time `json:"at"`
}

// deadLettersShown bounds how many dead letters are listed.
const deadLettersShown = 20

func (c statusCommand) Run(s streams) error {
	b, events, running, err := attachLog(s, c.storeFlags)
	if err != nil {
		return err
	}
	defer b.close()
	st := status{Service: "stopped", Parked: []parked{}, LastDead: []eventstore.DeadLetter{}}
	switch {
	case c.NATSURL != "":
		st.Service = "unknown"
	case running:
		st.Service = "running"
	}
	if err := st.readModel(s, c.storeFlags); err != nil {
		st.Problem = told(err).Error()
	}
	if err := st.readLog(s, events); err != nil {
		return err
	}
	if err := st.readFollowers(s, events, b.nc); err != nil {
		return err
	}
	mark, err := c.readMark()
	if err != nil {
		return err
	}
	if st.Log, err = events.Inspect(s.ctx, eventstore.Scrubbed{}, mark); err != nil {
		return err
	}
	if err := st.tell(s, c.JSON); err != nil {
		return err
	}
	if st.Problem != "" || len(st.Parked) > 0 || !st.Log.Whole() {
		return errFound
	}
	return nil
}

// readLog reads the logs after the read model, so that one that is ahead of them
// is of another log.
func (st *status) readLog(s streams, events *eventstore.Store) (err error) {
	if st.Integrations.Head, err = events.Head(s.ctx); err != nil {
		return err
	}
	if st.Probes.Head, err = events.ProbeHead(s.ctx); err != nil {
		return err
	}
	for _, log := range []*standing{&st.Integrations, &st.Probes} {
		log.Lag = log.Head - min(log.Head, log.Position)
		if log.Position > log.Head {
			st.Problem = projections.ErrOtherLog.Error()
		}
	}
	letters, total, err := events.DeadLetters(s.ctx, deadLettersShown)
	if err != nil {
		return err
	}
	st.DeadLetters, st.LastDead = total, append(st.LastDead, letters...)
	st.Streams, err = events.Streams(s.ctx)
	return err
}

func (st *status) readModel(s streams, f storeFlags) error {
	generations, err := openGenerations(s.ctx, f, s.log)
	if err != nil {
		return err
	}
	defer generations.Close() //nolint:errcheck // nothing was written
	n, store, err := openLive(s.ctx, generations)
	st.Generation = n
	if err != nil {
		return err
	}
	defer store.Close() //nolint:errcheck // nothing was written
	at, err := store.Positions(s.ctx)
	if err != nil {
		return err
	}
	st.Integrations.Position, st.Probes.Position = at.Integrations, at.Probes
	all, err := store.Parked(s.ctx)
	if err != nil {
		return err
	}
	for _, p := range all {
		st.Parked = append(st.Parked, parked{string(p.Workspace), string(p.ID), p.Position, p.Reason, p.At})
	}
	return nil
}

func (st *status) tell(s streams, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(s.out).Encode(st)
	}
	table := tabwriter.NewWriter(s.out, 0, 4, 2, ' ', 0)
	line := func(format string, args ...any) { _, _ = fmt.Fprintf(table, format+"\n", args...) }
	line("service\t%s", st.Service)
	line("log\t%d events\t%s", st.Log.Messages, st.Log.Describe())
	line("read model\tgeneration %d", st.Generation)
	line("integrations\tposition %d of %d\t%d behind", st.Integrations.Position, st.Integrations.Head, st.Integrations.Lag)
	line("probes\tposition %d of %d\t%d behind", st.Probes.Position, st.Probes.Head, st.Probes.Lag)
	line("parked\t%d", len(st.Parked))
	line("dead letters\t%d", st.DeadLetters)
	st.showFollowers(line)
	line("\nSTREAM\tMESSAGES\tBYTES")
	for _, stream := range st.Streams {
		line("%s\t%d\t%d", stream.Name, stream.Messages, stream.Bytes)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	for _, p := range st.Parked {
		line("parked: %s/%s since position %d: %s", p.Workspace, p.ID, p.Position, printable(p.Reason))
	}
	for _, d := range st.LastDead {
		line("dead letter: %s/%s position %d, %s: %s", d.Workspace, d.ID, d.Position, d.At.UTC().Format(time.RFC3339), printable(d.Reason))
	}
	if st.Problem != "" {
		line("wrong: %s", st.Problem)
	}
	return table.Flush()
}
