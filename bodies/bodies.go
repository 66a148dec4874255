// Package bodies keeps what calls sent and what came back, for endpoints that ask for it.
//
// Its promise: bodies are sealed before they are stored, under a key of their integration and
// day in the vault. Destroying that key, after 30 days or with the integration, destroys them.
package bodies

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/streams"
	"github.com/seed677028b5/integrations/vault"
)

// KeptDays is how many days bodies are kept after the day of their call.
const KeptDays = 30

const (
	streamName = "CALL_BODIES"
	prefix     = "callbodies."
	keyPrefix  = "bodies-" // of the ids of the keys in the vault

	maxStored   = 200_000   // calls of all workspaces; the oldest go first
	maxRequest  = 64 << 10  // bytes of a body that was sent
	maxResponse = 256 << 10 // bytes of a body that came back
	maxKeys     = 1000      // in memory
	requestTime = 5 * time.Second
)

// Bodies are what a call sent and what came back, with masks where they had secrets.
type Bodies struct {
	Method            string `json:"method"`
	URL               string `json:"url"`
	Request           string `json:"request"`
	RequestTruncated  bool   `json:"request_truncated"`
	Response          string `json:"response"` // JSON, or text
	ResponseTruncated bool   `json:"response_truncated"`
}

// Of returns the bodies of a call, which are bounded.
func Of(r domain.CallResult) Bodies {
	if kept := r.Recorded; kept != nil {
		r.Request, r.RawResponse = kept.Request, kept.Response
	}
	b := Bodies{Method: r.Request.Method, URL: r.Request.URL, ResponseTruncated: r.Truncated}
	b.Request, b.RequestTruncated = cut(r.Request.Body, maxRequest)
	response, isText := r.RawResponse.(string)
	if !isText && r.RawResponse != nil {
		if data, err := json.Marshal(r.RawResponse); err == nil {
			response = string(data)
		}
	}
	short, truncated := cut(response, maxResponse)
	b.Response, b.ResponseTruncated = short, truncated || b.ResponseTruncated
	return b
}

// cut returns a text with at most n bytes of whole characters.
func cut(s string, n int) (string, bool) {
	if len(s) <= n {
		return s, false
	}
	return strings.ToValidUTF8(s[:n], ""), true
}

// Store keeps bodies. It is safe for concurrent use.
type Store struct {
	vault  *vault.Vault
	js     jetstream.JetStream
	stream jetstream.Stream

	mu   sync.Mutex
	keys map[string]cipher.AEAD // by the subject of their bodies and their id
}

// Open returns the store, and creates its stream if it doesn't exist.
func Open(ctx context.Context, nc *nats.Conn, secrets *vault.Vault, replicas int) (*Store, error) {
	js, err := jetstream.New(nc)
	if err != nil {
		return nil, fmt.Errorf("open bodies: %w", err)
	}
	s := &Store{vault: secrets, js: js, keys: map[string]cipher.AEAD{}}
	s.stream, err = streams.Ensure(ctx, js, jetstream.StreamConfig{
		Name: streamName, Subjects: []string{prefix + "*.*.*"}, AllowDirect: true, Replicas: max(replicas, 1), MaxMsgsPerSubject: 1,
		MaxAge: (KeptDays + 1) * 24 * time.Hour, MaxMsgs: maxStored, Discard: jetstream.DiscardOld,
	})
	if err != nil {
		return nil, fmt.Errorf("open bodies: %w", err)
	}
	return s, nil
}

// A Call identifies a call.
type Call struct {
	Owner domain.Owner
	ID    string // of its record: letters, digits and hyphens
	At    time.Time
}

// subject is where the bodies of a call are, and what they are sealed for.
func (c Call) subject() string {
	return prefix + string(c.Owner.Workspace) + "." + string(c.Owner.ID) + "." + c.ID
}

func (c Call) keyRef() domain.SecretRef {
	id := keyPrefix + strconv.FormatUint(c.Owner.Incarnation, 10) + "-" + c.At.UTC().Format(time.DateOnly)
	return domain.SecretRef{ID: id, Field: "bodies", Version: 1}
}

// Keep seals and stores the bodies of a call.
func (s *Store) Keep(ctx context.Context, c Call, b Bodies) error {
	data, err := json.Marshal(b)
	if err != nil {
		return fmt.Errorf("keep bodies: %w", err)
	}
	aead, err := s.key(ctx, c)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, requestTime)
	defer cancel()
	if _, err := s.js.Publish(ctx, c.subject(), aead.Seal(nil, nil, data, []byte(c.subject()))); err != nil { //nolint:gosec // the nonce is random: NewGCMWithRandomNonce
		return unavailable(err, "keep bodies")
	}
	return nil
}

