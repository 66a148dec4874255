// Package persons seals what is stored of persons, with a key for each person of a workspace, and one
// for all who only send requests to it.
//
// Its one promise: once the key of a person is destroyed, nothing that was sealed with it can be
// read again by anyone, and nothing links it to that person, not even if they come back.
package persons

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tink-crypto/tink-go/v2/daead/subtle"

	"github.com/seed677028b5/integrations/access"
	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/vault"
)

// Erased is shown in place of what was erased.
const Erased = "erased"

// Everywhere stands for the workspace of what belongs to none. No workspace has this name.
const Everywhere domain.Workspace = "=all"

// The sealed forms: whose name it is, or a text under somebody's key. An alias follows, which is
// random, then the text.
const (
	namePrefix = "person:"
	textPrefix = "sealed:"
)

// The secrets of the vault, below an owner that no integration is: a key by its alias, and an alias
// by an HMAC of the name that it stands for.
const (
	owner    = domain.ID("persons")
	keyOf    = "key-"
	aliasOf  = "alias-"
	erasures = "erasures" // has another revision after each erasure
)

// RecentFor is how long a process may use a key that another one has destroyed.
const RecentFor = time.Second

// maxKept is how many keys a process keeps in memory.
const maxKept = 50_000

// Persons seals and opens. A nil Persons leaves everything as it is. It is safe for concurrent use,
// also by several processes that share the vault.
type Persons struct {
	vault   *vault.Vault
	hashKey []byte

	mu       sync.Mutex
	checked  time.Time // when the revision of erasures was read last
	revision uint64
	byName   map[named]*person
	byAlias  map[named]*person
}

// named is a name or an alias in a workspace.
type named struct {
	workspace domain.Workspace
	name      string
}

// person is a key, and whose it is. An empty name is the workspace's own.
type person struct {
	alias, name string
	cipher      *subtle.AESSIV
	erased      bool // there is no key with the alias

	last atomic.Pointer[sealedText] // is forgotten with the key
}

// sealedText is a text, and what it is sealed as in a workspace. The address of a caller is sealed
// once for each of its calls, and opened by everyone who follows them.
type sealedText struct {
	workspace    domain.Workspace
	text, sealed string
}

// New returns the persons of a vault.
func New(v *vault.Vault) (*Persons, error) {
	key, err := v.DeriveKey("persons")
	if err != nil {
		return nil, fmt.Errorf("open persons: %w", err)
	}
	p := &Persons{vault: v, hashKey: key}
	p.forget()
	return p, nil
}

// Owns reports whether the secrets of an owner belong to persons.
func Owns(id domain.ID) bool { return id == owner }

// IsPerson reports whether the name of who acted is a person's, and not the id of an API key or of
// the service.
func IsPerson(name string) bool { return access.IsSignedIn(name) }

// SealName returns what is stored of who acted. Only the names of persons are sealed.
func (p *Persons) SealName(ctx context.Context, w domain.Workspace, name string) (string, error) {
	if p == nil || !IsPerson(name) {
		return name, nil
	}
	one, err := p.get(ctx, w, name)
	if err != nil {
		return "", err
	}
	return namePrefix + one.alias, nil
}

// Seal returns a text under the key of somebody; an empty name is the workspace's own. The same
// text is sealed alike.
func (p *Persons) Seal(ctx context.Context, w domain.Workspace, name, text string) (string, error) {
	if p == nil || text == "" {
		return text, nil
	}
	one, err := p.get(ctx, w, name)
	if err != nil {
		return "", err
	}
	return one.seal(w, text)
}

// seal returns a text under a key.
func (one *person) seal(w domain.Workspace, text string) (string, error) {
	if text == "" {
		return "", nil
	}
	if last := one.last.Load(); last != nil && last.workspace == w && last.text == text {
		return last.sealed, nil
	}
	sealed, err := one.cipher.EncryptDeterministically([]byte(text), []byte(w))
	if err != nil {
		return "", fmt.Errorf("seal: %w", err)
	}
	stored := textPrefix + one.alias + "." + base64.RawURLEncoding.EncodeToString(sealed)
	one.remember(sealedText{w, text, stored})
	return stored, nil
}

// Open returns what was sealed, Erased once its key is destroyed, and anything else as it is. It
// fails with Unavailable when the vault can't be read.
func (p *Persons) Open(ctx context.Context, w domain.Workspace, stored string) (string, error) {
	if p == nil {
		return stored, nil
	}
	if alias, ok := strings.CutPrefix(stored, namePrefix); ok {
		one, err := p.find(ctx, w, alias)
		if err != nil || one.erased {
			return Erased, err
		}
		return one.name, nil
	}
	text, ok := strings.CutPrefix(stored, textPrefix)
	if !ok {
		return stored, nil
	}
	alias, text, _ := strings.Cut(text, ".")
	one, err := p.find(ctx, w, alias)
	if err != nil || one.erased {
		return Erased, err
	}
	if last := one.last.Load(); last != nil && last.workspace == w && last.sealed == stored {
		return last.text, nil
	}
	sealed, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return Erased, nil
	}
	clear, err := one.cipher.DecryptDeterministically(sealed, []byte(w))
	if err != nil { // not sealed by this key
		return Erased, nil
	}
	one.remember(sealedText{w, string(clear), stored})
	return string(clear), nil
}

