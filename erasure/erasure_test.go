package erasure_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/access"
	"github.com/seed677028b5/integrations/accesslog"
	"github.com/seed677028b5/integrations/authorizations"
	"github.com/seed677028b5/integrations/commands"
	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/erasure"
	"github.com/seed677028b5/integrations/eventstore"
	"github.com/seed677028b5/integrations/internal/natstest"
	"github.com/seed677028b5/integrations/persons"
	"github.com/seed677028b5/integrations/projections"
	"github.com/seed677028b5/integrations/projections/sqlite"
	"github.com/seed677028b5/integrations/transparency"
	"github.com/seed677028b5/integrations/transparency/trees"
	"github.com/seed677028b5/integrations/vault"
)

const (
	ann     = "oidc:ann@people.example"
	ben     = "oidc:ben@people.example"
	address = "192.0.2.77"
	account = "account of ann@people.example"
)

var crm = domain.Ref{Workspace: "acme", ID: domain.NewID("acme", "crm")}

// site is what a data folder has of persons.
type site struct {
	t      *testing.T
	nc     *nats.Conn
	file   string
	events *eventstore.Store
	eraser *erasure.Eraser
	proofs *trees.Reader
}

func now() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }

// open opens what a process has.
func open(t *testing.T, nc *nats.Conn, file string) *site {
	t.Helper()
	ctx, log := t.Context(), slog.New(slog.DiscardHandler)
	events, err := eventstore.Open(ctx, nc, eventstore.Config{AllowLazySync: true})
	require.NoError(t, err)
	secrets, err := vault.Open(ctx, nc, vault.RootKeys{File: file}, 1)
	require.NoError(t, err)
	known, err := persons.New(secrets)
	require.NoError(t, err)
	events.SealPersons(known)
	consents, err := authorizations.Open(ctx, nc, authorizations.Config{Events: events, Vault: secrets, Now: now, NewID: rand.Text, Log: log})
	require.NoError(t, err)
	keys, err := access.Open(ctx, nc, 1, time.Now, log)
	require.NoError(t, err)
	accesses, err := accesslog.Open(ctx, nc, 1, now, rand.Text, log)
	require.NoError(t, err)
	accesses.Persons = known
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	seed, err := secrets.DeriveKey("checkpoints")
	require.NoError(t, err)
	signing, err := transparency.NewKey(seed)
	require.NoError(t, err)
	grown, err := trees.Open(ctx, nc, 1)
	require.NoError(t, err)
	return &site{t: t, nc: nc, file: file, events: events, eraser: &erasure.Eraser{
		Commands: &commands.Service{Events: events, Vault: secrets, Authorizations: consents, Now: now, NewID: rand.Text, Log: log},
		Persons:  known, Keys: keys, Accesses: accesses, Streams: js, Actor: "operator-cli",
	}, proofs: &trees.Reader{Events: events, Trees: grown, Key: signing, Streams: map[transparency.Log]string{
		transparency.Integrations: eventstore.StreamOfIntegrations, transparency.Approvals: eventstore.StreamOfApprovals,
		transparency.Calls: eventstore.StreamOfCalls, transparency.Access: accesslog.Stream,
	}}}
}

func by(who string) domain.Metadata {
	return domain.Metadata{CommandID: rand.Text(), At: now(), Actor: who, Address: address}
}

// fill stores an event of each log for who acts: a change, an authorization, an approval, a call
// and an access.
func (s *site) fill(i domain.Ref, who string) {
	s.t.Helper()
	ctx, account := s.t.Context(), "account of "+strings.TrimPrefix(who, "oidc:")
	last, err := s.events.Load(ctx, i.Workspace, i.ID)
	require.NoError(s.t, err)
	_, err = s.events.Append(ctx, i.Workspace, i.ID, last.Position, domain.IntegrationCreated{Integration: domain.Integration{ID: i.ID, Workspace: i.Workspace, Name: "crm", Version: 1, Incarnation: 1}}, by(who))
	require.NoError(s.t, err)
	use := authorizations.Use{Integration: domain.Integration{ID: i.ID, Workspace: i.Workspace}, Subject: who}
	consents := s.eraser.Commands.Authorizations
	given := domain.AuthorizationChanged{
		Workspace: i.Workspace, ID: i.ID, Key: consents.ID(use), Change: domain.Authorized{Account: account, By: who},
		State: domain.Authorization{State: domain.IsAuthorized, Version: 1, Account: account, AuthorizedBy: who, Subject: consents.SubjectHash(i.Workspace, who), Incarnation: 1},
	}
	_, err = s.events.AppendAuthorization(ctx, 0, given, by(who))
	require.NoError(s.t, err)
	require.NoError(s.t, s.eraser.Commands.Vault.Seal(ctx, domain.Owner{Workspace: i.Workspace, ID: i.ID, Incarnation: 1}, domain.SealedSecret{
		Ref: domain.SecretRef{ID: "subject-" + given.Key, Field: "subject", Version: 1}, Secret: domain.NewSecret(who),
	}))
	_, err = s.events.AppendApproval(ctx, 0, domain.CallApproved{Approval: domain.Approval{ID: rand.Text(), Workspace: i.Workspace, Integration: i.ID, Key: who, DecidedBy: who}}, by(who))
	require.NoError(s.t, err)
	_, err = s.events.RecordCall(ctx, domain.IntegrationInvoked{ID: i.ID, Workspace: i.Workspace, Name: "crm", Kind: domain.ToolCall, Outcome: domain.CallOK}, by(who))
	require.NoError(s.t, err)
	require.NoError(s.t, s.eraser.Accesses.Write(ctx, accesslog.Record{Kind: accesslog.Denied, Workspace: i.Workspace, Key: who, Address: address, Count: 1, First: now(), Last: now()}))
}

