package persons_test

import (
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/eventstore"
	"github.com/seed677028b5/integrations/internal/natstest"
	"github.com/seed677028b5/integrations/persons"
	"github.com/seed677028b5/integrations/vault"
)

const (
	amy     = "oidc:amy"
	address = "192.0.2.77"
)

func open(t *testing.T, nc *nats.Conn, file string) *persons.Persons {
	t.Helper()
	v, err := vault.Open(t.Context(), nc, vault.RootKeys{File: file}, 1)
	require.NoError(t, err)
	p, err := persons.New(v)
	require.NoError(t, err)
	return p
}

func opened(t *testing.T, p *persons.Persons, w domain.Workspace, stored string) string {
	t.Helper()
	text, err := p.Open(t.Context(), w, stored)
	require.NoError(t, err)
	return text
}

// erase erases a name, and returns what stood for it.
func erase(t *testing.T, p *persons.Persons, w domain.Workspace, name string) []string {
	t.Helper()
	aliases, err := p.Aliases(t.Context(), w, name)
	require.NoError(t, err)
	require.NoError(t, p.Destroy(t.Context(), w, name, aliases))
	return aliases
}

func TestWhatWasSealedOfAPersonIsErasedForEveryProcessAndNothingElseIs(t *testing.T) {
	t.Parallel()
	nc, file := natstest.Connect(t), filepath.Join(t.TempDir(), "root.keyset")
	p, other := open(t, nc, file), open(t, nc, file)
	seal := func(w domain.Workspace, name string) (string, string) {
		who, err := p.SealName(t.Context(), w, name)
		require.NoError(t, err)
		from, err := p.Seal(t.Context(), w, name, address)
		require.NoError(t, err)
		for _, stored := range []string{who, from} {
			require.NotContains(t, stored, "amy")
			require.NotContains(t, stored, address)
		}
		require.Equal(t, address, opened(t, other, w, from))
		return who, from
	}
	who, from := seal("acme", amy)
	require.Equal(t, amy, opened(t, other, "acme", who))
	require.Equal(t, persons.Erased, opened(t, p, "globex", who), "an alias means nothing in another workspace")
	again, err := other.SealName(t.Context(), "acme", amy)
	require.NoError(t, err)
	require.Equal(t, who, again, "processes seal alike")
	ben, _ := seal("acme", "oidc:ben")
	elsewhere, _ := seal("globex", amy)
	_, own := seal("acme", "")

	require.Len(t, erase(t, p, "acme", amy), 1)
	require.Empty(t, erase(t, p, "acme", amy), "it can be repeated")
	require.Equal(t, persons.Erased, opened(t, p, "acme", who))
	require.Equal(t, persons.Erased, opened(t, p, "acme", from))
	require.Eventually(t, func() bool {
		return opened(t, other, "acme", who) == persons.Erased && opened(t, other, "acme", from) == persons.Erased
	}, 10*persons.RecentFor, persons.RecentFor/10)
	for _, p := range []*persons.Persons{p, other} {
		require.Equal(t, "oidc:ben", opened(t, p, "acme", ben))
		require.Equal(t, amy, opened(t, p, "globex", elsewhere))
		require.Equal(t, address, opened(t, p, "acme", own))
	}
	back, backFrom := seal("acme", amy)
	require.NotEqual(t, who, back, "nothing links who comes back to what was erased")
	require.Equal(t, amy, opened(t, p, "acme", back))
	require.Equal(t, address, opened(t, p, "acme", backFrom))
	require.Equal(t, persons.Erased, opened(t, p, "acme", who))
}

func TestAnErasureThatWasInterruptedIsFinished(t *testing.T) {
	t.Parallel()
	nc, file := natstest.Connect(t), filepath.Join(t.TempDir(), "root.keyset")
	p := open(t, nc, file)
	who, err := p.SealName(t.Context(), "acme", amy)
	require.NoError(t, err)
	v, err := vault.Open(t.Context(), nc, vault.RootKeys{File: file}, 1)
	require.NoError(t, err)
	owner := domain.Owner{Workspace: "acme", ID: "persons"}
	require.NoError(t, v.Destroy(t.Context(), owner, domain.SecretRef{ID: "key-" + strings.TrimPrefix(who, "person:")}), "killed after the key and before its alias")

	p = open(t, nc, file)
	require.Equal(t, persons.Erased, opened(t, p, "acme", who))
	erase(t, p, "acme", amy)
	left, err := v.IDs(t.Context(), owner)
	require.NoError(t, err)
	require.Empty(t, left)

	require.NoError(t, v.Seal(t.Context(), owner, domain.SealedSecret{ // killed before the alias of a new key
		Ref: domain.SecretRef{ID: "key-left", Field: "person", Version: 1}, Secret: domain.NewSecret(`{"name":"oidc:amy","key":"` + strings.Repeat("A", 84) + `AA=="}`),
	}))
	_, err = p.SealName(t.Context(), "acme", amy)
	require.NoError(t, err)
	require.Len(t, erase(t, p, "acme", amy), 2, "also the key that no alias leads to")
	left, err = v.IDs(t.Context(), owner)
	require.NoError(t, err)
	require.Empty(t, left)
}