// Read returns the bodies of a call. It refuses with NotFound those that were not kept, or are
// destroyed.
func (s *Store) Read(ctx context.Context, c Call) (Bodies, error) {
	gone := domain.Errorf(domain.NotFound, "bodies_not_found", "the bodies of this call were not recorded, or are destroyed")
	within, cancel := context.WithTimeout(ctx, requestTime)
	defer cancel()
	msg, err := s.stream.GetLastMsgForSubject(within, c.subject())
	switch {
	case errors.Is(err, jetstream.ErrMsgNotFound):
		return Bodies{}, gone
	case err != nil:
		return Bodies{}, unavailable(err, "read bodies")
	}
	secret, err := s.vault.Open(ctx, c.Owner, c.keyRef())
	switch {
	case domain.KindOf(err) == domain.Invalid:
		return Bodies{}, gone
	case err != nil:
		return Bodies{}, err
	}
	aead, err := aeadOf(secret)
	if err != nil {
		return Bodies{}, err
	}
	data, err := aead.Open(nil, nil, msg.Data, []byte(c.subject()))
	if err != nil {
		return Bodies{}, gone // of another incarnation
	}
	var b Bodies
	if err := json.Unmarshal(data, &b); err != nil {
		return Bodies{}, fmt.Errorf("read bodies: %w", err)
	}
	return b, nil
}

// key returns the key of the day of a call, and makes it if there is none.
func (s *Store) key(ctx context.Context, c Call) (cipher.AEAD, error) {
	ref := c.keyRef()
	name := string(c.Owner.Workspace) + "." + string(c.Owner.ID) + "." + ref.ID
	s.mu.Lock()
	aead := s.keys[name]
	s.mu.Unlock()
	if aead != nil {
		return aead, nil
	}
	secret, _, err := s.vault.OpenLatest(ctx, c.Owner, ref)
	if domain.CodeOf(err) == "secret_missing" {
		var key [32]byte
		_, _ = rand.Read(key[:]) // never fails
		secret = domain.NewSecret(hex.EncodeToString(key[:]))
		_, err = s.vault.Replace(ctx, c.Owner, domain.SealedSecret{Ref: ref, Secret: secret}, 0)
		if errors.Is(err, vault.ErrReplaced) { // another process was first
			secret, _, err = s.vault.OpenLatest(ctx, c.Owner, ref)
		}
	}
	if err != nil {
		return nil, err
	}
	if aead, err = aeadOf(secret); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.keys) >= maxKeys {
		clear(s.keys)
	}
	s.keys[name] = aead
	return aead, nil
}

func aeadOf(secret domain.Secret) (cipher.AEAD, error) {
	key, err := hex.DecodeString(secret.Reveal())
	if err != nil {
		return nil, errors.New("the key of bodies is not one")
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, errors.New("the key of bodies is not one")
	}
	return cipher.NewGCMWithRandomNonce(block)
}

// Owns reports whether a secret of the vault is a key of bodies, by its id.
func Owns(secret string) bool { return strings.HasPrefix(secret, keyPrefix) }

// Needed reports whether a key that Owns belongs to an integration as it is now.
func Needed(i domain.Integration, secret string) bool {
	incarnation, _, _ := strings.Cut(strings.TrimPrefix(secret, keyPrefix), "-")
	return i.Exists() && incarnation == strconv.FormatUint(i.Incarnation, 10)
}

// Expired reports whether the bodies under a key that Owns have been kept long enough.
func Expired(secret string, now time.Time) bool {
	_, date, _ := strings.Cut(strings.TrimPrefix(secret, keyPrefix), "-")
	day, err := time.Parse(time.DateOnly, date)
	return Owns(secret) && err == nil && !now.Before(day.AddDate(0, 0, KeptDays+1))
}

// A Destroyer destroys values of the vault.
type Destroyer interface {
	Destroy(ctx context.Context, o domain.Owner, refs []domain.SecretRef) error
}

// Forget destroys the bodies of the calls of an integration that is deleted.
func (s *Store) Forget(ctx context.Context, i domain.Integration, now time.Time, d Destroyer) error {
	s.mu.Lock()
	clear(s.keys)
	s.mu.Unlock()
	all := prefix + string(i.Workspace) + "." + string(i.ID) + ".*"
	last, err := streams.LastFromLeader(ctx, s.js.Conn(), streamName, all)
	if err != nil {
		return unavailable(err, "read bodies")
	}
	if last == nil { // most integrations have none
		return nil
	}
	var refs []domain.SecretRef
	for day := range KeptDays + 2 {
		refs = append(refs, Call{Owner: i.Owner(), At: now.AddDate(0, 0, 1-day)}.keyRef())
	}
	if err := d.Destroy(ctx, i.Owner(), refs); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, requestTime)
	defer cancel()
	if err := s.stream.Purge(ctx, jetstream.WithPurgeSubject(all)); err != nil {
		return unavailable(err, "delete bodies")
	}
	return nil
}

func unavailable(err error, doing string) error {
	return domain.Wrap(fmt.Errorf("%s: %w", doing, err), domain.Unavailable, "bodies_unavailable", "the bodies of calls are unavailable; try again")
}
