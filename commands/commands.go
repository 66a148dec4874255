// Package commands has every operation that the service offers. A change loads the
// integration, lets the domain decide, seals the new secrets and appends the event: it is
// made completely or not at all.
package commands

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/seed677028b5/integrations/approvals"
	"github.com/seed677028b5/integrations/authorizations"
	"github.com/seed677028b5/integrations/bodies"
	"github.com/seed677028b5/integrations/callrecorder"
	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/eventstore"
	"github.com/seed677028b5/integrations/internal/tracing"
	"github.com/seed677028b5/integrations/vault"
)

// Connectors call upstreams.
type Connectors interface {
	// Call calls an endpoint. It returns an error for invalid parameters; a failure of
	// the upstream is in the result.
	Call(context.Context, domain.Call) (domain.CallResult, error)
	// Discover lists what an upstream offers as endpoints.
	Discover(context.Context, domain.Integration, domain.Keyring, domain.Description) (domain.Discovery, error)
	// Query makes a request to the MCP server of an integration; a failure of the upstream is
	// in the reply.
	Query(context.Context, domain.MCPQuery) (domain.MCPReply, error)
	// Probe checks whether an integration can be used.
	Probe(context.Context, domain.Integration, domain.Keyring) domain.Probe
}

// Service executes commands.
type Service struct {
	Events          *eventstore.Store
	Vault           *vault.Vault
	Connectors      Connectors
	Rules           domain.Rules
	PublicKey       func(domain.Auth, domain.Secret) ([]byte, error) // the public part of a private key, as a JWK
	GenerateKey     func(algorithm string) (domain.GeneratedKey, error)
	Reshape         func(ctx context.Context, e domain.Endpoint, status int, answer any) domain.CallResult // runs an answer through the steps of an endpoint
	Builtins        domain.BuiltinSettings
	OperatorKeys    map[string]domain.Secret // of the built-ins, by name
	Now             func() time.Time         // UTC, in microseconds
	NewID           func() string            // unique, of letters, digits and hyphens
	Log             *slog.Logger
	Traces          tracing.Tracer                                   // of calls and probes that no request waits for; default: nothing is traced
	TestsNeedInvoke bool                                             // may only those who may invoke test endpoints whose method is not GET?
	Called          func(domain.Protocol, domain.IntegrationInvoked) // is called for each call, to measure it; nil: nothing is
	Deferred        *Deferred                                        // secrets to destroy after a backup; nil: the sweep destroys them

	Authorizations *authorizations.Authorizations                           // what persons have consented to; nil: nobody can
	Asker          func(domain.Workspace, string) (asker Asker, known bool) // what the key with an id may do now that asked for an approval; nil: it is not looked at again
	Approvals      *approvals.Approvals                                     // calls that wait for a decision; nil: endpoints that need one can't be called
	Calls          *callrecorder.Recorder                                   // records calls beside their answers; nil: before them
	Bodies         *bodies.Store                                            // what calls sent and what came back; nil: it is not kept
	Plain          *PlainEndpoints                                          // so that each call needn't find out whether its arguments have other names; nil: each does
}

// Caller identifies who sends a command, from where and how.
type Caller struct {
	Workspace   domain.Workspace
	Actor       string // the id of the API key, or of who signed in
	Address     string
	RequestID   string
	TraceParent string
	MayExec     bool                  // may they start processes? The service itself may
	MayInvoke   bool                  // may they call endpoints as a tool?
	Kind        domain.CallKind       // of their invocations; empty: domain.ToolCall
	Progress    func(domain.Progress) // is called as upstreams report how far their calls are; nil: nobody asks
	OnBehalfOf  string                // the subject whose tokens a call uses. Empty: the workspace's own

	approval string // by which the service makes a call for them
}

// May refuses with Forbidden an integration that would start a process, now or at a later
// call, if the caller may not start processes.
func (c Caller) May(i domain.Integration) error {
	if i.MCPTransport == domain.Stdio && !c.MayExec {
		return domain.Errorf(domain.Forbidden, "forbidden",
			"the integration %q starts a process, and this API key lacks the permission Integration.exec in this workspace", i.Name)
	}
	return nil
}

// Condition restricts when a change is made.
type Condition struct {
	IfVersions    []uint64 // make the change only on one of these versions; nil: on any
	IfExists      bool     // make the change only if there is an integration; for a create
	IfNotVersions []uint64 // make the change on none of these versions
	IfAbsent      bool     // make the change only if there is no integration
	DryRun        bool     // decide without sealing or appending

	isNew bool // the integration probably doesn't exist yet

	// IdempotencyKey makes a repeated request return the result of the first. Request is
	// a hash of the whole request, to detect a key that is used for different requests. It
	// is only stored as an HMAC under a key of the vault.
	IdempotencyKey string
	Request        string
}