// shown returns who acted and from where, in all logs of a workspace, and the accounts of its
// authorizations.
func (s *site) shown(w domain.Workspace) (all []string) {
	s.t.Helper()
	ctx, of := s.t.Context(), eventstore.Selection{Workspace: w, Authorizations: true}
	for _, page := range []func(context.Context, eventstore.Selection, uint64, int) ([]eventstore.Commit, bool, error){s.events.Page, s.events.CallPage, s.events.ApprovalPage} {
		commits, _, err := page(ctx, of, 0, 100)
		require.NoError(s.t, err)
		for _, c := range commits {
			require.NoError(s.t, c.Err)
			all = append(all, c.Meta.Actor, c.Meta.Address)
			if a, ok := domain.ApprovalOf(c.Event); ok {
				all = append(all, a.Key, a.DecidedBy)
			}
			if a, ok := c.Event.(domain.AuthorizationChanged); ok {
				all = append(all, a.State.Account, a.State.AuthorizedBy)
			}
		}
	}
	records, _, err := s.eraser.Accesses.Page(ctx, w, accesslog.Filter{}, 0, 100)
	require.NoError(s.t, err)
	for _, r := range records {
		all = append(all, r.Key, r.Address)
	}
	return all
}

// followed returns who acted in the log of all workspaces, as a follower reads it.
func (s *site) followed() (all []string) {
	s.t.Helper()
	head, err := s.events.Head(s.t.Context())
	require.NoError(s.t, err)
	for batch, err := range s.events.After(s.t.Context(), 0) {
		require.NoError(s.t, err)
		for _, c := range batch {
			require.NoError(s.t, c.Err)
			all = append(all, string(c.Workspace)+" "+c.Meta.Actor)
		}
		if batch[len(batch)-1].Position >= head {
			break
		}
	}
	return all
}

// signed waits until every log is signed, and returns the checkpoints and an export of each.
func (s *site) signed() (held []byte, exports map[transparency.Log][]byte) {
	s.t.Helper()
	ctx, stop := context.WithCancel(s.t.Context())
	ended := make(chan error, 1)
	follower := &trees.Follower{Events: s.events, Trees: s.proofs.Trees, Streams: s.proofs.Streams, Key: s.proofs.Key, Log: slog.New(slog.DiscardHandler)}
	go func() { ended <- follower.Run(ctx) }()
	exports = map[transparency.Log][]byte{}
	for log, stream := range s.proofs.Streams {
		bounds, err := s.events.Bounds(ctx, stream)
		require.NoError(s.t, err)
		require.Eventually(s.t, func() bool {
			state, err := s.proofs.Trees.State(ctx, log)
			return err == nil && state.Edge.Size == bounds.Last
		}, time.Minute, 10*time.Millisecond)
		state, err := s.proofs.Trees.State(ctx, log)
		require.NoError(s.t, err)
		held = append(held, state.Note+"\n"...)
		var export bytes.Buffer
		require.NoError(s.t, s.proofs.Export(ctx, &export, trees.Export{Log: log}))
		exports[log] = export.Bytes()
	}
	stop()
	require.NoError(s.t, <-ended)
	return held, exports
}

func (s *site) verified(held []byte, exports map[transparency.Log][]byte) {
	s.t.Helper()
	for log, export := range exports {
		report, err := transparency.Verify(bytes.NewReader(export), nil, held)
		require.NoError(s.t, err)
		require.True(s.t, report.OK(), "%s: %v", log, report.Findings)
		checked, err := s.proofs.Check(s.t.Context(), log, held)
		require.NoError(s.t, err)
		require.Empty(s.t, checked.Problems, log)
	}
}