func TestProcessesThatSealForAPersonAtOnceUseOneKey(t *testing.T) {
	t.Parallel()
	nc, file := natstest.Connect(t), filepath.Join(t.TempDir(), "root.keyset")
	open(t, nc, file)
	var all sync.WaitGroup
	sealed := make([]string, 8)
	errs := make([]error, len(sealed))
	for n := range sealed {
		p := open(t, nc, file)
		all.Go(func() { sealed[n], errs[n] = p.SealName(t.Context(), "acme", amy) })
	}
	all.Wait()
	for n := range sealed {
		require.NoError(t, errs[n])
		require.Equal(t, sealed[0], sealed[n])
	}
	aliases, err := open(t, nc, file).Aliases(t.Context(), "acme", amy)
	require.NoError(t, err)
	require.Len(t, aliases, 1)
}

func TestWhatIsNoPersonsStaysAsItIs(t *testing.T) {
	t.Parallel()
	p := open(t, natstest.Connect(t), filepath.Join(t.TempDir(), "root.keyset"))
	for _, p := range []*persons.Persons{p, nil} {
		for _, name := range []string{"", "system", "operator-cli", "0123456789abcdef"} {
			who, err := p.SealName(t.Context(), "acme", name)
			require.NoError(t, err)
			require.Equal(t, name, who)
			require.Equal(t, name, opened(t, p, "acme", who))
		}
		require.Equal(t, address, opened(t, p, "acme", address), "of an earlier version")
	}
	for _, damaged := range []string{"person:", "person:a.b", "person:none", "sealed:", "sealed:none.AAAA", "sealed:x.!", "sealed:*.AA"} {
		require.Equal(t, persons.Erased, opened(t, p, "acme", damaged))
	}
	from, err := p.Seal(t.Context(), "acme", "", address)
	require.NoError(t, err)
	require.Equal(t, persons.Erased, opened(t, p, "acme", from[:len(from)-2]))
}

// The figures of docs/adr 25 come from here.
func BenchmarkAppend(b *testing.B) {
	for _, mode := range []string{"plain", "sealed"} {
		b.Run(mode, func(b *testing.B) {
			nc := natstest.Connect(b)
			events, err := eventstore.Open(b.Context(), nc, eventstore.Config{AllowLazySync: true})
			require.NoError(b, err)
			if mode == "sealed" {
				v, err := vault.Open(b.Context(), nc, vault.RootKeys{File: filepath.Join(b.TempDir(), "root.keyset")}, 1)
				require.NoError(b, err)
				p, err := persons.New(v)
				require.NoError(b, err)
				events.SealPersons(p)
			}
			position := uint64(0)
			i := domain.Integration{ID: domain.NewID("acme", "crm"), Workspace: "acme", Name: "crm"}
			for b.Loop() {
				i.Version++
				position, err = events.Append(b.Context(), "acme", i.ID, position, domain.IntegrationUpdated{Integration: i}, domain.Metadata{CommandID: "c", Actor: amy, Address: address})
				require.NoError(b, err)
			}
		})
	}
}

func BenchmarkPersons(b *testing.B) {
	v, err := vault.Open(b.Context(), natstest.Connect(b), vault.RootKeys{File: filepath.Join(b.TempDir(), "root.keyset")}, 1)
	require.NoError(b, err)
	p, err := persons.New(v)
	require.NoError(b, err)
	who, err := p.SealName(b.Context(), "acme", amy)
	require.NoError(b, err)
	from, err := p.Seal(b.Context(), "acme", amy, address)
	require.NoError(b, err)
	b.Run("seal", func(b *testing.B) {
		for b.Loop() {
			_, err := p.SealName(b.Context(), "acme", amy)
			require.NoError(b, err)
			_, err = p.Seal(b.Context(), "acme", amy, address)
			require.NoError(b, err)
		}
	})
	b.Run("open", func(b *testing.B) {
		for b.Loop() {
			_, err := p.Open(b.Context(), "acme", who)
			require.NoError(b, err)
			_, err = p.Open(b.Context(), "acme", from)
			require.NoError(b, err)
		}
	})
}

func TestTextsAreSealedAndOpenedAlikeWhicheverWasLast(t *testing.T) {
	t.Parallel()
	nc, file := natstest.Connect(t), filepath.Join(t.TempDir(), "root.keyset")
	p, other := open(t, nc, file), open(t, nc, file)
	sealed := map[string]string{}
	for range 2 {
		for _, text := range []string{address, "192.0.2.78", strings.Repeat("long ", 100)} {
			for _, by := range []*persons.Persons{p, other} {
				stored, err := by.Seal(t.Context(), "acme", amy, text)
				require.NoError(t, err)
				if sealed[text] == "" {
					sealed[text] = stored
				}
				require.Equal(t, sealed[text], stored)
			}
			for want, stored := range sealed {
				require.Equal(t, want, opened(t, p, "acme", stored))
				require.Equal(t, want, opened(t, p, "acme", stored))
				require.Equal(t, persons.Erased, opened(t, p, "acme", stored+"AAAA"))
			}
		}
	}
}
