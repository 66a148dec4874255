// Package verify compares the event log, the read model and the vault, and logs with their trees
// and archives.
//
// Its one promise: no problem in its report is caused by a change that a running
// service makes meanwhile. While events are missing, it changes nothing.
package verify

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/seed677028b5/integrations/commands"
	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/eventstore"
	"github.com/seed677028b5/integrations/projections"
	"github.com/seed677028b5/integrations/transparency/archive"
	"github.com/seed677028b5/integrations/transparency/trees"
	"github.com/seed677028b5/integrations/vault"
)

// Config is what to compare.
type Config struct {
	Events      *eventstore.Store
	Vault       *vault.Vault
	Mark        eventstore.Mark // last event that was seen on disk
	Generations projections.Generations
	Followed    bool          // a running service keeps the read model current; else Run applies what is missing, unless the log lacks events
	CatchUp     time.Duration // how long to wait until the read model shows the whole log
	Now         func() time.Time
	Proofs      *trees.Reader   // compares the logs with their trees; nil: they are not compared
	Held        []byte          // checkpoints that were held elsewhere
	Archive     archive.Objects // compared with the logs that it has; nil: there is none
	Progress    io.Writer
	Log         *slog.Logger
}

// Report is what Run found.
type Report struct {
	Events         int                `json:"events"`
	Integrations   int                `json:"integrations"`       // that exist
	Authorizations int                `json:"authorizations"`     // that are not revoked
	Secrets        int                `json:"secrets"`            // that events name
	Accepted       uint64             `json:"accepted"`           // events that are missing and that an operator accepted as lost
	Removed        uint64             `json:"removed"`            // events that only an archive has
	Trees          []Tree             `json:"trees,omitempty"`    // that were compared with their logs
	Archives       []archive.Compared `json:"archives,omitempty"` // that were compared with their logs
	Problems       []string           `json:"problems"`
}

// Run verifies that versions have no gaps, that every secret can be opened, that none
// is left over, and that the read model shows the state that the log leads to. It compares the logs with
// their trees, and with their archives.
func Run(ctx context.Context, c Config) (report Report, err error) {
	v := &verification{Config: c, folded: map[domain.Ref]*state{}, authorizations: map[domain.AuthorizationRef]*authorizationState{}, report: Report{Problems: []string{}}}
	if v.head, err = c.Events.Head(ctx); err != nil {
		return report, err
	}
	if v.removed, err = c.Events.Removed(ctx); err != nil {
		return report, err
	}
	if err := v.fold(ctx); err != nil {
		return report, err
	}
	v.openSecrets(ctx)
	v.openGrants(ctx)
	v.count()
	if err := v.inspect(ctx); err != nil {
		return report, err
	}
	if err := v.compareReadModel(ctx); err != nil {
		if !isFinding(ctx, err) {
			return report, err
		}
		v.problem("the read model can't be compared with the log: %v", err)
	}
	if err := v.compareTrees(ctx); err != nil {
		return report, err
	}
	if err := v.checkRemoval(ctx); err != nil {
		return report, err
	}
	if c.Archive != nil && c.Proofs != nil {
		archives, problems, err := compareArchives(ctx, c.Archive, c.Proofs, c.Progress)
		if err != nil {
			return report, err
		}
		v.report.Archives, v.report.Problems = archives, append(v.report.Problems, problems...)
	}
	service := &commands.Service{Events: c.Events, Vault: c.Vault, Now: c.Now}
	err = service.Orphans(ctx, func(orphan vault.Stored) error {
		v.problem("secret %s of %s/%s: no event names it", orphan.ID, orphan.Owner.Workspace, orphan.Owner.ID)
		return nil
	})
	return v.report, err
}

// WriteText writes the report for people.
func (r Report) WriteText(to io.Writer) error {
	_, err := fmt.Fprintf(to, "%d events, %d integrations, %d authorizations, %d secrets\n", r.Events, r.Integrations, r.Authorizations, r.Secrets)
	if r.Removed > 0 {
		_, err = fmt.Fprintf(to, "%d events of the log were removed, which an archive has\n", r.Removed)
	}
	for _, t := range r.Trees {
		_, err = fmt.Fprintf(to, "tree of %s: %d positions, %d of them expired and %d removed; unchanged to position %d, by %d checkpoints held elsewhere\n", t.Log, t.Size, t.Expired, t.Removed, t.Unchanged, t.Held)
	}
	for _, a := range r.Archives {
		removed := ""
		if a.Removed > 0 {
			removed = fmt.Sprintf("; %d of those were removed from the log", a.Removed)
		}
		_, err = fmt.Fprintf(to, "archive of %s: %d positions; %d events are byte for byte those of the log, %d are in the archive only, and %d in the log only%s\n",
			a.Log, a.Position, a.Events, a.OnlyArchive, a.OnlyLog, removed)
	}
	for _, p := range r.Problems {
		_, err = fmt.Fprintln(to, "wrong:", p)
	}
	if len(r.Problems) == 0 {
		_, err = fmt.Fprintln(to, "ok: the read model matches the log, versions have no gaps, every secret can be opened and none is left over")
	}
	return err
}

// verification is one run.
type verification struct {
	Config

	report Report
	head   uint64 // of the log when the run started
	last   uint64 // position of the event that was folded last
	gap    uint64 // last position that has no event

	removed    *eventstore.Positions // that only an archive has
	incomplete bool                  // events are missing that no operator has accepted as lost

	folded         map[domain.Ref]*state
	authorizations map[domain.AuthorizationRef]*authorizationState
}

// state is what the log leads to. It keeps a hash instead of the integration, so that
// a million of them fit into memory.
type state struct {
	position uint64 // of its last event
	version  uint64
	hash     [sha256.Size]byte
	deleted  bool
	group    group
	owner    domain.Owner
	secrets  []domain.SecretRef
	shown    bool // by the read model
}

func (v *verification) problem(format string, args ...any) {
	v.report.Problems = append(v.report.Problems, fmt.Sprintf(format, args...))
}

// changedSince reports whether an integration changed after the run started. Nothing
// can be verified of such an integration.
func (v *verification) changedSince(ctx context.Context, k domain.Ref) bool {
	last, err := v.Events.LoadFromLeader(ctx, k.Workspace, k.ID)
	return err == nil && last.Position > v.head
}
