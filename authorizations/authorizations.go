// Package authorizations keeps what persons have permitted integrations to do: it sends
// them to an authorization server, takes what they come back with, and keeps the tokens
// fresh for every process.
//
// Its promise: a refresh token is presented by one process at a time, and what it was
// presented for is written down before; tokens of one subject are never used for another;
// and nothing that is not known to have ended is thrown away.
package authorizations

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/eventstore"
	"github.com/seed677028b5/integrations/projections"
	"github.com/seed677028b5/integrations/streams"
	"github.com/seed677028b5/integrations/vault"
)

const (
	attemptBucket = "AUTHORIZATION_ATTEMPTS"

	keepAttempt  = 24 * time.Hour   // in which the outcome of an attempt can be read
	requestTime  = 5 * time.Second  // for one request to the streams
	exchangeTime = 30 * time.Second // for one request to a token endpoint
)

// An Upstream finds authorization servers and asks them.
type Upstream interface {
	// FindAuthorizationServer returns the authorization server of an integration, and what
	// was done to find it, also beside an error.
	FindAuthorizationServer(context.Context, domain.Integration) (domain.AuthorizationServer, []domain.ProbeStep, error)
	// RegisterClient registers a client at a server (RFC 7591).
	RegisterClient(context.Context, domain.AuthorizationServer, domain.ClientMetadata) (domain.RegisteredClient, error)
	// ClientAuthMethod returns how a client authenticates at a server.
	ClientAuthMethod(configured string, server domain.AuthorizationServer, hasSecret bool) string
	// RequestToken sends one request to a token endpoint, once.
	RequestToken(context.Context, domain.TokenRequest) domain.TokenAnswer
	// Identify asks an API who has signed in, by the filled URL of the identity call. It
	// refuses with Unavailable when the API does not answer.
	Identify(ctx context.Context, i domain.Integration, url string, access domain.Secret) (domain.Identity, error)
}

// Config is what authorizations need.
type Config struct {
	Events   *eventstore.Store
	Vault    *vault.Vault
	Model    projections.AuthorizationModel      // the read model, which finds siblings; nil: a revocation asks no server unless it cascades
	Wait     func(context.Context, uint64) error // returns once Model shows a position
	Upstream Upstream
	Lost     func() // is called for each authorization that is found to be lost, to measure it; nil: nothing is
	Replicas int
	Now      func() time.Time // UTC
	NewID    func() string    // unique, of letters, digits and hyphens
	Log      *slog.Logger
}

// Authorizations gives, keeps, refreshes and revokes authorizations. It is safe for
// concurrent use, also by several processes that share the streams.
type Authorizations struct {
	Config

	attempts jetstream.KeyValue
	hashKey  []byte
	flights  flights

	mu        sync.Mutex
	publicURL string

	returnOrigins []string
}

// Open returns the authorizations, and creates the bucket of attempts if it doesn't exist.
func Open(ctx context.Context, nc *nats.Conn, c Config) (*Authorizations, error) {
	js, err := jetstream.New(nc)
	if err != nil {
		return nil, fmt.Errorf("open authorizations: %w", err)
	}
	a := &Authorizations{Config: c, flights: flights{running: map[string]*flight{}}}
	a.attempts, err = streams.EnsureBucket(ctx, js, jetstream.KeyValueConfig{Bucket: attemptBucket, Replicas: max(c.Replicas, 1), TTL: keepAttempt})
	if err != nil {
		return nil, fmt.Errorf("open authorizations: %w", err)
	}
	if a.hashKey, err = c.Vault.DeriveKey("authorization subjects"); err != nil {
		return nil, fmt.Errorf("open authorizations: %w", err)
	}
	return a, nil
}

// SetPublicURL sets the URL under which browsers reach the service, without a slash at its
// end. Without one nobody can sign in.
func (a *Authorizations) SetPublicURL(url string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.publicURL = strings.TrimRight(url, "/")
}

// PublicURL returns the URL that SetPublicURL set.
func (a *Authorizations) PublicURL() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.publicURL
}

type callerKey struct{}

// WithCaller returns a context in which changes are recorded with who asked for them, from
// where and how: all of caller but its command and its time.
func WithCaller(ctx context.Context, caller domain.Metadata) context.Context {
	return context.WithValue(ctx, callerKey{}, caller)
}

// A Use is one integration as it is now, with its secrets, for one subject.
type Use struct {
	Integration domain.Integration
	Keyring     domain.Keyring
	Subject     string // whose tokens. Empty: the workspace's own
}

// A Finder returns an integration as it is now, with its secrets.
type Finder func(context.Context, domain.Workspace, domain.ID) (Use, error)

// MaxSubject is how many bytes a subject may have.
const MaxSubject = 256

// key identifies an authorization in the log. It does not show the subject.
type key struct {
	workspace domain.Workspace
	id        domain.ID
	hash      string
}

func (k key) String() string { return string(k.workspace) + "." + string(k.id) + "." + k.hash }

func (k key) ref() domain.AuthorizationRef {
	return domain.AuthorizationRef{Workspace: k.workspace, ID: k.id, Key: k.hash}
}

func keyOf(ref domain.AuthorizationRef) key { return key{ref.Workspace, ref.ID, ref.Key} }

// key returns the key of a use.
func (a *Authorizations) key(u Use) key {
	i := u.Integration
	return key{i.Workspace, i.ID, a.hash(string(i.Workspace), string(i.ID), u.Subject)}
}

// SubjectHash returns what stands for a subject in all integrations of a workspace.
func (a *Authorizations) SubjectHash(w domain.Workspace, subject string) string {
	return a.hash(string(w), subject)
}

func (a *Authorizations) hash(parts ...string) string {
	m := hmac.New(sha256.New, a.hashKey)
	for _, part := range parts {
		_, _ = m.Write(binary.BigEndian.AppendUint64(nil, uint64(len(part))))
		_, _ = m.Write([]byte(part))
	}
	return hex.EncodeToString(m.Sum(nil)[:20])
}

// ID returns the id of the authorization of a use: it stands for the subject, and does not
// show it.
func (a *Authorizations) ID(u Use) string { return a.key(u).hash }

// subjectRef returns the reference of the text of a subject, which is sealed so that it can
// be erased.
func subjectRef(k key) domain.SecretRef {
	return domain.SecretRef{ID: subjectSecret + k.hash, Field: "subject", Version: 1}
}

// The secrets of the vault that belong to an authorization begin with one of these, and its
// hash follows. One of a registered client belongs to the integration.
const (
	subjectSecret  = "subject-"
	grantSecret    = "grant-"
	clientSecret   = "client-"
	revokingSecret = "revoking-"
)

func unavailable(err error, doing string) error {
	return domain.Wrap(fmt.Errorf("%s: %w", doing, err), domain.Unavailable, "authorizations_unavailable", "the authorizations are unavailable; try again")
}

func hashOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:16])
}