// build builds the read model in a folder.
func (s *site) build(folder string) {
	s.t.Helper()
	generations := &sqlite.Generations{Folder: folder, Log: slog.New(slog.DiscardHandler)}
	_, err := (&projections.Builder{Events: s.events, Generations: generations, Log: generations.Log}).Run(s.t.Context())
	require.NoError(s.t, err)
	require.NoError(s.t, generations.Close())
}

func onDisk(t *testing.T, dir string, text string) bool {
	t.Helper()
	found := errors.New("found")
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		if err == nil && bytes.Contains(data, []byte(text)) {
			return found
		}
		return err
	})
	if !errors.Is(err, found) {
		require.NoError(t, err)
	}
	return err != nil
}

// keyText returns the sealed key of a name as the vault has it.
func (s *site) keyText(w domain.Workspace, name string) string {
	s.t.Helper()
	aliases, err := s.eraser.Persons.Aliases(s.t.Context(), w, name)
	require.NoError(s.t, err)
	require.Len(s.t, aliases, 1)
	stream, err := s.eraser.Streams.Stream(s.t.Context(), "SECRETS")
	require.NoError(s.t, err)
	msg, err := stream.GetLastMsgForSubject(s.t.Context(), "secrets."+string(w)+".persons.key-"+aliases[0])
	require.NoError(s.t, err)
	return string(msg.Data)
}

func TestAPersonIsErasedAndEveryProofStaysGood(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	nc, stop := natstest.Start(t, dir)
	s := open(t, nc, filepath.Join(t.TempDir(), "root.keyset"))
	globex := domain.Ref{Workspace: "globex", ID: domain.NewID("globex", "crm")}
	s.fill(crm, ann)
	s.fill(domain.Ref{Workspace: "acme", ID: domain.NewID("acme", "ehr")}, ben)
	s.fill(globex, ann)
	before := s.shown("acme")
	for _, text := range []string{ann, ben, address, account} {
		require.Contains(t, before, text)
		require.Contains(t, s.shown("globex"), strings.Replace(text, ben, ann, 1))
	}
	require.Contains(t, s.followed(), "acme "+ann)
	held, exports := s.signed()
	s.verified(held, exports)
	key := s.keyText("acme", ann)
	require.True(t, onDisk(t, dir, key), "or this test shows nothing")
	folder := t.TempDir()
	s.build(folder)
	require.True(t, onDisk(t, folder, account), "the read model shows it")

	report, err := s.eraser.Subject(t.Context(), "acme", ann)
	require.NoError(t, err)
	require.Equal(t, 1, report.Authorizations)
	require.Equal(t, 2, report.Persons, "her own key, and that of her account")
	again, err := s.eraser.Subject(t.Context(), "acme", ann)
	require.NoError(t, err)
	require.Zero(t, again.Persons+again.Authorizations)

	require.Eventually(t, func() bool { return !slices.Contains(s.shown("acme"), ann) }, 10*persons.RecentFor, persons.RecentFor/10)
	after := s.shown("acme")
	require.Contains(t, after, persons.Erased)
	require.Contains(t, after, ben)
	require.Contains(t, after, address, "of ben")
	require.Contains(t, s.shown("globex"), ann)
	require.NotContains(t, s.followed(), "acme "+ann, "nor is it in memory")
	require.Contains(t, s.followed(), "globex "+ann)
	_, err = s.eraser.Subject(t.Context(), "globex", ann)
	require.NoError(t, err)
	require.NoError(t, erasure.Pause(t.Context()))
	s.build(folder)
	for _, plain := range []string{ann, account} {
		require.False(t, onDisk(t, folder, plain), "%s is in the read model", plain)
	}
	records, _, err := s.eraser.Accesses.Page(t.Context(), "acme", accesslog.Filter{Kind: accesslog.Erased}, 0, 10)
	require.NoError(t, err)
	require.Len(t, records, 1, "the repetition had nothing to erase")
	require.Len(t, records[0].Aliases, 2)
	for _, alias := range records[0].Aliases {
		require.Contains(t, string(exports[transparency.Integrations])+string(exports[transparency.Calls]), alias, "it says what of an export is erased")
	}
	_, later := s.signed()
	s.verified(held, exports)
	s.verified(held, later)
	for _, export := range []map[transparency.Log][]byte{exports, later} {
		for log, text := range export {
			for _, plain := range []string{ann, address, account} {
				require.NotContains(t, string(text), plain, log)
			}
		}
	}
	stop()
	require.False(t, onDisk(t, dir, key), "not even the sealed form of the key is left")
	for _, plain := range []string{ann, ben, address, account} {
		require.False(t, onDisk(t, dir, plain), plain)
	}
}

