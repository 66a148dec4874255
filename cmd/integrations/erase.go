package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/seed677028b5/integrations/access"
	"github.com/seed677028b5/integrations/accesslog"
	"github.com/seed677028b5/integrations/authorizations"
	"github.com/seed677028b5/integrations/commands"
	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/erasure"
	"github.com/seed677028b5/integrations/internal/natsconn"
	"github.com/seed677028b5/integrations/persons"
	"github.com/seed677028b5/integrations/projections"
)

// eraseCommand erases what is stored of a person, or of a whole workspace.
type eraseCommand struct {
	Workspace  string   `help:"Id of the workspace." required:""`
	Subject    []string `help:"Erase this person only: a subject of authorizations, or who signed in, as events name them, such as oidc:248289761001; can be repeated." env:"-" sep:"none"`
	Yes        bool     `help:"Do not ask for confirmation." env:"-"`
	JSON       bool     `name:"json" help:"Write JSON."`
	storeFlags `embed:""`
}

func (eraseCommand) Help() string {
	return "What is stored of a person is sealed with a key, which is destroyed: logs and proofs stay as they are. The read model is built again after it. " +
		"Backups have the keys as they were: repeat the command after a restore. An interrupted erasure is finished by repeating the command."
}

func (c eraseCommand) Run(s console) error {
	w, err := domain.ParseWorkspace(c.Workspace)
	if err != nil {
		return err
	}
	for _, subject := range c.Subject {
		if subject == "" {
			return errors.New("--subject must not be empty")
		}
	}
	if err := c.confirm(s); err != nil {
		return err
	}
	conn, service, err := openCommands(s, profileFlags{}, c.storeFlags, true)
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, err := c.guard(s.ctx, service.Events, s.log); err != nil {
		return err
	}
	eraser, err := c.eraser(s, conn, service)
	if err != nil {
		return err
	}
	report, err := c.erase(s.ctx, eraser, w)
	if err != nil {
		return fmt.Errorf("%w; repeat the command to finish", err)
	}
	if err := c.rebuildReadModel(s, service); err != nil {
		return fmt.Errorf("build the read model without what was erased: %w; repeat the command to finish", err)
	}
	if c.JSON {
		return s.writeJSON(report)
	}
	_, err = fmt.Fprintln(s.out, report.Text())
	return err
}

// confirm asks for the name of the workspace.
func (c eraseCommand) confirm(s console) error {
	if c.Yes {
		return nil
	}
	of := "the whole workspace " + c.Workspace
	if len(c.Subject) > 0 {
		of = strings.Join(c.Subject, ", ") + " in the workspace " + c.Workspace
	}
	_, _ = fmt.Fprintf(s.err, "This erases %s and can't be undone. Enter the name of the workspace to continue: ", of)
	if line, _ := bufio.NewReader(os.Stdin).ReadString('\n'); strings.TrimSpace(line) != c.Workspace {
		return errors.New("nothing was erased: it was not confirmed")
	}
	return nil
}

func (c eraseCommand) eraser(s console, conn *natsconn.Conn, service *commands.Service) (*erasure.Eraser, error) {
	js, err := jetstream.New(conn.NATS)
	if err != nil {
		return nil, err
	}
	if service.Authorizations, err = authorizations.Open(s.ctx, conn.NATS, authorizations.Config{
		Events: service.Events, Vault: service.Vault, Replicas: c.Replicas, Now: clock, NewID: newID, Log: s.log,
	}); err != nil {
		return nil, err
	}
	keys, err := access.Open(s.ctx, conn.NATS, c.Replicas, time.Now, s.log)
	if err != nil {
		return nil, err
	}
	accesses, err := accesslog.Open(s.ctx, conn.NATS, c.Replicas, clock, newID, s.log)
	if err != nil {
		return nil, err
	}
	known, err := persons.New(service.Vault)
	if err != nil {
		return nil, err
	}
	accesses.Persons = known
	return &erasure.Eraser{Commands: service, Persons: known, Keys: keys, Accesses: accesses, Streams: js, Actor: "operator-cli", Waiting: s.waiting}, nil
}

func (c eraseCommand) erase(ctx context.Context, eraser *erasure.Eraser, w domain.Workspace) (erasure.Report, error) {
	if len(c.Subject) == 0 {
		return eraser.Workspace(ctx, w)
	}
	all := erasure.Report{Workspace: w, Subjects: c.Subject}
	for _, subject := range c.Subject {
		r, err := eraser.Subject(ctx, w, subject)
		if err != nil {
			return all, err
		}
		all.Persons, all.Strangers, all.Authorizations = all.Persons+r.Persons, all.Strangers+r.Strangers, all.Authorizations+r.Authorizations
	}
	return all, nil
}

// rebuildReadModel builds the read model again, without the names that it had.
func (c eraseCommand) rebuildReadModel(s console, service *commands.Service) error {
	if err := erasure.Pause(s.ctx); err != nil {
		return err
	}
	generations, err := c.openGenerations(s.ctx, s.log)
	if err != nil {
		return err
	}
	defer generations.Close() //nolint:errcheck // what was written is promoted or not
	_, err = (&projections.Builder{Events: service.Events, Generations: generations, Log: s.log}).Run(s.ctx)
	return err
}
