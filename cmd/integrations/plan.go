package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"reflect"
	"slices"

	"github.com/seed677028b5/integrations/commands"
	"github.com/seed677028b5/integrations/domain"
)

// plan is what a file would make of a workspace.
type plan struct {
	Workspace domain.Workspace `json:"workspace_id"`
	Steps     []*step          `json:"steps"`
	Applied   bool             `json:"applied"` // what was not refused is done

	service *commands.Service
	by      commands.Caller
}

// step is what would become of one integration.
type step struct {
	Name     string          `json:"name"`
	Action   action          `json:"action"`
	Version  uint64          `json:"version,omitempty"` // that it was decided on; it is carried out on no other
	Changed  []domain.Change `json:"changed"`
	Refusal  string          `json:"refusal,omitempty"`
	Problems []filed         `json:"problems,omitempty"`
	Done     bool            `json:"done"`

	from described
	doc  domain.Document
}

type action string

const (
	create action = "create"
	change action = "change"
	keep   action = "keep"
	remove action = "delete"
)

// make decides every step, and writes nothing.
func (p *plan) make(ctx context.Context, wanted []described, deleteOthers bool) error {
	found, err := existing(ctx, p.service.Events, p.Workspace)
	if err != nil {
		return err
	}
	present := found.named
	for _, d := range wanted {
		s := &step{Name: d.name, Action: create, Changed: []domain.Change{}, from: d, doc: d.doc}
		p.Steps = append(p.Steps, s)
		i, exists := present[d.name]
		delete(present, d.name)
		if exists {
			s.Action, s.Version = change, i.Version
			err = p.decideChange(ctx, s, i)
		} else {
			_, err = p.carryOut(ctx, s, true)
		}
		if err := s.refuse(err); err != nil {
			return err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(present)) {
		if deleteOthers {
			p.Steps = append(p.Steps, &step{Name: name, Action: remove, Version: present[name].Version, Changed: []domain.Change{}})
		}
	}
	return nil
}

// decideChange decides what to change of i. A secret that it has already is no
// change.
func (p *plan) decideChange(ctx context.Context, s *step, i domain.Integration) error {
	whole, err := p.carryOut(ctx, s, true)
	if err != nil {
		return err
	}
	s.Changed = whole.Changes
	known, err := p.known(ctx, s.from, i)
	if err != nil {
		return err
	}
	if len(known) > 0 {
		lean := *s
		lean.doc = s.from.without(known)
		rest, err := p.carryOut(ctx, &lean, true)
		if err == nil && reflect.DeepEqual(visible(rest.Changes), visible(whole.Changes)) {
			s.doc, s.Changed = lean.doc, rest.Changes
		} else if err != nil && domain.KindOf(err) != domain.Invalid { // else it goes to another place now, and is sealed for that
			return err
		}
	}
	if len(s.Changed) == 0 {
		s.Action, s.Changed = keep, []domain.Change{}
	}
	return nil
}

// visible returns the changes that are not of secrets.
func visible(all []domain.Change) (rest []domain.Change) {
	for _, c := range all {
		if !c.Secret {
			rest = append(rest, c)
		}
	}
	return rest
}

// known returns the fields of the given secrets that are those of i already.
func (p *plan) known(ctx context.Context, d described, i domain.Integration) (map[string]bool, error) {
	known := map[string]bool{}
	for _, ref := range i.Secrets() {
		for _, given := range d.secrets {
			if given.field != ref.Field {
				continue
			}
			present, err := p.service.Vault.Open(ctx, i.Owner(), ref)
			if domain.KindOf(err) == domain.Unavailable {
				return nil, err
			}
			text, _ := given.text()
			known[ref.Field] = err == nil && present.Reveal() == text // one that doesn't open is replaced
		}
	}
	return known, nil
}

// carryOut makes the change of a step, or only decides it.
func (p *plan) carryOut(ctx context.Context, s *step, dry bool) (commands.Outcome, error) {
	on := commands.Condition{DryRun: dry}
	if s.Version > 0 {
		on.IfVersions = []uint64{s.Version}
	}
	id := domain.NewID(p.Workspace, s.Name)
	switch s.Action {
	case create:
		doc := maps.Clone(s.doc)
		doc["name"] = s.Name
		return p.service.CreateIntegration(ctx, p.by, doc, on)
	case change:
		return p.service.ReplaceIntegration(ctx, p.by, id, s.doc, on)
	case remove:
		return p.service.DeleteIntegration(ctx, p.by, id, "not in the imported file", on)
	case keep:
	}
	return commands.Outcome{}, nil
}

// refuse notes a refusal on the step. Any other error is returned.
func (s *step) refuse(err error) error {
	refusal, ok := errors.AsType[*domain.Error](err)
	if err == nil || !ok || refusal.Kind == domain.Unavailable {
		return err
	}
	s.Refusal = refusal.Message
	for _, problem := range refusal.Problems {
		s.Problems = append(s.Problems, filed{problem, s.from.at(problem.Pointer)})
	}
	return nil
}

func (p *plan) refused() bool {
	return slices.ContainsFunc(p.Steps, func(s *step) bool { return s.Refusal != "" })
}

// apply carries every step out. One that fails doesn't keep the others from it:
// they are about other integrations.
func (p *plan) apply(ctx context.Context) {
	p.Applied = true
	for _, s := range p.Steps {
		_, err := p.carryOut(ctx, s, false)
		if err := s.refuse(err); err != nil {
			s.Refusal = told(err).Error()
		}
		s.Done = s.Refusal == "" && s.Action != keep
	}
}

func (p *plan) tell(to io.Writer, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(to).Encode(p)
	}
	count := map[action]int{}
	var err error
	line := func(format string, args ...any) {
		if err == nil {
			_, err = fmt.Fprintf(to, format+"\n", args...)
		}
	}
	for _, s := range p.Steps {
		count[s.Action]++
		s.tell(line)
	}
	line("%d to create, %d to change, %d to delete, %d as they should be", count[create], count[change], count[remove], count[keep])
	switch {
	case p.refused() && p.Applied:
		line("not everything was done: what is marked as refused was not")
	case p.refused():
		line("this can't be done as it stands; nothing was written")
	case p.Applied:
		line("done")
	default:
		line("nothing was written; --apply does it")
	}
	return err
}

func (s *step) tell(line func(format string, args ...any)) {
	if s.Action == keep && s.Refusal == "" {
		return
	}
	mark := ""
	if s.Refusal != "" {
		mark = " refused: " + s.Refusal
	}
	line("%-7s %s%s", s.Action, s.Name, mark)
	for _, c := range s.Changed {
		if c.Secret {
			line("        %s: a secret changed", c.Pointer)
			continue
		}
		line("        %s: %s -> %s", c.Pointer, short(c.Old), short(c.New))
	}
	for _, p := range s.Problems {
		line("        line %d, %s: %s", p.Line, p.Pointer, p.Detail)
	}
}
