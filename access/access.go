// Package access issues API keys, authenticates them and checks their permissions. It
// stores only a hash of a key. It also keeps which sessions of the console were ended.
package access

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"hash/crc32"
	"slices"
	"strings"
	"time"

	"github.com/seed677028b5/integrations/domain"
)

// Permission is an action that a key may perform in its workspace.
type Permission string

// The permissions. Admin includes all of them.
const (
	View        Permission = "Integration.view"
	Create      Permission = "Integration.create"
	Update      Permission = "Integration.update"
	Delete      Permission = "Integration.delete"
	Exec        Permission = "Integration.exec"     // start a stdio process, in addition to the others
	Invoke      Permission = "Integration.invoke"   // call endpoints as a tool
	Authorize   Permission = "Connection.authorize" // have persons sign in, for the subjects that they are
	ActFor      Permission = "Connection.use"       // call on behalf of a subject
	Decide      Permission = "Approval.decide"      // approve or deny calls that others asked for
	ReadBodies  Permission = "Call.read_bodies"     // what recorded calls sent, and what came back
	ManageKeys  Permission = "ApiKey.manage"
	ManageHooks Permission = "Webhook.manage"
	Admin       Permission = "Workspace.admin"
)

// Permissions lists them all.
func Permissions() []Permission {
	return []Permission{View, Create, Update, Delete, Exec, Invoke, Authorize, ActFor, Decide, ReadBodies, ManageKeys, ManageHooks, Admin}
}

// Key is an API key without its secret. It belongs to one workspace, or to the operator,
// who may act in every workspace.
type Key struct {
	ID          string           `json:"id"`
	Workspace   domain.Workspace `json:"workspace_id,omitempty"` // empty: the operator's
	Name        string           `json:"name"`
	Permissions []Permission     `json:"permissions"`
	domain.Scope
	CreatedAt time.Time `json:"created_at"`
	CreatedBy string    `json:"created_by"`        // the id of a key, or "system"
	Holders   []string  `json:"holders,omitempty"` // the ids of the keys that have seen a secret of it, or of one that issued or rotated it
	// AdminHolders are those of the Holders that were administrators of the workspace then; nil: it
	// was not kept yet.
	AdminHolders []string `json:"admin_holders"`

	ExpiresAt time.Time `json:"expires_at,omitzero"` // zero: never
	RotatedAt time.Time `json:"rotated_at,omitzero"` // when the present secret was created; zero: with the key
	Hashes    []Hash    `json:"hashes"`              // of the valid secrets, the present one last

	SignedIn *SignedIn `json:"-"` // for who signed in with an OpenID provider: the key is not stored; nil: an API key
}

// SignedIn is who signed in, and where they may act.
type SignedIn struct {
	Issuer, Subject string // the claims iss and sub
	Workspaces      []domain.Workspace
	Everywhere      bool     // in every workspace
	Scopes          []string // of the token
	Elevations      []Elevation
	KeysFor         time.Duration // how long keys may be valid that they issue; 0: no longer than the token
}

// Elevation is what a token would permit with one more scope.
type Elevation struct {
	Scope       string
	Permissions []Permission
}

// MissingScope returns a scope with which a token would have a permission, "" if none would do.
func (in SignedIn) MissingScope(needs Permission) string {
	for _, e := range in.Elevations {
		if (Key{Permissions: e.Permissions}).May(needs) {
			return e.Scope
		}
	}
	return ""
}

// SignedInPrefix begins the id of who signed in, which no API key has.
const SignedInPrefix = "oidc:"

// Hash verifies one secret of a key.
type Hash struct {
	SHA256 string    `json:"sha256"`         // of the secret, in hex; 256 random bits need no slow hash
	Until  time.Time `json:"until,omitzero"` // when it expires; zero: with the key
}

// ScopeProblem returns why a key can't be narrowed and have its permissions, "" when it can.
// Webhooks show a whole workspace, who changes an integration changes all its endpoints, and
// bodies and approvals are of all subjects.
func (k Key) ScopeProblem() string {
	for _, p := range k.Permissions {
		switch {
		case (k.Narrow() || k.LimitsSubjects()) && (p == Admin || p == ManageHooks):
			return fmt.Sprintf("a key with the permission %s can't be narrowed", p)
		case k.LimitsSubjects() && (p == ReadBodies || p == Decide):
			return fmt.Sprintf("a key with the permission %s can't be limited to subjects", p)
		case k.NarrowsEndpoints() && (p == Create || p == Update || p == Delete):
			return fmt.Sprintf("a key with the permission %s can only be narrowed to integrations", p)
		}
	}
	return ""
}

