package main

import (
	"fmt"
	"maps"
	"slices"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/workspacefile"
)

// exportCommand writes a file for import. It reads the log only.
type exportCommand struct {
	Workspace  string `help:"Id of the workspace." required:""`
	storeFlags `embed:""`
}

func (c exportCommand) Run(s console) error {
	w, err := domain.ParseWorkspace(c.Workspace)
	if err != nil {
		return err
	}
	conn, events, _, err := c.attachLog(s)
	if err != nil {
		return err
	}
	defer conn.Close()
	contents, err := workspacefile.Read(s.ctx, events, w)
	if err != nil {
		return err
	}
	text, err := contents.Encode()
	if err != nil {
		return err
	}
	if _, err = s.out.Write(text); err != nil {
		return err
	}
	for _, id := range slices.Sorted(maps.Keys(contents.Unreadable)) {
		_, _ = fmt.Fprintf(s.err, "left out: integration %s: its last event can't be read: %s\n", id, contents.Unreadable[id])
		err = errProblemsFound
	}
	return err
}
