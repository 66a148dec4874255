package main

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/seed677028b5/integrations/audit"
	"github.com/seed677028b5/integrations/domain"
)

// historyCommand shows the events of one integration, read from the log itself.
type historyCommand struct {
	Workspace   string `arg:"" help:"Id of the workspace."`
	Integration string `arg:"" help:"Id or name of the integration."`
	JSON        bool   `name:"json" help:"Write one JSON object a line."`
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

func (c historyCommand) Run(s streams) error {
	w, err := domain.ParseWorkspace(c.Workspace)
	if err != nil {
		return err
	}
	b, events, _, err := attachLog(s, c.storeFlags)
	if err != nil {
		return err
	}
	defer b.close()
	log := audit.Log{Events: events}
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

func (c historyCommand) show(s streams, e audit.Entry) error {
	if c.JSON {
		return json.NewEncoder(s.out).Encode(historyLine{
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
			line = fmt.Sprintf("%s -> %s", short(change.Old), short(change.New))
		}
		if _, err := fmt.Fprintf(s.out, "        %s: %s\n", change.Pointer, line); err != nil {
			return err
		}
	}
	return nil
}

// short returns v as JSON, cut where it would fill the screen.
func short(v any) string {
	data, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	if text := []rune(string(data)); len(text) > 100 {
		return string(text[:100]) + "…"
	}
	return string(data)
}
