package main

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/seed677028b5/integrations/access"
	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/eventstore"
	"github.com/seed677028b5/integrations/internal/terminal"
	"github.com/seed677028b5/integrations/vault"
)

// keysCommand manages API keys and the root key, whether or not the service runs.
type keysCommand struct {
	Create     createKeyCommand  `cmd:"" help:"Create an API key and show it once."`
	List       listKeysCommand   `cmd:"" help:"List the API keys of a workspace."`
	Rotate     rotateKeyCommand  `cmd:"" help:"Rotate the secret of an API key and show it once."`
	Revoke     revokeKeyCommand  `cmd:"" help:"Revoke an API key at once."`
	RotateRoot rotateRootCommand `cmd:"" help:"Create a new root key and rewrap the key of every secret with it."`

	EncryptRoot encryptRootCommand `cmd:"" help:"Encrypt the file root.keyset with the key of --root-key-uri."`
}

// keyFlags select a workspace or the operator.
type keyFlags struct {
	Workspace  string `help:"Workspace of the key." xor:"scope" required:""`
	Operator   bool   `help:"Instead of --workspace: an operator key, which is valid in every workspace." xor:"scope" required:""`
	JSON       bool   `name:"json" help:"Write JSON."`
	storeFlags `embed:""`
}

// open calls use with the keys.
func (f keyFlags) open(s console, use func(*access.Keys, domain.Workspace) error) error {
	var w domain.Workspace
	if f.Workspace != "" {
		var err error
		if w, err = domain.ParseWorkspace(f.Workspace); err != nil {
			return err
		}
	}
	conn, _, err := f.attach(s.log)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := eventstore.CheckRestored(s.ctx, conn.NATS); err != nil {
		return err
	}
	keys, err := access.Open(s.ctx, conn.NATS, f.Replicas, time.Now, s.log)
	if err != nil {
		return err
	}
	return use(keys, w)
}

// write writes a new key or secret.
func (f keyFlags) write(s console, k access.Key, text string) error {
	if f.JSON {
		return s.writeJSON(map[string]any{"id": k.ID, "name": k.Name, "permissions": k.Permissions, "key": text})
	}
	scope := "the workspace " + string(k.Workspace)
	if k.Operator() {
		scope = "every workspace"
	}
	_, err := fmt.Fprintf(s.out, "%s\n\nThis is key %s (%s). It is valid in %s. It is not shown again.\n", text, k.ID, terminal.Printable(k.Name), scope)
	return err
}

type createKeyCommand struct {
	keyFlags    `embed:""`
	Name        string        `help:"Purpose of the key." required:""`
	Permission  []string      `help:"Permission, such as Integration.view; can be repeated." required:""`
	Integration []string      `help:"Narrow the key to integrations with this name; * stands for any characters; can be repeated."`
	Tool        []string      `help:"Narrow the key to tools, such as crm__get_*; can be repeated."`
	Method      []string      `help:"Narrow the key to endpoints with this method, such as GET; can be repeated."`
	Subject     []string      `help:"Limit the key to acting for this subject, or for those that begin with what is before a *; - is the workspace itself; can be repeated."`
	Expires     time.Duration `help:"How long it is valid, such as 720h; 0: unlimited."`
}

func (c createKeyCommand) Run(s console) error {
	if c.Name == "" || c.Expires < 0 {
		return errors.New("a key needs a name, and --expires must not be negative")
	}
	key := access.Key{Name: c.Name, CreatedBy: "system"}
	for _, name := range c.Permission {
		p, err := access.ParsePermission(name)
		if err != nil {
			return err
		}
		key.Permissions = append(key.Permissions, p)
	}
	key.Scope = domain.Scope{Integrations: c.Integration, Tools: c.Tool, Methods: c.Method, Subjects: c.Subject}
	if err := domain.RefuseAll(key.Problems()); err != nil {
		return err
	}
	if detail := key.ScopeProblem(); detail != "" {
		return errors.New(detail)
	}
	if c.Expires > 0 {
		key.ExpiresAt = time.Now().Add(c.Expires).UTC().Truncate(time.Second)
	}
	return c.open(s, func(keys *access.Keys, w domain.Workspace) error {
		key.Workspace = w
		created, text, err := keys.Issue(s.ctx, key)
		if err != nil {
			return err
		}
		return c.write(s, created, text)
	})
}

