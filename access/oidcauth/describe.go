package oidcauth

import (
	"context"
	"slices"
	"time"
)

// Status is whose tokens are accepted at present, and what is wrong.
type Status struct {
	Issuer        string    `json:"issuer"`
	Audience      []string  `json:"audience"`
	Grants        int       `json:"grants"`
	LoadedAt      time.Time `json:"loaded_at"`                // the grants that are in force
	FileProblem   string    `json:"file_problem,omitempty"`   // why a later version of the file is not in force
	Keys          int       `json:"keys"`                     // of the issuer
	KeysAt        time.Time `json:"keys_at,omitzero"`         // when they were last fetched; zero: never
	IssuerProblem string    `json:"issuer_problem,omitempty"` // why the last try failed
}

// Status returns the present status.
func (t *Tokens) Status() Status {
	now := t.current.Load()
	keys := now.issuer.status()
	t.mu.Lock()
	defer t.mu.Unlock()
	return Status{
		Issuer: now.Issuer, Audience: now.Audience, Grants: len(now.Grants), LoadedAt: now.loaded, FileProblem: t.problem,
		Keys: keys.Keys, KeysAt: keys.KeysAt, IssuerProblem: keys.Problem,
	}
}

type keyStatus struct {
	Keys    int
	KeysAt  time.Time
	Problem string
}

func (i *issuer) status() keyStatus {
	i.mu.Lock()
	defer i.mu.Unlock()
	s := keyStatus{Keys: len(i.keys), KeysAt: i.got}
	if i.err != nil {
		s.Problem = i.err.Error()
	}
	return s
}

// Changes counts how often the grants changed.
func (t *Tokens) Changes() uint64 { return t.changes.Load() }

// Issuer returns the issuer in force.
func (t *Tokens) Issuer() string { return t.current.Load().Issuer }

// Endpoints returns where persons sign in. The error is that of the last attempt to reach the
// issuer.
func (t *Tokens) Endpoints(ctx context.Context) (Endpoints, error) {
	from := t.current.Load().issuer
	if from.status().KeysAt.IsZero() {
		if err := from.refresh(ctx, minPause); err != nil {
			return Endpoints{}, err
		}
	}
	from.mu.Lock()
	defer from.mu.Unlock()
	return from.at, nil
}

// Scopes returns the scopes that clients should ask for: those of the file, or else those
// that a grant asks for by name.
func (t *Tokens) Scopes() []string {
	m := t.current.Load().Mapping
	if len(m.Scopes) > 0 {
		return m.Scopes
	}
	var all []string
	for _, g := range m.Grants {
		all = append(all, g.scopes()...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// scopes returns the scopes that a grant asks for by name.
func (g Grant) scopes() (all []string) {
	for _, c := range g.when {
		if c.ofScopes() {
			all = append(all, c.literals...)
		}
	}
	return all
}