// stored is how a key is stored. The permissions of a narrowed key have another name, so
// that a version which does not know scopes takes it for a key without permissions.
type stored struct {
	Key
	Permissions []Permission `json:"permissions"`
	Narrowed    []Permission `json:"narrowed_permissions,omitempty"`
}

func toStored(k Key) stored {
	if k.Narrow() || k.LimitsSubjects() {
		return stored{Key: k, Permissions: []Permission{}, Narrowed: k.Permissions}
	}
	return stored{Key: k, Permissions: k.Permissions}
}

func (s stored) key() Key {
	s.Key.Permissions = s.Permissions
	if s.Narrow() || s.LimitsSubjects() {
		s.Key.Permissions = s.Narrowed
	}
	return s.Key
}

// Operator reports whether the key is an operator's.
func (k Key) Operator() bool { return k.Workspace == "" && k.SignedIn == nil }

// Kind names what the caller presented, for sentences.
func (k Key) Kind() string {
	if k.SignedIn != nil {
		return "token"
	}
	return "API key"
}

// MayEnter reports whether the key may act in a workspace at all.
func (k Key) MayEnter(w domain.Workspace) bool {
	if in := k.SignedIn; in != nil {
		return in.Everywhere || slices.Contains(in.Workspaces, w)
	}
	return k.Operator() || k.Workspace == w
}

// IssuesUntil returns how long keys may be valid that are issued with the key; zero: forever.
func (k Key) IssuesUntil(now time.Time) time.Time {
	if k.SignedIn != nil && k.SignedIn.KeysFor > 0 {
		return now.Add(k.SignedIn.KeysFor)
	}
	return k.ExpiresAt
}

// May reports whether the key has a permission.
func (k Key) May(p Permission) bool {
	return slices.Contains(k.Permissions, Admin) || slices.Contains(k.Permissions, p)
}

// Expired reports whether the key has expired.
func (k Key) Expired(at time.Time) bool { return !k.ExpiresAt.IsZero() && !at.Before(k.ExpiresAt) }

// Outlives reports whether the key is valid beyond a time; zero: it has no end.
func (k Key) Outlives(end time.Time) bool {
	return !end.IsZero() && (k.ExpiresAt.IsZero() || k.ExpiresAt.After(end))
}

// matches reports whether secret is one of the key's, in constant time.
func (k Key) matches(secret string, at time.Time) bool {
	hash := hashOf(secret)
	found := false
	for _, h := range k.Hashes {
		same := subtle.ConstantTimeCompare([]byte(h.SHA256), []byte(hash)) == 1
		found = found || same && (h.Until.IsZero() || at.Before(h.Until))
	}
	return found
}

func hashOf(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}

// KeyPrefix begins the text of every API key.
const KeyPrefix = "itk_"

// format returns the text of a key: itk_<id>_<secret>_<checksum>. The checksum lets a
// secret scanner recognise keys offline.
func format(id, secret string) string {
	body := KeyPrefix + id + "_" + secret
	return body + "_" + checksum(body)
}

func checksum(body string) string { return fmt.Sprintf("%08x", crc32.ChecksumIEEE([]byte(body))) }

// parse returns the id and the secret of a key's text.
func parse(text string) (id, secret string, ok bool) {
	parts := strings.Split(text, "_")
	if len(parts) != 4 || parts[0]+"_" != KeyPrefix {
		return "", "", false
	}
	body := text[:strings.LastIndexByte(text, '_')]
	return parts[1], parts[2], len(parts[1]) == 16 && parts[3] == checksum(body)
}

// newSecret returns n random bytes in hex.
func newSecret(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails
	return hex.EncodeToString(b)
}

// ParsePermission returns the permission with a name.
func ParsePermission(name string) (Permission, error) {
	if !slices.Contains(Permissions(), Permission(name)) {
		return "", fmt.Errorf("%q is not a permission; use one of %v", name, Permissions())
	}
	return Permission(name), nil
}