// maxRemembered is how long a text may be that is remembered, in bytes: there are many persons.
const maxRemembered = 128

// remember remembers the text that was sealed or opened last.
func (one *person) remember(s sealedText) {
	if len(s.text) <= maxRemembered {
		one.last.Store(&s)
	}
}

// get returns the key of a name, and creates one if there is none.
func (p *Persons) get(ctx context.Context, w domain.Workspace, name string) (*person, error) {
	p.refresh(ctx)
	one, era := p.kept(w, name)
	if one != nil {
		return one, nil
	}
	for {
		one, revision, err := p.read(ctx, w, name)
		if err == nil && one == nil {
			one, err = p.create(ctx, w, name, revision)
		}
		if errors.Is(err, vault.ErrReplaced) { // another process was faster
			continue
		}
		if err != nil {
			return nil, err
		}
		p.keep(w, one, era)
		return one, nil
	}
}

// find returns the key with an alias, which may have been erased.
func (p *Persons) find(ctx context.Context, w domain.Workspace, alias string) (*person, error) {
	p.refresh(ctx)
	one, known, era := p.keptAs(w, alias)
	if known {
		return one, nil
	}
	one, err := p.readKey(ctx, w, alias)
	switch {
	case domain.KindOf(err) == domain.Invalid: // damaged
		one = nil
	case err != nil:
		return nil, err
	}
	if one == nil {
		one = &person{alias: alias, erased: true}
	}
	p.keep(w, one, era)
	return one, nil
}

// read returns the key of a name, nil when there is none, and the revision of its alias.
func (p *Persons) read(ctx context.Context, w domain.Workspace, name string) (*person, uint64, error) {
	alias, revision, err := p.open(ctx, w, p.aliasRef(w, name))
	if err != nil || alias == "" {
		return nil, 0, err
	}
	one, err := p.readKey(ctx, w, alias)
	return one, revision, err
}

func (p *Persons) readKey(ctx context.Context, w domain.Workspace, alias string) (*person, error) {
	if strings.ContainsAny(alias, ".*> ") || alias == "" {
		return nil, nil
	}
	text, _, err := p.open(ctx, w, keyRef(alias))
	if err != nil || text == "" {
		return nil, err
	}
	return decode(alias, text)
}

// open returns a value of the vault as its leader has it, "" when there is none.
func (p *Persons) open(ctx context.Context, w domain.Workspace, ref domain.SecretRef) (string, uint64, error) {
	secret, revision, err := p.vault.OpenLatest(ctx, ownerIn(w), ref)
	if domain.CodeOf(err) == "secret_missing" {
		return "", 0, nil
	}
	if err != nil {
		return "", 0, err
	}
	return secret.Reveal(), revision, nil
}

// stored is the form of a key in the vault.
type stored struct {
	Name string `json:"name"`
	Key  []byte `json:"key"`
}

func decode(alias, text string) (*person, error) {
	var s stored
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		return nil, fmt.Errorf("read the key of a person: %w", err)
	}
	cipher, err := subtle.NewAESSIV(s.Key)
	if err != nil {
		return nil, fmt.Errorf("read the key of a person: %w", err)
	}
	return &person{alias: alias, name: s.Name, cipher: cipher}, nil
}

// create stores a key, then its alias in place of a revision. It returns vault.ErrReplaced when
// another process has done so.
func (p *Persons) create(ctx context.Context, w domain.Workspace, name string, revision uint64) (*person, error) {
	random := make([]byte, 16+subtle.AESSIVKeySize)
	_, _ = rand.Read(random) // never fails
	alias := hex.EncodeToString(random[:16])
	text, err := json.Marshal(stored{Name: name, Key: random[16:]})
	if err != nil {
		return nil, fmt.Errorf("create the key of a person: %w", err)
	}
	if err := p.vault.Seal(ctx, ownerIn(w), domain.SealedSecret{Ref: keyRef(alias), Secret: domain.NewSecret(string(text))}); err != nil {
		return nil, err
	}
	if _, err := p.vault.Replace(ctx, ownerIn(w), domain.SealedSecret{Ref: p.aliasRef(w, name), Secret: domain.NewSecret(alias)}, revision); err != nil {
		if errors.Is(err, vault.ErrReplaced) {
			err = errors.Join(err, p.vault.Destroy(ctx, ownerIn(w), keyRef(alias)))
		}
		return nil, err
	}
	return decode(alias, string(text))
}

func ownerIn(w domain.Workspace) domain.Owner { return domain.Owner{Workspace: w, ID: owner} }

func erasuresRef() domain.SecretRef {
	return domain.SecretRef{ID: erasures, Field: "erasures", Version: 1}
}

func keyRef(alias string) domain.SecretRef {
	return domain.SecretRef{ID: keyOf + alias, Field: "person", Version: 1}
}

func (p *Persons) aliasRef(w domain.Workspace, name string) domain.SecretRef {
	m := hmac.New(sha256.New, p.hashKey)
	_, _ = m.Write([]byte(string(w) + "\x00" + name))
	return domain.SecretRef{ID: aliasOf + hex.EncodeToString(m.Sum(nil)[:20]), Field: "alias", Version: 1}
}
