package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"

	"github.com/seed677028b5/integrations/commands"
	"github.com/seed677028b5/integrations/connectors"
	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/eventstore"
	"github.com/seed677028b5/integrations/internal/natsconn"
	"github.com/seed677028b5/integrations/internal/terminal"
	"github.com/seed677028b5/integrations/vault"
	"github.com/seed677028b5/integrations/workspacefile"
)

// importCommand makes a workspace match a file. Without --apply it shows the changes
// and writes nothing.
type importCommand struct {
	Workspace    string `help:"Id of the workspace." required:""`
	File         string `arg:"" help:"YAML file, as export writes it. A secret is written as $${NAME}, which is read from the environment." type:"existingfile"`
	Apply        bool   `help:"Apply the plan." env:"-"`
	DeleteOthers bool   `help:"Delete integrations that are not in the file." env:"-"`
	JSON         bool   `name:"json" help:"Write JSON."`
	profileFlags `embed:""`
	storeFlags   `embed:""`
}

func (c importCommand) Run(s console) error {
	w, err := domain.ParseWorkspace(c.Workspace)
	if err != nil {
		return err
	}
	wanted, err := readEntries(s, c.File)
	if err != nil {
		return err
	}
	conn, service, err := openCommands(s, c.profileFlags, c.storeFlags, c.Apply)
	if err != nil {
		return err
	}
	defer conn.Close()
	by := commands.Caller{Workspace: w, Actor: "operator-cli", RequestID: newID(), MayExec: true}
	plan, err := workspacefile.NewPlan(s.ctx, service, by, wanted, c.DeleteOthers)
	if err != nil {
		return err
	}
	return s.finishPlan(plan, c.Apply, c.JSON)
}

// readEntries reads a file, and its secrets from the environment.
func readEntries(s console, file string) ([]workspacefile.Entry, error) {
	all, err := readFile(file)
	if err != nil {
		return nil, err
	}
	return all, expandSecrets(s, file, all)
}

// readFile reads a file, or the standard input if it is "-".
func readFile(name string) (all []workspacefile.Entry, err error) {
	var text []byte
	if name == "-" {
		text, err = io.ReadAll(os.Stdin)
	} else {
		text, err = os.ReadFile(name) //nolint:gosec // the operator names it
	}
	if err == nil {
		all, err = workspacefile.Parse(text)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return all, nil
}

// expandSecrets reads the secrets of a file from the environment.
func expandSecrets(s console, file string, all []workspacefile.Entry) error {
	var missing error
	place := func(e workspacefile.Entry, p workspacefile.Problem) string {
		at := fmt.Sprintf("%s %s", terminal.Printable(e.Name), terminal.Printable(p.Pointer))
		if p.Line > 0 {
			at = fmt.Sprintf("%s: line %d: %s", file, p.Line, at)
		}
		return at
	}
	for _, e := range all {
		wrong, literal := e.ExpandSecrets(os.LookupEnv)
		for _, l := range literal {
			_, _ = fmt.Fprintf(s.err, "warning: %s %s\n", place(e, l), l.Detail)
		}
		for _, w := range wrong {
			missing = errors.Join(missing, fmt.Errorf("%s: %s", place(e, w), w.Detail))
		}
	}
	return missing
}

// finishPlan applies a plan, unless a step is refused, and writes it.
func (c console) finishPlan(plan *workspacefile.Plan, apply, asJSON bool) error {
	if apply && !plan.Refused() {
		plan.Apply(c.ctx)
	}
	var err error
	if asJSON {
		err = c.writeJSON(plan)
	} else {
		err = plan.WriteText(c.out, "run again with --apply to apply the plan")
	}
	if err == nil && plan.Failed() {
		return errProblemsFound
	}
	return err
}

// openCommands opens the commands of the service in this process. To apply a plan requires a
// server that syncs, as the service does.
func openCommands(s console, p profileFlags, c storeFlags, apply bool) (*natsconn.Conn, *commands.Service, error) {
	profiles, err := p.profiles()
	if err != nil {
		return nil, nil, err
	}
	upstreams, err := connectors.New(connectors.Config{Profiles: profiles, Private: []string{c.Data}, Now: clock})
	if err != nil {
		return nil, nil, err
	}
	conn, _, err := c.attach(s.log)
	if err != nil {
		return nil, nil, err
	}
	events, err := eventstore.Open(s.ctx, conn.NATS, eventstore.Config{
		Replicas: c.Replicas, AllowLazySync: c.AllowLazySync || !apply, Durable: conn.Durable, Node: nodeName(),
	})
	if err == nil {
		err = c.checkKeyset()
	}
	var secrets *vault.Vault
	if err == nil {
		secrets, err = c.openVault(s.ctx, conn, events)
	}
	if err != nil {
		conn.Close()
		return nil, nil, err
	}
	return conn, newService(events, secrets, upstreams, s.log), nil
}

// newService returns the commands with what every change of an integration needs.
func newService(events *eventstore.Store, secrets *vault.Vault, upstreams *connectors.Registry, log *slog.Logger) *commands.Service {
	return &commands.Service{
		Events: events, Vault: secrets, Connectors: upstreams, Rules: upstreams.Rules(), Now: clock, NewID: newID, Log: log,
		PublicKey: connectors.PublicKey, GenerateKey: connectors.GenerateKey, Reshape: connectors.Reshape,
	}
}
