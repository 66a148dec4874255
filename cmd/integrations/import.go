package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/seed677028b5/integrations/commands"
	"github.com/seed677028b5/integrations/connectors"
	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/eventstore"
	"github.com/seed677028b5/integrations/vault"
)

// importCommand makes a workspace what a file says. Without --apply it tells
// what that would be and writes nothing.
type importCommand struct {
	Workspace    string `help:"Id of the workspace." required:""`
	File         string `arg:"" help:"YAML file, as export writes it. A secret is given as $${NAME}, which is read from the environment." type:"existingfile"`
	Apply        bool   `help:"Carry the plan out." env:"-"`
	DeleteOthers bool   `help:"Delete the integrations that the file doesn't have." env:"-"`
	JSON         bool   `name:"json" help:"Write JSON."`
	profileFlags `embed:""`
	storeFlags   `embed:""`
}

func (c importCommand) Run(s streams) error {
	w, err := domain.ParseWorkspace(c.Workspace)
	if err != nil {
		return err
	}
	wanted, err := c.read(s)
	if err != nil {
		return err
	}
	b, service, err := c.open(s)
	if err != nil {
		return err
	}
	defer b.close()
	p := &plan{Workspace: w, Steps: []*step{}, service: service, by: commands.Caller{Workspace: w, Actor: "operator-cli", RequestID: newID(), MayExec: true}}
	if err := p.make(s.ctx, wanted, c.DeleteOthers); err != nil {
		return err
	}
	if c.Apply && !p.refused() {
		p.apply(s.ctx)
	}
	if err := p.tell(s.out, c.JSON); err != nil {
		return err
	}
	if p.refused() {
		return errFound
	}
	return nil
}

// read reads the file, and the secrets that it names.
func (c importCommand) read(s streams) ([]described, error) {
	text, err := os.ReadFile(c.File)
	if err != nil {
		return nil, err
	}
	all, err := readDescribed(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.File, err)
	}
	var missing error
	for _, d := range all {
		wrong, literal := d.fill(os.LookupEnv)
		for _, l := range literal {
			_, _ = fmt.Fprintf(s.err, "warning: line %d: %s %s %s\n", l.Line, d.name, l.Pointer, l.Detail)
		}
		for _, w := range wrong {
			missing = errors.Join(missing, fmt.Errorf("line %d: %s %s: %s", w.Line, d.name, w.Pointer, w.Detail))
		}
	}
	return all, missing
}

// open returns the service, in this process, over the stores of the flags. What
// it writes has to be as safe as what the service itself writes.
func (c importCommand) open(s streams) (*bus, *commands.Service, error) {
	profiles, err := c.profiles()
	if err != nil {
		return nil, nil, err
	}
	outside, err := connectors.New(connectors.Config{Profiles: profiles, Private: []string{c.Data}, Now: clock})
	if err != nil {
		return nil, nil, err
	}
	b, _, err := attach(c.storeFlags, s.log)
	if err != nil {
		return nil, nil, err
	}
	service := &commands.Service{Rules: outside.Rules(), Now: clock, NewID: newID, Log: s.log}
	service.Events, err = eventstore.Open(s.ctx, b.nc, eventstore.Config{
		Replicas: c.Replicas, AllowLazySync: c.AllowLazySync || !c.Apply, Durable: b.durable, Node: nodeName(),
	})
	if err == nil {
		service.Vault, err = c.existingVault(s, b, service.Events)
	}
	if err != nil {
		b.close()
		return nil, nil, err
	}
	return b, service, nil
}

// existingVault returns the vault, and makes no root key.
func (c importCommand) existingVault(s streams, b *bus, events *eventstore.Store) (*vault.Vault, error) {
	if _, err := os.Stat(c.path("root.keyset")); c.RootKeyset == "" && err != nil {
		return nil, errors.New("there is no root.keyset in the data folder and --root-keyset is not given")
	}
	return c.openVault(s.ctx, b, events)
}
