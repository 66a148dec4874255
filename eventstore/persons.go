package eventstore

import (
	"context"
	"fmt"

	"github.com/seed677028b5/integrations/domain"
)

// Persons seals what is stored of persons, so that it can be erased.
type Persons interface {
	// SealName returns what is stored of who acted.
	SealName(ctx context.Context, w domain.Workspace, name string) (string, error)
	// Seal returns a text under the key of somebody; an empty name is the workspace's own.
	Seal(ctx context.Context, w domain.Workspace, name, text string) (string, error)
	// Open returns what was sealed, or what is shown of what was erased. It fails with
	// Unavailable when that is not known, and returns anything else as it is.
	Open(ctx context.Context, w domain.Workspace, stored string) (string, error)
}

// SealPersons has what is appended from now on sealed by p, and what is read opened by it. It must
// be called before anything is read or appended. Without it, readers get the sealed form.
func (s *Store) SealPersons(p Persons) { s.persons = p }

// accountOf names the key of accounts at authorization servers, by the hash of their subject. One of
// an earlier version has no hash.
func accountOf(subject string) string {
	if subject == "" {
		return ""
	}
	return AccountsOf + subject
}

// AccountsOf precedes the hash of a subject in the name of its key.
const AccountsOf = "subject:"

// sealed returns an event and its metadata as they are stored.
func (s *Store) sealed(ctx context.Context, w domain.Workspace, e domain.Event, m domain.Metadata) (domain.Event, domain.Metadata, error) {
	if s.persons == nil {
		return e, m, nil
	}
	var failed error
	note := func(text string, err error) string {
		if failed == nil {
			failed = err
		}
		return text
	}
	name := func(name string) string { return note(s.persons.SealName(ctx, w, name)) }
	actor := m.Actor
	m.Actor = name(actor)
	if m.Address != "" {
		whose := "" // an API key's: the workspace's own
		if m.Actor != actor {
			whose = actor
		}
		m.Address = note(s.persons.Seal(ctx, w, whose, m.Address))
	}
	e = domain.Persons{Name: name, Account: func(subject, account string) string {
		return note(s.persons.Seal(ctx, w, accountOf(subject), account))
	}}.In(e)
	return e, m, failed
}

// opened reverses sealed. It leaves the event that c has as it is.
func (s *Store) opened(c Commit) Commit {
	if s.persons == nil {
		return c
	}
	var failed error
	open := func(stored string) string {
		text, err := s.persons.Open(context.Background(), c.Workspace, stored) // which has a limit of its own
		if failed == nil {
			failed = err
		}
		return text
	}
	c.Meta.Actor, c.Meta.Address = open(c.Meta.Actor), open(c.Meta.Address)
	if c.Event != nil {
		c.Event = domain.Persons{Name: open, Account: func(_, account string) string { return open(account) }}.In(c.Event)
	}
	if failed != nil {
		c.Event, c.Err = nil, fmt.Errorf("message %d of %s: %w", c.Position, c.Workspace, failed)
	}
	return c
}

// unknown returns why it is not known what a commit has: the vault could not be read. It can be
// read again later.
func (c Commit) unknown() error {
	if domain.KindOf(c.Err) == domain.Unavailable {
		return c.Err
	}
	return nil
}
