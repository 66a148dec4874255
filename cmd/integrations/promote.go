package main

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/seed677028b5/integrations/commands"
	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/eventstore"
	"github.com/seed677028b5/integrations/internal/terminal"
	"github.com/seed677028b5/integrations/workspacefile"
)

// promoteCommand brings the configuration of a workspace to another. Without --apply it shows
// the changes and writes nothing.
type promoteCommand struct {
	From         string `arg:"" help:"Id of a workspace, or a YAML file as export writes it; - reads it from the standard input."`
	To           string `help:"Id of the workspace to change." required:"" env:"-"`
	With         string `help:"YAML file with what is different there: integrations by name with the members that they have instead, secrets among them. A secret is written as $${NAME}, which is read from the environment." type:"existingfile" env:"-"`
	Apply        bool   `help:"Apply the plan." env:"-"`
	DeleteOthers bool   `help:"Delete integrations that are not promoted." env:"-"`
	JSON         bool   `name:"json" help:"Write JSON."`
	profileFlags `embed:""`
	storeFlags   `embed:""`
}

func (c promoteCommand) Run(s console) error {
	to, err := domain.ParseWorkspace(c.To)
	if err != nil {
		return err
	}
	if c.From == c.To {
		return errors.New("the two workspaces are the same")
	}
	if c.From == "-" && c.With == "-" {
		return errors.New("only one of the two files can be the standard input")
	}
	conn, service, err := openCommands(s, c.profileFlags, c.storeFlags, c.Apply)
	if err != nil {
		return err
	}
	defer conn.Close()
	wanted, known, err := readSide(s, c.From, service.Events)
	if err == nil && !known {
		err = fmt.Errorf("workspace %s has no events: nothing was ever in it", c.From)
	}
	if err != nil {
		return err
	}
	if c.With != "" {
		changes, err := readFile(c.With)
		if err != nil {
			return err
		}
		if wanted, err = workspacefile.Overlay(wanted, changes); err != nil {
			return fmt.Errorf("%s: %w", c.With, err)
		}
	}
	if err := expandSecrets(s, c.From, wanted); err != nil {
		return err
	}
	by := commands.Caller{Workspace: to, Actor: "operator-cli", RequestID: newID(), MayExec: true}
	plan, err := workspacefile.NewPlan(s.ctx, service, by, wanted, c.DeleteOthers)
	if err != nil {
		return err
	}
	return s.finishPlan(plan, c.Apply, c.JSON)
}

// diffCommand compares two workspaces.
type diffCommand struct {
	First      string `arg:"" help:"Id of a workspace, or a YAML file as export writes it; - reads it from the standard input."`
	Second     string `arg:"" help:"Another workspace or file."`
	JSON       bool   `name:"json" help:"Write JSON."`
	storeFlags `embed:""`
}

func (c diffCommand) Run(s console) error {
	if c.First == c.Second {
		return errors.New("the two are the same")
	}
	var events *eventstore.Store
	if !isFile(c.First) || !isFile(c.Second) {
		conn, opened, _, err := c.attachLog(s)
		if err != nil {
			return err
		}
		defer conn.Close()
		events = opened
	}
	first, _, err := readSide(s, c.First, events)
	if err != nil {
		return err
	}
	second, _, err := readSide(s, c.Second, events)
	if err != nil {
		return err
	}
	differences := workspacefile.Compare(first, second)
	if c.JSON {
		err = s.writeJSON(differences)
	} else {
		err = differences.WriteText(s.out, c.First, c.Second)
	}
	if err == nil && len(differences.Integrations) > 0 {
		return errProblemsFound
	}
	return err
}

// isFile reports whether an argument names a file: the id of a workspace has neither a dot nor a slash.
func isFile(side string) bool {
	return side == "-" || strings.ContainsAny(side, "./"+string(os.PathSeparator))
}

// readSide reads a workspace or a file, and reports whether the log knows the workspace. One that can't
// be read as a whole is an error.
func readSide(s console, side string, events *eventstore.Store) (all []workspacefile.Entry, known bool, err error) {
	if isFile(side) {
		all, err = readFile(side)
		return all, true, err
	}
	w, err := domain.ParseWorkspace(side)
	if err != nil {
		return nil, false, fmt.Errorf("%s: %w", terminal.Printable(side), err)
	}
	contents, err := workspacefile.Read(s.ctx, events, w)
	if err != nil {
		return nil, false, err
	}
	for _, id := range slices.Sorted(maps.Keys(contents.Unreadable)) {
		err = errors.Join(err, fmt.Errorf("integration %s of workspace %s: its last event can't be read: %w", id, w, contents.Unreadable[id]))
	}
	return contents.Entries(), contents.Known, err
}
