package main

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/seed677028b5/integrations/commands"
	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/eventstore"
	"github.com/seed677028b5/integrations/vault"
)

// verifyCommand compares the log, the read model and the vault.
type verifyCommand struct {
	JSON       bool          `name:"json" help:"Write JSON."`
	CatchUp    time.Duration `help:"How long to wait for the read model to show the whole log." default:"1m"`
	storeFlags `embed:""`
}

// verification is what verify found.
type verification struct {
	Events       int      `json:"events"`
	Integrations int      `json:"integrations"` // that exist
	Secrets      int      `json:"secrets"`      // that events name
	Accepted     uint64   `json:"accepted"`     // events that are missing, and that an operator goes on without
	Problems     []string `json:"problems"`

	head   uint64
	at     uint64 // the position of the event that was folded last
	gap    uint64 // the last position that has no event
	events *eventstore.Store
	folded map[place]*folded
}

// place is where an integration stands in the log.
type place struct {
	workspace domain.Workspace
	id        domain.ID
}

// folded is the state that the log leads to, as a hash, so that a million of
// them fit.
type folded struct {
	position uint64 // of its last event
	version  uint64
	hash     [sha256.Size]byte
	deleted  bool
	owner    domain.Owner
	secrets  []domain.SecretRef
	shown    bool // by the read model
}

func (v *verification) problem(format string, args ...any) {
	v.Problems = append(v.Problems, fmt.Sprintf(format, args...))
}

func (c verifyCommand) Run(s streams) error {
	b, events, running, err := attachLog(s, c.storeFlags)
	if err != nil {
		return err
	}
	defer b.close()
	secrets, err := c.openVault(s.ctx, b, events)
	if err != nil {
		return err
	}
	generations, err := openGenerations(s.ctx, c.storeFlags, s.log)
	if err != nil {
		return err
	}
	defer generations.Close() //nolint:errcheck // nothing was written
	shown, err := followLive(s, events, generations, running)
	if err != nil {
		return err
	}
	v := &verification{events: events, folded: map[place]*folded{}, Problems: []string{}}
	err = v.run(s, c, secrets, shown)
	if err := errors.Join(err, shown.Close()); err != nil {
		return err
	}
	return v.tell(s, c.JSON)
}

func (v *verification) run(s streams, c verifyCommand, secrets *vault.Vault, shown shown) error {
	var err error
	if v.head, err = v.events.Head(s.ctx); err != nil {
		return err
	}
	if err := v.fold(s); err != nil {
		return err
	}
	v.openSecrets(s.ctx, secrets)
	if err := v.catchUp(s, c.CatchUp, shown); err != nil {
		return err
	}
	if err := v.compare(s, shown); err != nil {
		return err
	}
	service := &commands.Service{Events: v.events, Vault: secrets, Now: time.Now}
	return service.Orphans(s.ctx, func(orphan vault.Stored) error {
		v.problem("secret %s of %s/%s: no event names it", orphan.ID, orphan.Owner.Workspace, orphan.Owner.ID)
		return nil
	})
}

func (v *verification) tell(s streams, asJSON bool) error {
	if asJSON {
		if err := json.NewEncoder(s.out).Encode(v); err != nil {
			return err
		}
	} else {
		_, _ = fmt.Fprintf(s.out, "%d events, %d integrations, %d secrets\n", v.Events, v.Integrations, v.Secrets)
		for _, p := range v.Problems {
			_, _ = fmt.Fprintln(s.out, "wrong:", p)
		}
		if len(v.Problems) == 0 {
			_, _ = fmt.Fprintln(s.out, "ok: the read model is the fold of the log, versions have no gaps, every secret opens and none is left over")
		}
	}
	if len(v.Problems) > 0 {
		return errFound
	}
	return nil
}