// Outcome is the result of a change.
type Outcome struct {
	Integration domain.Integration // the state after the change
	Position    uint64             // of the integration's last event in the log
	Changes     []domain.Change    // of a dry run: the differences from the present state
	Removed     []string           // the endpoints that are gone after an update
	Replayed    bool               // an earlier request with the same idempotency key made the change
}

// attempts is how often a change is decided when it conflicts with others.
const attempts = 8

// change makes one change to one integration: load, decide, seal, append; again after a
// conflict. What it decides first may be about an earlier event: the append refuses that.
// Refusals, and that nothing changes, are only decided on what the leader of the log has.
func (s *Service) change(ctx context.Context, by Caller, id domain.ID, on Condition, decide func(domain.Integration, domain.Attempt) (domain.Decision, error)) (Outcome, error) {
	decide = traced(ctx, decide)
	meta := domain.Metadata{CommandID: s.NewID(), Actor: by.Actor, Address: by.Address, RequestID: by.RequestID, TraceParent: by.TraceParent}
	once := idempotency{Service: s, by: by, id: id, on: on, meta: &meta}
	if out, err := once.repeated(ctx); err != nil || out.Replayed {
		return out, err
	}
	if err := s.Events.Intact(); err != nil {
		return Outcome{}, err
	}
	keys := s.generator()
	load := s.loader(on)
	for range attempts {
		last, mayLag, err := load(ctx, by.Workspace, id)
		if err != nil {
			return Outcome{}, err
		}
		state := domain.Evolve(domain.Integration{}, last.Event)
		meta.At = s.Now()
		decision, err := domain.Decision{}, checkVersion(state, on)
		if err == nil {
			decision, err = decide(state, domain.Attempt{At: meta.At, ID: s.NewID(), NewKey: keys()})
		}
		out := Outcome{Integration: domain.Evolve(state, decision.Event), Position: last.Position}
		out.Removed = domain.RemovedEndpoints(state.Configuration, out.Integration.Configuration)
		forbidden := by.May(out.Integration)
		unseen := err != nil || forbidden != nil || decision.Event == nil || on.DryRun // no append will detect that this was not the last event
		inVain := last.Position == 0 && len(decision.Seal) > 0                         // secrets would be sealed for an append that may well be refused
		if mayLag && (unseen || inVain) {
			load = s.fromLeader
			continue
		}
		if err != nil {
			return once.unlessRepeated(ctx, err)
		}
		if forbidden != nil {
			return Outcome{}, forbidden
		}
		if on.DryRun {
			out.Changes = domain.Changes(state.Configuration, out.Integration.Configuration)
			return out, nil
		}
		if first, err := once.claim(ctx, last.Position, decision.Event == nil); err != nil || first.Replayed {
			return first, err
		}
		if decision.Event == nil {
			return out, nil
		}
		out.Position, err = s.record(ctx, last.Position, out.Integration, decision, meta)
		if errors.Is(err, eventstore.ErrConflict) {
			load = s.fromLeader
			continue
		}
		if err != nil {
			return Outcome{}, err
		}
		recorded := once.asRecorded(ctx, out)
		s.destroy(ctx, recorded.Integration.Owner(), append(superseded(state, recorded.Integration), superseded(out.Integration, recorded.Integration)...))
		return recorded, nil
	}
	return Outcome{}, domain.Errorf(domain.Conflict, "changing_too_fast", "the integration is being changed too often; try again")
}

// loader returns how the first decision of a change finds out what it changes.
func (s *Service) loader(on Condition) func(context.Context, domain.Workspace, domain.ID) (eventstore.Commit, bool, error) {
	return func(ctx context.Context, w domain.Workspace, id domain.ID) (eventstore.Commit, bool, error) {
		switch {
		case on.DryRun:
			return s.fromLeader(ctx, w, id)
		case on.IdempotencyKey != "": // a claim names the event that it follows
			last, err := s.Events.Load(ctx, w, id)
			return last, s.Events.Replicated(), err
		case on.isNew:
			last, _ := s.Events.Recent(w, id) // without one there is probably none
			return last, true, nil
		}
		return s.Events.LoadRecent(ctx, w, id)
	}
}

// fromLeader loads what the leader of the log has.
func (s *Service) fromLeader(ctx context.Context, w domain.Workspace, id domain.ID) (eventstore.Commit, bool, error) {
	last, err := s.Events.LoadFromLeader(ctx, w, id)
	return last, false, err
}

