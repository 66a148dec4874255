package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/seed677028b5/integrations/commands"
	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/internal/terminal"
	"github.com/seed677028b5/integrations/workspacefile"
)

// applyCommand makes workspaces match the files of a folder, once or for as long as it runs. What
// matches already is not changed, secrets included.
type applyCommand struct {
	Folder       string        `name:"folder" short:"f" help:"Folder with a file for each workspace, such as acme.yaml, as export writes it. A secret is written as $${NAME}, which is read from the environment." required:"" type:"existingdir"`
	DryRun       bool          `help:"Show the plans, and write nothing." env:"-" xor:"mode"`
	Watch        bool          `help:"Read the folder again and again, and apply what differs, until the program is stopped." env:"-" xor:"mode"`
	Every        time.Duration `help:"How often --watch reads the folder." default:"30s"`
	DeleteOthers bool          `help:"Delete integrations of these workspaces that are not in their files." env:"-"`
	JSON         bool          `name:"json" help:"Write one JSON object per workspace."`
	profileFlags `embed:""`
	storeFlags   `embed:""`
}

func (c applyCommand) Run(s console) error {
	if c.Watch && c.Every < time.Second {
		return fmt.Errorf("--every: %s must be 1s at least", c.Every)
	}
	conn, service, err := openCommands(s, c.profileFlags, c.storeFlags, !c.DryRun)
	if err != nil {
		return err
	}
	defer conn.Close()
	if !c.Watch {
		return c.reconcile(s, service, c.write)
	}
	again := time.NewTicker(c.Every)
	defer again.Stop()
	shown := map[domain.Workspace]string{} // what was last written of each, so that it is not repeated
	for {
		err := c.reconcile(s, service, func(s console, p *workspacefile.Plan) error { return c.writeChanged(s, p, shown) })
		if err != nil && !errors.Is(err, errProblemsFound) && s.ctx.Err() == nil {
			s.log.ErrorContext(s.ctx, "applying a folder failed; trying again", slog.Any("err", terminal.OperatorError(err)), slog.Duration("pause", c.Every))
		}
		select {
		case <-again.C:
		case <-s.ctx.Done():
			return nil
		}
	}
}

// reconcile plans and applies each file of the folder. A file that can't be read or applied doesn't
// stop the others.
func (c applyCommand) reconcile(s console, service *commands.Service, write func(console, *workspacefile.Plan) error) error {
	files, err := filepath.Glob(filepath.Join(c.Folder, "*.y*ml"))
	if err == nil && len(files) == 0 {
		err = fmt.Errorf("%s has no files such as acme.yaml", c.Folder)
	}
	refused := false
	seen := map[string]string{}
	for n, file := range files {
		if s.ctx.Err() != nil {
			return errors.Join(err, fmt.Errorf("interrupted: %d of %d files remain", len(files)-n, len(files)))
		}
		name := strings.TrimSuffix(filepath.Base(file), filepath.Ext(file))
		if other := seen[name]; other != "" {
			err = errors.Join(err, fmt.Errorf("%s and %s are of the same workspace", other, file))
			continue
		}
		seen[name] = file
		plan, failed := c.plan(s.ctx, s, service, file, name)
		if failed == nil {
			failed = write(s, plan)
			refused = refused || plan.Failed()
		}
		if failed != nil && s.ctx.Err() != nil {
			failed = fmt.Errorf("%s: interrupted", file)
		}
		err = errors.Join(err, failed)
	}
	if err == nil && refused { // the plan has the reasons
		return errProblemsFound
	}
	return err
}

// plan plans one file, and applies the plan.
func (c applyCommand) plan(ctx context.Context, s console, service *commands.Service, file, name string) (*workspacefile.Plan, error) {
	w, err := domain.ParseWorkspace(name)
	if err != nil {
		return nil, fmt.Errorf("%s: the name of the file is that of a workspace: %w", file, err)
	}
	wanted, err := readEntries(s, file)
	if err != nil {
		return nil, err
	}
	by := commands.Caller{Workspace: w, Actor: "operator-cli", RequestID: newID(), MayExec: true}
	plan, err := workspacefile.NewPlan(ctx, service, by, wanted, c.DeleteOthers)
	if err == nil && !c.DryRun && !plan.Refused() {
		plan.Apply(ctx)
	}
	return plan, err
}

// write writes a plan.
func (c applyCommand) write(s console, p *workspacefile.Plan) error {
	if c.JSON {
		return s.writeJSON(p)
	}
	if _, err := fmt.Fprintf(s.out, "workspace %s\n", p.Workspace); err != nil {
		return err
	}
	return p.WriteText(s.out, "run again without --dry-run to apply the plan")
}

// writeChanged writes a plan that changes something, or is refused in another way than the last.
func (c applyCommand) writeChanged(s console, p *workspacefile.Plan, shown map[domain.Workspace]string) error {
	if !p.Refused() && !slices.ContainsFunc(p.Steps, func(step *workspacefile.Step) bool { return step.Action != workspacefile.Keep }) {
		delete(shown, p.Workspace)
		return nil
	}
	var text bytes.Buffer
	if err := c.write(console{ctx: s.ctx, out: &text, err: s.err, log: s.log}, p); err != nil {
		return err
	}
	if p.Refused() && shown[p.Workspace] == text.String() {
		return nil
	}
	shown[p.Workspace] = text.String()
	_, err := s.out.Write(text.Bytes())
	return err
}
