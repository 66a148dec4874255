package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/seed677028b5/integrations/commands"
	"github.com/seed677028b5/integrations/connectors"
	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/eventstore"
	"github.com/seed677028b5/integrations/internal/natsconn"
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
	wanted, err := c.read(s)
	if err != nil {
		return err
	}
	conn, service, err := c.open(s)
	if err != nil {
		return err
	}
	defer conn.Close()
	by := commands.Caller{Workspace: w, Actor: "operator-cli", RequestID: newID(), MayExec: true}
	plan, err := workspacefile.NewPlan(s.ctx, service, by, wanted, c.DeleteOthers)
	if err != nil {
		return err
	}
	if c.Apply && !plan.Refused() {
		plan.Apply(s.ctx)
	}
	if c.JSON {
		err = s.writeJSON(plan)
	} else {
		err = plan.WriteText(s.out)
	}
	if err == nil && plan.Refused() {
		return errProblemsFound
	}
	return err
}

// read reads the file, and its secrets from the environment.
func (c importCommand) read(s console) ([]workspacefile.Entry, error) {
	text, err := os.ReadFile(c.File)
	if err != nil {
		return nil, err
	}
	all, err := workspacefile.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.File, err)
	}
	var missing error
	for _, e := range all {
		wrong, literal := e.ExpandSecrets(os.LookupEnv)
		for _, l := range literal {
			_, _ = fmt.Fprintf(s.err, "warning: line %d: %s %s %s\n", l.Line, e.Name, l.Pointer, l.Detail)
		}
		for _, w := range wrong {
			missing = errors.Join(missing, fmt.Errorf("line %d: %s %s: %s", w.Line, e.Name, w.Pointer, w.Detail))
		}
	}
	return all, missing
}

// open opens the commands of the service in this process. An import requires a server
// that syncs, as the service does.
func (c importCommand) open(s console) (*natsconn.Conn, *commands.Service, error) {
	profiles, err := c.profiles()
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
	service := &commands.Service{Rules: upstreams.Rules(), Now: clock, NewID: newID, Log: s.log}
	service.Events, err = eventstore.Open(s.ctx, conn.NATS, eventstore.Config{
		Replicas: c.Replicas, AllowLazySync: c.AllowLazySync || !c.Apply, Durable: conn.Durable, Node: nodeName(),
	})
	if err == nil {
		err = c.checkKeyset()
	}
	if err == nil {
		service.Vault, err = c.openVault(s.ctx, conn, service.Events)
	}
	if err != nil {
		conn.Close()
		return nil, nil, err
	}
	return conn, service, nil
}