// checkVersion refuses with Stale when the state is not the one that a change is for. A
// change of what is not there is refused by its decision.
func checkVersion(state domain.Integration, on Condition) error {
	if on.IfExists && !state.Exists() {
		return domain.Errorf(domain.Stale, "version_mismatch", "there is no such integration yet, and If-Match needs one; create it without If-Match")
	}
	switch {
	case !state.Exists():
		return nil
	case on.IfVersions != nil && !slices.Contains(on.IfVersions, state.Version):
		return domain.Errorf(domain.Stale, "version_mismatch", "the integration is now at version %d; read it again", state.Version)
	case on.IfAbsent:
		return domain.Errorf(domain.Stale, "version_mismatch", "there is such an integration, and If-None-Match needs none")
	case slices.Contains(on.IfNotVersions, state.Version):
		return domain.Errorf(domain.Stale, "version_mismatch", "the integration is at version %d, which If-None-Match excludes", state.Version)
	}
	return nil
}

// record seals the secrets of a decision and appends its event. After a conflict it
// destroys those secrets; if the outcome is unknown they stay until a sweep finds that no
// event references them.
func (s *Service) record(ctx context.Context, after uint64, next domain.Integration, d domain.Decision, m domain.Metadata) (uint64, error) {
	sealing, sealCtx := errgroup.WithContext(ctx)
	for _, secret := range d.Seal {
		sealing.Go(func() error { return s.Vault.Seal(sealCtx, next.Owner(), secret) })
	}
	if err := sealing.Wait(); err != nil {
		return 0, err
	}
	position, err := appendTo(ctx, s.Events, next, after, d.Event, m)
	if errors.Is(err, eventstore.ErrConflict) || domain.KindOf(err) == domain.TooLarge {
		refs := make([]domain.SecretRef, len(d.Seal))
		for n, secret := range d.Seal {
			refs[n] = secret.Ref
		}
		s.destroy(ctx, next.Owner(), refs)
	}
	return position, err
}

// superseded returns the secrets that next no longer references.
func superseded(state, next domain.Integration) []domain.SecretRef {
	kept := next.Secrets()
	gone := slices.DeleteFunc(state.Secrets(), func(old domain.SecretRef) bool {
		return slices.ContainsFunc(kept, func(ref domain.SecretRef) bool { return ref.ID == old.ID })
	})
	if state.GeneratesKeys() && !next.GeneratesKeys() {
		gone = append(gone, domain.SecretRef{ID: state.Owner().GeneratedKeys(), Field: "generated keys"})
	}
	return gone
}

// callable is current for a call: it refuses a caller who may not start a process.
func (s *Service) callable(ctx context.Context, by Caller, id domain.ID) (domain.Integration, error) {
	i, err := s.current(ctx, by.Workspace, id)
	if err != nil {
		return domain.Integration{}, err
	}
	return i, by.May(i)
}

// current returns the integration at the head of the log, built-ins included, unless the
// scope of ctx hides it. It has all its endpoints.
func (s *Service) current(ctx context.Context, w domain.Workspace, id domain.ID) (domain.Integration, error) {
	i, err := s.last(ctx, w, id)
	if err != nil {
		return domain.Integration{}, err
	}
	if !i.Exists() || !domain.ScopeOf(ctx).Sees(i) {
		return domain.Integration{}, domain.NoSuchIntegration()
	}
	return i, nil
}

// last returns the state at the head of the log, which may be of a deleted integration.
func (s *Service) last(ctx context.Context, w domain.Workspace, id domain.ID) (domain.Integration, error) {
	if b, ok := domain.Builtin(w, id, s.Builtins); ok {
		return b, nil
	}
	last, err := s.Events.Current(ctx, w, id)
	return domain.Evolve(domain.Integration{}, last.Event), err
}

// Visible refuses with NotFound an integration that the scope of ctx hides, as one that
// never existed. A deleted one may be visible. A scope that hides nothing costs nothing.
func (s *Service) Visible(ctx context.Context, w domain.Workspace, id domain.ID) error {
	scope := domain.ScopeOf(ctx)
	if !scope.Narrow() {
		return nil
	}
	i, err := s.last(ctx, w, id)
	switch {
	case domain.KindOf(err) == domain.Conflict: // it is unreadable, so its name and endpoints are unknown
		return domain.NoSuchIntegration()
	case err != nil:
		return err
	case i.ID == "" || !scope.Sees(i):
		return domain.NoSuchIntegration()
	}
	return nil
}
