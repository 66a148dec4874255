package workspacefile

import (
	"context"
	"errors"
	"maps"
	"reflect"
	"slices"

	"github.com/seed677028b5/integrations/commands"
	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/internal/terminal"
)

// Plan is the changes that make a workspace match a file, or another workspace.
type Plan struct {
	Workspace domain.Workspace `json:"workspace_id"`
	Steps     []*Step          `json:"steps"`
	Applied   bool             `json:"applied"`             // steps that were not refused are done
	Remaining int              `json:"remaining,omitempty"` // steps that are not, since the program was interrupted

	service *commands.Service
	by      commands.Caller
}

// Step is the change of one integration.
type Step struct {
	Name     string          `json:"name"`
	Action   Action          `json:"action"`
	Version  uint64          `json:"version,omitempty"` // that it was decided on; it is applied to no other
	Changed  []domain.Change `json:"changed"`
	Lost     []string        `json:"lost_secrets,omitempty"` // pointers of secrets that the integration has, and that it destroys
	Refusal  string          `json:"refusal,omitempty"`
	Problems []Problem       `json:"problems,omitempty"`
	Done     bool            `json:"done"`

	entry Entry
	doc   domain.Document
}

// Action is what a step does.
type Action string

// Actions.
const (
	Create Action = "create"
	Change Action = "change"
	Keep   Action = "keep" // nothing to change
	Delete Action = "delete"
)

// NewPlan decides every step, and writes nothing. Integrations that are not in the
// file are kept, unless deleteOthers is set.
func NewPlan(ctx context.Context, service *commands.Service, by commands.Caller, wanted []Entry, deleteOthers bool) (*Plan, error) {
	p := &Plan{Workspace: by.Workspace, Steps: []*Step{}, service: service, by: by}
	current, err := Read(ctx, service.Events, p.Workspace)
	if err != nil {
		return nil, err
	}
	present := current.ByName
	for _, e := range wanted {
		s := &Step{Name: e.Name, Action: Create, Changed: []domain.Change{}, entry: e, doc: e.Document}
		p.Steps = append(p.Steps, s)
		i, exists := present[e.Name]
		delete(present, e.Name)
		var after domain.Integration
		if exists {
			s.Action, s.Version = Change, i.Version
			after, err = p.decideChange(ctx, s, i)
		} else {
			var created commands.Outcome
			created, err = p.run(ctx, s, true)
			after = created.Integration
		}
		if err := s.refuse(err); err != nil {
			return nil, err
		}
		stay := fieldsOf(after)
		if s.Refusal == "" {
			s.Lost = e.lost(i, after)
		} else {
			stay = e.staying(i)
		}
		s.refuseWithout(e.missing(stay))
	}
	for _, name := range slices.Sorted(maps.Keys(present)) {
		if deleteOthers {
			p.Steps = append(p.Steps, &Step{Name: name, Action: Delete, Version: present[name].Version, Changed: []domain.Change{}, Lost: Entry{}.lost(present[name], domain.Integration{})})
		}
	}
	return p, nil
}

// decideChange decides what to change of i, and returns what it will be. A secret that i already has
// is no change.
func (p *Plan) decideChange(ctx context.Context, s *Step, i domain.Integration) (domain.Integration, error) {
	whole, err := p.run(ctx, s, true)
	if err != nil {
		return i, err
	}
	s.Changed = whole.Changes
	after := whole.Integration
	unchanged, err := p.unchangedSecrets(ctx, s.entry, i)
	if err != nil {
		return i, err
	}
	if len(unchanged) > 0 {
		without := *s
		without.doc = s.entry.withoutSecrets(unchanged)
		rest, err := p.run(ctx, &without, true)
		if err == nil && reflect.DeepEqual(publicChanges(rest.Changes), publicChanges(whole.Changes)) {
			s.doc, s.Changed, after = without.doc, rest.Changes, rest.Integration
		} else if err != nil && domain.KindOf(err) != domain.Invalid { // Invalid: its destination changes, so it is sealed again
			return i, err
		}
	}
	if len(s.Changed) == 0 {
		s.Action, s.Changed = Keep, []domain.Change{}
	}
	return after, nil
}

// publicChanges returns the changes that are not of secrets.
func publicChanges(all []domain.Change) (public []domain.Change) {
	for _, c := range all {
		if !c.Secret {
			public = append(public, c)
		}
	}
	return public
}

// unchangedSecrets returns the fields of the secrets in e that i already has.
func (p *Plan) unchangedSecrets(ctx context.Context, e Entry, i domain.Integration) (map[string]bool, error) {
	unchanged := map[string]bool{}
	for _, ref := range i.Secrets() {
		for _, given := range e.secrets {
			if given.field != ref.Field {
				continue
			}
			present, err := p.service.Vault.Open(ctx, i.Owner(), ref)
			if domain.KindOf(err) == domain.Unavailable {
				return nil, err
			}
			text, _ := given.text()
			unchanged[ref.Field] = err == nil && present.Reveal() == text // one that can't be opened is replaced
		}
	}
	return unchanged, nil
}

// run makes the change of a step, or only decides it.
func (p *Plan) run(ctx context.Context, s *Step, dry bool) (commands.Outcome, error) {
	on := commands.Condition{DryRun: dry}
	if s.Version > 0 {
		on.IfVersions = []uint64{s.Version}
	}
	id := domain.NewID(p.Workspace, s.Name)
	switch s.Action {
	case Create:
		doc := maps.Clone(s.doc)
		doc["name"] = s.Name
		return p.service.CreateIntegration(ctx, p.by, doc, on)
	case Change:
		return p.service.ReplaceIntegration(ctx, p.by, id, s.doc, on)
	case Delete:
		return p.service.DeleteIntegration(ctx, p.by, id, "not in what was imported", on)
	case Keep:
	}
	return commands.Outcome{}, nil
}

// refuse records a refusal in the step. Any other error is returned.
func (s *Step) refuse(err error) error {
	refusal, ok := errors.AsType[*domain.Error](err)
	if err == nil || !ok || refusal.Kind == domain.Unavailable {
		return err
	}
	s.Refusal = refusal.Message
	for _, problem := range refusal.Problems {
		s.Problems = append(s.Problems, Problem{problem, s.entry.line(problem.Pointer)})
	}
	return nil
}

// refuseWithout refuses the step for secrets that are missing.
func (s *Step) refuseWithout(missing []Problem) {
	if len(missing) > 0 && s.Refusal == "" {
		s.Refusal = "secrets are missing"
	}
	for _, m := range missing {
		if !slices.ContainsFunc(s.Problems, func(p Problem) bool { return p.Pointer == m.Pointer }) {
			s.Problems = append(s.Problems, m)
		}
	}
}

// Refused reports whether a step was refused.
func (p *Plan) Refused() bool {
	return slices.ContainsFunc(p.Steps, func(s *Step) bool { return s.Refusal != "" })
}

// Failed reports whether a step was refused, or is not done since the program was interrupted.
func (p *Plan) Failed() bool { return p.Refused() || p.Remaining > 0 }

// Apply runs every step until ctx ends. A step that fails doesn't stop the others, which change
// other integrations.
func (p *Plan) Apply(ctx context.Context) {
	p.Applied = true
	for _, s := range p.Steps {
		if s.Action == Keep {
			continue
		}
		err := ctx.Err()
		if err == nil {
			_, err = p.run(ctx, s, false)
		}
		if err != nil && ctx.Err() != nil {
			p.Remaining++
			continue
		}
		if err := s.refuse(err); err != nil {
			s.Refusal = terminal.OperatorError(err).Error()
		}
		s.Done = s.Refusal == ""
	}
}