type listKeysCommand struct {
	keyFlags `embed:""`
}

func (c listKeysCommand) Run(s console) error {
	return c.open(s, func(keys *access.Keys, w domain.Workspace) error {
		table := tabwriter.NewWriter(s.out, 0, 4, 2, ' ', 0)
		if !c.JSON {
			_, _ = fmt.Fprintln(table, "ID\tNAME\tPERMISSIONS\tSEES\tCREATED\tEXPIRES\tLAST USED")
		}
		for _, k := range keys.List(w) {
			if c.JSON {
				k.Hashes = nil
				if err := s.writeJSON(k); err != nil {
					return err
				}
				continue
			}
			names := make([]string, len(k.Permissions))
			for n, p := range k.Permissions {
				names[n] = string(p)
			}
			_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", k.ID, terminal.Printable(k.Name), strings.Join(names, ","), cmp.Or(strings.Join(slices.Concat(k.Integrations, k.Tools, k.Methods), ","), "all"),
				day(k.CreatedAt, "-"), day(k.ExpiresAt, "never"), day(keys.LastUsed(k.ID), "never"))
		}
		return table.Flush()
	})
}

func day(t time.Time, otherwise string) string {
	if t.IsZero() {
		return otherwise
	}
	return t.UTC().Format("2006-01-02 15:04")
}

type rotateKeyCommand struct {
	keyFlags `embed:""`
	ID       string        `arg:"" help:"Id of the key."`
	Overlap  time.Duration `help:"How long the previous secret stays valid." default:"1h"`
}

func (c rotateKeyCommand) Run(s console) error {
	return c.open(s, func(keys *access.Keys, w domain.Workspace) error {
		k, text, err := keys.Rotate(s.ctx, w, c.ID, c.Overlap)
		if err != nil {
			return err
		}
		return c.write(s, k, text)
	})
}

type revokeKeyCommand struct {
	keyFlags `embed:""`
	ID       string `arg:"" help:"Id of the key."`
}

func (c revokeKeyCommand) Run(s console) error {
	return c.open(s, func(keys *access.Keys, w domain.Workspace) error {
		return keys.Revoke(s.ctx, w, c.ID)
	})
}

type rotateRootCommand struct {
	JSON       bool `name:"json" help:"Write JSON."`
	storeFlags `embed:""`
}

func (c rotateRootCommand) Run(s console) error {
	conn, events, _, err := c.attachLog(s)
	if err != nil {
		return err
	}
	defer conn.Close()
	// A rotation drops root keys that no stored secret needs, so no secret may be missing.
	if _, err := c.guard(s.ctx, events, s.log); err != nil {
		return err
	}
	if err := events.Intact(); err != nil {
		return err
	}
	if err := c.checkKeyset(); err != nil {
		return err
	}
	secrets, err := c.openVault(s.ctx, conn, events)
	if err != nil {
		return err
	}
	r, err := secrets.RotateRoot(s.ctx, func(r vault.Rotation) {
		if r.Remaining%1000 == 0 {
			_, _ = fmt.Fprintf(s.err, "rewrapped %d, %d remain\n", r.Rewrapped, r.Remaining)
		}
	})
	if err != nil {
		return err
	}
	if c.JSON {
		return s.writeJSON(map[string]int{"total": r.Total, "rewrapped": r.Rewrapped, "remaining": r.Remaining})
	}
	_, err = fmt.Fprintf(s.out, "rotated: %d of %d secrets rewrapped, %d remain under an old root key\n", r.Rewrapped, r.Total, r.Remaining)
	return err
}
