package erasure_test

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/accesslog"
	"github.com/seed677028b5/integrations/commands"
	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/internal/natstest"
	"github.com/seed677028b5/integrations/persons"
)

const (
	eve     = "oidc:eve@people.example"
	station = "192.0.2.200"
)

// ask adds denied requests to the log of accesses.
func (s *site) ask(w domain.Workspace, names ...string) {
	for _, name := range names {
		s.eraser.Accesses.Add(accesslog.Record{Kind: accesslog.Denied, Workspace: w, Key: name, Address: station})
	}
}

// run writes the log of accesses until the returned function is called, which writes the rest.
func (s *site) run() (stop func()) {
	ctx, cancel := context.WithCancel(s.t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.eraser.Accesses.Run(ctx) }()
	return func() { cancel(); require.NoError(s.t, <-ended) }
}

// asked returns who asked, and from where, in the log of accesses.
func (s *site) asked(w domain.Workspace) (all []string) {
	s.t.Helper()
	records, _, err := s.eraser.Accesses.Page(s.t.Context(), w, accesslog.Filter{Kind: accesslog.Denied}, 0, 100)
	require.NoError(s.t, err)
	for _, r := range records {
		all = append(all, r.Key, r.Address)
	}
	return all
}

func (s *site) personKeys(w domain.Workspace) (count int) {
	s.t.Helper()
	all, err := s.eraser.Commands.Vault.IDs(s.t.Context(), domain.Owner{Workspace: w, ID: "persons"})
	require.NoError(s.t, err)
	for _, one := range all {
		if persons.IsKey(one.ID) {
			count++
		}
	}
	return count
}

func TestRequestsBeforeAnErasureAreNotReadableAfterIt(t *testing.T) {
	t.Parallel()
	for name, erase := range map[string]func(*site) error{
		"person":    func(s *site) error { _, err := s.eraser.Subject(s.t.Context(), "acme", ann); return err },
		"stranger":  func(s *site) error { _, err := s.eraser.Subject(s.t.Context(), "acme", eve); return err },
		"workspace": func(s *site) error { _, err := s.eraser.Workspace(s.t.Context(), "acme"); return err },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			nc, file := natstest.Connect(t), filepath.Join(t.TempDir(), "root.keyset")
			service, tool := open(t, nc, file), open(t, nc, file)
			service.fill(crm, ann)
			who := []string{ann, eve, "0123456789abcdef"}
			stop := service.run()
			service.ask("acme", who...)
			require.Eventually(t, func() bool { return slices.Contains(service.asked("acme"), eve) }, time.Minute, 10*time.Millisecond)
			service.ask("acme", who...)
			service.ask("acme", ann+"2", "fedcba9876543210") // not seen before
			require.NoError(t, erase(tool))
			stop()

			again := open(t, nc, file)
			erased := map[string][]string{"person": {ann, eve}, "stranger": {eve, ann + "2"}, "workspace": {ann, eve, station}}[name]
			for _, plain := range erased {
				require.NotContains(t, again.asked("acme"), plain)
			}
			require.Contains(t, again.asked("acme"), "0123456789abcdef", "they are recorded")
			if name == "workspace" {
				return
			}
			stop = again.run()
			again.ask("acme", who...)
			stop()
			require.Contains(t, open(t, nc, file).asked("acme"), eve, "who comes back is seen")
		})
	}
}

func TestStrangersOfAWorkspaceShareAKeyThatIsErasedWithItOnly(t *testing.T) {
	t.Parallel()
	nc, file := natstest.Connect(t), filepath.Join(t.TempDir(), "root.keyset")
	s := open(t, nc, file)
	s.fill(crm, ann)
	s.fill(domain.Ref{Workspace: "globex", ID: domain.NewID("globex", "crm")}, ann)
	before := s.personKeys("acme")
	long := "oidc:" + strings.Repeat("é", 127) + "x"
	for _, w := range []domain.Workspace{"acme", "globex", "none", ""} {
		s.ask(w, eve, long)
		for n := range 30 {
			s.ask(w, fmt.Sprintf("oidc:%d@people.example", n))
		}
	}
	s.ask("", "0123456789abcdef") // an operator, of no workspace
	s.run()()
	require.Equal(t, before+1, s.personKeys("acme"), "one for all strangers")
	require.Zero(t, s.personKeys("none"))
	require.Equal(t, 1, s.personKeys(persons.Everywhere))
	for _, w := range []domain.Workspace{"acme", "globex", "none", persons.Everywhere} {
		require.Contains(t, s.asked(w), long, w)
		require.Contains(t, s.asked(w), station, w)
	}
	stream, err := s.eraser.Streams.Stream(t.Context(), accesslog.Stream)
	require.NoError(t, err)
	info, err := stream.Info(t.Context())
	require.NoError(t, err)
	for n := info.State.FirstSeq; n <= info.State.LastSeq; n++ {
		msg, err := stream.GetMsg(t.Context(), n)
		require.NoError(t, err)
		require.NotContains(t, string(msg.Data), station, "nor that of an operator")
	}

	report, err := s.eraser.Subject(t.Context(), "acme", long)
	require.NoError(t, err)
	require.Equal(t, 1, report.Strangers)
	require.Contains(t, report.Text(), "erased who only sent requests to the workspace acme, "+long+" too if they did")
	require.Zero(t, report.Persons)
	require.NotContains(t, s.asked("acme"), long)
	require.Contains(t, s.asked("globex"), long)
	require.Contains(t, s.shown("acme"), ann)
	whole, err := s.eraser.Workspace(t.Context(), "globex")
	require.NoError(t, err)
	require.Positive(t, whole.Persons)
	require.NotContains(t, s.asked("globex"), long)
	require.NotContains(t, s.asked("globex"), eve)
	require.Contains(t, s.asked("none"), eve)

	typo, err := s.eraser.Subject(t.Context(), "acme", "oidc:typo")
	require.NoError(t, err)
	require.Contains(t, typo.Text(), "nothing was found of oidc:typo in the workspace acme")
	nowhere, err := s.eraser.Workspace(t.Context(), "acmee")
	require.NoError(t, err)
	require.Contains(t, nowhere.Text(), "nothing was found of the workspace acmee")
}

func TestNoBackupBeginsDuringAnErasure(t *testing.T) {
	t.Parallel()
	s := open(t, natstest.Connect(t), filepath.Join(t.TempDir(), "root.keyset"))
	s.fill(crm, ann)
	ended := make(chan error, 1)
	go func() { _, err := s.eraser.Workspace(t.Context(), "acme"); ended <- err }()
	require.Eventually(t, func() bool {
		held, err := s.events.Held(t.Context(), commands.BackupLease)
		return err == nil && held
	}, time.Minute, time.Millisecond)
	keys := -1
	require.NoError(t, s.events.Lead(t.Context(), commands.BackupLease, func(ctx context.Context) error {
		left, err := s.eraser.Commands.Vault.IDs(ctx, domain.Owner{Workspace: "acme"})
		keys = len(left)
		return err
	}))
	require.Zero(t, keys, "it began once all keys were destroyed")
	require.NoError(t, <-ended)
}
