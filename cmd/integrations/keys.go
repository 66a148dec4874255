package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"github.com/seed677028b5/integrations/access"
	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/eventstore"
	"github.com/seed677028b5/integrations/vault"
)

// keysCommand manages API keys and the root key, whether or not the service runs.
type keysCommand struct {
	Create     createKeyCommand  `cmd:"" help:"Make an API key and show it once."`
	List       listKeysCommand   `cmd:"" help:"List the API keys of a workspace."`
	Rotate     rotateKeyCommand  `cmd:"" help:"Give an API key another secret and show it once."`
	Revoke     revokeKeyCommand  `cmd:"" help:"End an API key at once."`
	RotateRoot rotateRootCommand `cmd:"" help:"Make a new root key and seal every secret's own key under it."`
}

// keyFlags says whose keys.
type keyFlags struct {
	Workspace  string `help:"Workspace of the key." xor:"whose" required:""`
	Operator   bool   `help:"Instead of --workspace: an operator's key, which is valid in every workspace." xor:"whose" required:""`
	JSON       bool   `name:"json" help:"Write JSON."`
	storeFlags `embed:""`
}

// open calls use with the keys.
func (f keyFlags) open(s streams, use func(*access.Keys, domain.Workspace) error) error {
	var w domain.Workspace
	if f.Workspace != "" {
		var err error
		if w, err = domain.ParseWorkspace(f.Workspace); err != nil {
			return err
		}
	}
	b, _, err := attach(f.storeFlags, s.log)
	if err != nil {
		return err
	}
	defer b.close()
	if err := eventstore.CheckRestored(s.ctx, b.nc); err != nil {
		return err
	}
	keys, err := access.Open(s.ctx, b.nc, f.Replicas, time.Now, s.log)
	if err != nil {
		return err
	}
	return use(keys, w)
}

// tell writes a key that was just made.
func (f keyFlags) tell(s streams, k access.Key, text string) error {
	if f.JSON {
		return json.NewEncoder(s.out).Encode(map[string]any{"id": k.ID, "name": k.Name, "permissions": k.Permissions, "key": text})
	}
	opens := "the workspace " + string(k.Workspace)
	if k.Operator() {
		opens = "every workspace"
	}
	_, err := fmt.Fprintf(s.out, "%s\n\nThis is key %s (%s). It opens %s. It is shown this once.\n", text, k.ID, printable(k.Name), opens)
	return err
}

type createKeyCommand struct {
	keyFlags   `embed:""`
	Name       string        `help:"What the key is for." required:""`
	Permission []string      `help:"What it may do, such as Integration.view; can be repeated." required:""`
	Expires    time.Duration `help:"How long it is valid, such as 720h; 0 for ever."`
}

func (c createKeyCommand) Run(s streams) error {
	if c.Name == "" || c.Expires < 0 {
		return errors.New("a key has a name, and --expires is a time to come")
	}
	key := access.Key{Name: c.Name, CreatedBy: "system"}
	for _, name := range c.Permission {
		p, err := access.ParsePermission(name)
		if err != nil {
			return err
		}
		key.Permissions = append(key.Permissions, p)
	}
	if c.Expires > 0 {
		key.ExpiresAt = time.Now().Add(c.Expires).UTC().Truncate(time.Second)
	}
	return c.open(s, func(keys *access.Keys, w domain.Workspace) error {
		key.Workspace = w
		made, text, err := keys.Issue(s.ctx, key)
		if err != nil {
			return err
		}
		return c.tell(s, made, text)
	})
}

type listKeysCommand struct {
	keyFlags `embed:""`
}

func (c listKeysCommand) Run(s streams) error {
	return c.open(s, func(keys *access.Keys, w domain.Workspace) error {
		table := tabwriter.NewWriter(s.out, 0, 4, 2, ' ', 0)
		if !c.JSON {
			_, _ = fmt.Fprintln(table, "ID\tNAME\tPERMISSIONS\tCREATED\tEXPIRES\tLAST USED")
		}
		for _, k := range keys.List(w) {
			if c.JSON {
				k.Hashes = nil
				if err := json.NewEncoder(s.out).Encode(k); err != nil {
					return err
				}
				continue
			}
			names := make([]string, len(k.Permissions))
			for n, p := range k.Permissions {
				names[n] = string(p)
			}
			_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\n", k.ID, printable(k.Name), strings.Join(names, ","),
				day(k.CreatedAt, "-"), day(k.ExpiresAt, "never"), day(keys.LastUsed(k.ID), "never"))
		}
		return table.Flush()
	})
}

// printable is a text of a caller's without what would tell the terminal what to do.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return unicode.ReplacementChar
	}, text)
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
	Overlap  time.Duration `help:"How long the secret before goes on working." default:"1h"`
}

func (c rotateKeyCommand) Run(s streams) error {
	return c.open(s, func(keys *access.Keys, w domain.Workspace) error {
		k, text, err := keys.Rotate(s.ctx, w, c.ID, c.Overlap)
		if err != nil {
			return err
		}
		return c.tell(s, k, text)
	})
}

type revokeKeyCommand struct {
	keyFlags `embed:""`
	ID       string `arg:"" help:"Id of the key."`
}

func (c revokeKeyCommand) Run(s streams) error {
	return c.open(s, func(keys *access.Keys, w domain.Workspace) error {
		return keys.Revoke(s.ctx, w, c.ID)
	})
}

type rotateRootCommand struct {
	JSON       bool `name:"json" help:"Write JSON."`
	storeFlags `embed:""`
}

func (c rotateRootCommand) Run(s streams) error {
	b, events, _, err := attachLog(s, c.storeFlags)
	if err != nil {
		return err
	}
	defer b.close()
	// A root key that no stored secret needs is dropped, so the secrets have to be there.
	if _, err := c.guard(s.ctx, events, s.log); err != nil {
		return err
	}
	if err := events.Intact(); err != nil {
		return err
	}
	if _, err := os.Stat(c.path("root.keyset")); c.RootKeyset == "" && err != nil {
		return errors.New("there is no root.keyset in the data folder and --root-keyset is not given")
	}
	secrets, err := c.openVault(s.ctx, b, events)
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
		return json.NewEncoder(s.out).Encode(map[string]int{"total": r.Total, "rewrapped": r.Rewrapped, "remaining": r.Remaining})
	}
	_, err = fmt.Fprintf(s.out, "rotated: %d of %d secrets rewrapped, %d remain under an old root key\n", r.Rewrapped, r.Total, r.Remaining)
	return err
}
