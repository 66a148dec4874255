package main

import (
	"fmt"
	"time"

	"github.com/seed677028b5/integrations/audit"
	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/internal/terminal"
)

// historyCommand shows the events of an integration, read from the log.
type historyCommand struct {
	Integration string `arg:"" help:"Id or name of the integration."`
	Workspace   string `help:"Id of the workspace." required:""`
	JSON        bool   `name:"json" help:"Write one JSON object per line."`
	storeFlags  `embed:""`
}

// historyLine is an event as --json writes it.
type historyLine struct {
	Position  uint64          `json:"position"`
	Version   uint64          `json:"version"`
	Type      string          `json:"type"`
	Time      time.Time       `json:"time"`
	Actor     string          `json:"actor"`
	Address   string          `json:"address,omitempty"`
	RequestID string          `json:"request_id,omitempty"`
	Changed   []domain.Change `json:"changed"`
	Problem   string          `json:"problem,omitempty"`
}

func (c historyCommand) Run(s console) error {
	w, err := domain.ParseWorkspace(c.Workspace)
	if err != nil {
		return err
	}
	conn, events, _, err := c.attachLog(s)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := c.openNames(s.ctx, conn, events); err != nil {
		return err
	}
	log := audit.Log{Events: events}
	archived, err := log.HistoryArchivedThrough(s.ctx, w, domain.ParseID(w, c.Integration))
	if err != nil {
		return err
	}
	if archived > 0 {
		_, _ = fmt.Fprintf(s.err, "events up to position %d were removed from the log; replay --archive reads them\n", archived)
	}
	var after uint64
	for more := true; more; {
		var entries []audit.Entry
		if entries, more, err = log.History(s.ctx, w, domain.ParseID(w, c.Integration), after, 200); err != nil {
			return err
		}
		for _, e := range entries {
			if err := c.show(s, e); err != nil {
				return err
			}
			after = e.Position
		}
	}
	return nil
}

func (c historyCommand) show(s console, e audit.Entry) error {
	if c.JSON {
		return s.writeJSON(historyLine{
			Position: e.Position, Version: e.Version, Type: e.Type, Time: e.At, Actor: e.Actor, Address: e.Address,
			RequestID: e.RequestID, Changed: e.Changes, Problem: e.Unread,
		})
	}
	if _, err := fmt.Fprintf(s.out, "v%-4d %s  %-22s by %s (request %s)\n", e.Version, e.At.Format(time.RFC3339), e.Type+e.Unread, e.Actor, e.RequestID); err != nil {
		return err
	}
	for _, change := range e.Changes {
		line := "a secret changed"
		if !change.Secret {
			line = fmt.Sprintf("%s -> %s", terminal.ShortJSON(change.Old), terminal.ShortJSON(change.New))
		}
		if _, err := fmt.Fprintf(s.out, "        %s: %s\n", change.Pointer, line); err != nil {
			return err
		}
	}
	return nil
}