func TestAnErasureOfAPersonThatWasKilledIsFinishedByARepetition(t *testing.T) {
	t.Parallel()
	nc := natstest.Connect(t)
	file := filepath.Join(t.TempDir(), "root.keyset")
	s := open(t, nc, file)
	s.fill(crm, ann)
	consents := s.eraser.Commands.Authorizations
	given, err := consents.Of(t.Context(), "acme", ann)
	require.NoError(t, err)
	require.Len(t, given, 1)
	require.NoError(t, consents.Erase(t.Context(), given[0], "operator-cli"), "killed after the authorizations")

	s = open(t, nc, file)
	report, err := s.eraser.Subject(t.Context(), "acme", ann)
	require.NoError(t, err)
	require.Equal(t, 2, report.Persons)
	require.Zero(t, report.Authorizations)
	s = open(t, nc, file)
	require.NotContains(t, s.shown("acme"), ann)
	require.NotContains(t, s.shown("acme"), account)
}

func TestACallIsRecordedWithoutWhoMadeItWhileTheVaultIsAway(t *testing.T) {
	t.Parallel()
	nc, stop := natstest.Start(t, t.TempDir())
	s := open(t, nc, filepath.Join(t.TempDir(), "root.keyset"))
	stop()
	for actor, want := range map[string]string{ann: "", "0123456789abcdef": "0123456789abcdef"} {
		record, err := s.events.EncodeCall(t.Context(), domain.IntegrationInvoked{ID: crm.ID, Workspace: "acme", Kind: domain.ToolCall, Outcome: domain.CallOK}, by(actor))
		require.NoError(t, err)
		data, err := record.MarshalBinary()
		require.NoError(t, err)
		require.Contains(t, string(data), want)
		require.NotContains(t, string(data), ann)
		require.NotContains(t, string(data), address)
	}
}

func TestNothingIsErasedDuringABackup(t *testing.T) {
	t.Parallel()
	nc := natstest.Connect(t)
	s := open(t, nc, filepath.Join(t.TempDir(), "root.keyset"))
	s.fill(crm, ann)
	backup, end := context.WithCancel(t.Context())
	started, ended := make(chan struct{}), make(chan error, 1)
	go func() {
		ended <- s.events.Lead(backup, commands.BackupLease, func(ctx context.Context) error { close(started); <-ctx.Done(); return nil })
	}()
	<-started
	_, err := s.eraser.Subject(t.Context(), "acme", ann)
	require.Equal(t, "backup_running", domain.CodeOf(err))
	_, err = s.eraser.Workspace(t.Context(), "acme")
	require.Equal(t, "backup_running", domain.CodeOf(err))
	require.Contains(t, s.shown("acme"), ann)
	end()
	require.NoError(t, <-ended)
}

func TestAWorkspaceIsErasedAndNoOther(t *testing.T) {
	t.Parallel()
	nc := natstest.Connect(t)
	s := open(t, nc, filepath.Join(t.TempDir(), "root.keyset"))
	globex := domain.Ref{Workspace: "globex", ID: domain.NewID("globex", "crm")}
	s.fill(crm, ann)
	s.fill(globex, ann)
	for _, w := range []domain.Workspace{"acme", "globex"} {
		_, _, err := s.eraser.Keys.Issue(t.Context(), access.Key{Workspace: w, Name: "k", Permissions: []access.Permission{access.View}, CreatedBy: "system"})
		require.NoError(t, err)
	}
	_, err := s.events.RecordProbe(t.Context(), 0, domain.IntegrationProbed{ID: crm.ID, Workspace: "acme"}, by(ann))
	require.NoError(t, err)
	held, exports := s.signed()

	report, err := s.eraser.Workspace(t.Context(), "acme")
	require.NoError(t, err)
	require.Equal(t, 1, report.Integrations)
	require.Equal(t, 1, report.APIKeys)
	require.Equal(t, uint64(1), report.Messages)
	require.GreaterOrEqual(t, report.Persons, 2)
	again, err := s.eraser.Workspace(t.Context(), "acme")
	require.NoError(t, err)
	require.Zero(t, again.Integrations+again.APIKeys+again.Secrets)
	left, err := s.eraser.Commands.Vault.IDs(t.Context(), domain.Owner{Workspace: "acme"})
	require.NoError(t, err)
	require.Empty(t, left)
	require.Empty(t, s.eraser.Keys.List("acme"))

	other := open(t, nc, s.file)
	for _, plain := range []string{ann, address, account} {
		require.NotContains(t, other.shown("acme"), plain)
		require.Contains(t, other.shown("globex"), plain)
	}
	require.Len(t, other.eraser.Keys.List("globex"), 1)
	_, later := other.signed()
	s.verified(held, exports)
	s.verified(held, later)
}
