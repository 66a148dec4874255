// Package vault stores the secrets of integrations. A value is sealed before it is stored,
// and opens only for the owner, the field, the version and the destinations it was sealed
// for. A destroyed value is overwritten on disk.
package vault

import (
	"bytes"
	"context"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/subtle/random"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/streams"
)

const (
	streamName    = "SECRETS"
	subjectPrefix = "secrets."
	checkSubject  = "vaultcheck.root" // a known value under the root key
	wrappedHeader = "Wrapped-Key"     // the value's own key, sealed under the root key; hex
	rootHeader    = "Root-Key"        // the id of the root key that sealed it
)

// ErrWrongRootKey is returned by Open when the root keyset is not the one that sealed the
// stored secrets.
var ErrWrongRootKey = errors.New("vault: the root keyset does not open the stored secrets")

// Vault seals, opens and destroys secrets. Each value has its own key, which is stored
// beside it, sealed under the root keyset.
type Vault struct {
	js      jetstream.JetStream
	stream  jetstream.Stream
	root    *root
	derived []byte // the known value
	recent  recent
	timeout time.Duration
}

// Open returns the vault and creates its stream if it doesn't exist. It returns
// ErrWrongRootKey when keys can't open the stored secrets.
func Open(ctx context.Context, nc *nats.Conn, keys RootKeys, replicas int) (*Vault, error) {
	js, err := jetstream.New(nc)
	if err != nil {
		return nil, fmt.Errorf("open vault: %w", err)
	}
	// No compression: a destroyed message is overwritten in place.
	stream, err := streams.Ensure(ctx, js, jetstream.StreamConfig{
		Name: streamName, Subjects: []string{subjectPrefix + "*.*.*", checkSubject}, AllowDirect: true, Replicas: replicas,
	})
	if err != nil {
		return nil, fmt.Errorf("open vault: %w", err)
	}
	v := &Vault{js: js, stream: stream, timeout: 5 * time.Second}
	if err := v.openRoot(ctx, keys); err != nil {
		return nil, fmt.Errorf("open vault: %w", err)
	}
	return v, nil
}

// openRoot reads the root keyset and verifies it with the known value. It creates a new
// keyset only for an empty vault: it couldn't open existing secrets.
func (v *Vault) openRoot(ctx context.Context, keys RootKeys) error {
	_, err := v.stream.GetLastMsgForSubject(ctx, checkSubject)
	switch {
	case errors.Is(err, jetstream.ErrMsgNotFound):
		err = makeRootFile(keys)
	case err == nil && keys.missing():
		err = fmt.Errorf("%w: %s doesn't exist; restore it", ErrWrongRootKey, keys.File)
	}
	if err != nil {
		return err
	}
	if v.root, err = openRoot(keys); err != nil {
		return err
	}
	v.derived, err = v.checkRoot(ctx)
	return err
}

// checkRoot opens the known value, or stores one if there is none.
func (v *Vault) checkRoot(ctx context.Context) ([]byte, error) {
	for {
		msg, err := v.stream.GetLastMsgForSubject(ctx, checkSubject)
		if err == nil {
			known, err := v.root.unwrap(msg.Data)
			if err != nil {
				return nil, ErrWrongRootKey
			}
			return known, nil
		}
		if !errors.Is(err, jetstream.ErrMsgNotFound) {
			return nil, err
		}
		sealed, _, err := v.root.wrap(random.GetRandomBytes(32))
		if err != nil {
			return nil, err
		}
		_, err = v.js.Publish(ctx, checkSubject, sealed, jetstream.WithExpectLastSequencePerSubject(0))
		if err != nil && !streams.IsConflict(err) {
			return nil, fmt.Errorf("store known value: %w", err)
		}
	}
}

// DeriveKey returns 32 bytes for a purpose, the same for every process that
// shares the streams and the root keyset (RFC 5869).
func (v *Vault) DeriveKey(purpose string) ([]byte, error) {
	return hkdf.Key(sha256.New, v.derived, nil, purpose, 32)
}

// Seal stores a secret under its reference.
func (v *Vault) Seal(ctx context.Context, o domain.Owner, s domain.SealedSecret) error {
	msg, err := v.seal(o, s)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, v.timeout)
	defer cancel()
	if _, err := v.js.PublishMsg(ctx, msg); err != nil {
		return unavailable(err, "seal "+s.Ref.Field)
	}
	return nil
}

// Open returns the secret that ref names. It fails with kind Invalid and the code
// secret_missing when the value doesn't exist, and secret_unreadable when it was sealed
// for something else.
func (v *Vault) Open(ctx context.Context, o domain.Owner, ref domain.SecretRef) (domain.Secret, error) {
	_, secret, err := v.read(ctx, o, ref)
	return secret, err
}

// read is Open that also returns the sealed value.
func (v *Vault) read(ctx context.Context, o domain.Owner, ref domain.SecretRef) (*jetstream.RawStreamMsg, domain.Secret, error) {
	ctx, cancel := context.WithTimeout(ctx, v.timeout)
	defer cancel()
	msg, err := v.stream.GetLastMsgForSubject(ctx, subject(o, ref))
	if errors.Is(err, jetstream.ErrMsgNotFound) { // a follower may not have it yet
		msg, err = streams.LastFromLeader(ctx, v.js.Conn(), streamName, subject(o, ref))
	}
	switch {
	case err == nil && msg == nil:
		return nil, domain.Secret{}, domain.Errorf(domain.Invalid, "secret_missing", "the secret of %s is not in the vault; set it again", ref.Field)
	case err != nil:
		return nil, domain.Secret{}, unavailable(err, "open "+ref.Field)
	}
	text, err := v.open(msg, associated(o, ref))
	if err != nil {
		return nil, domain.Secret{}, domain.Wrap(fmt.Errorf("open %s: %w", ref.Field, err), domain.Invalid, "secret_unreadable",
			"the secret of "+ref.Field+" can't be opened; set it again")
	}
	return msg, domain.NewSecret(string(text)), nil
}

func (v *Vault) open(msg *jetstream.RawStreamMsg, aad []byte) ([]byte, error) {
	wrapped, err := unhex(msg.Header.Get(wrappedHeader))
	if err != nil {
		return nil, err
	}
	key, err := v.root.unwrap(wrapped)
	if err != nil {
		return nil, err
	}
	handle, err := insecurecleartextkeyset.Read(keyset.NewBinaryReader(bytes.NewReader(key)))
	if err != nil {
		return nil, err
	}
	cipher, err := aead.New(handle)
	if err != nil {
		return nil, err
	}
	return cipher.Decrypt(msg.Data, aad)
}

// Destroy overwrites every revision of a secret on disk, and its pins. It succeeds if the
// secret is already gone.
func (v *Vault) Destroy(ctx context.Context, o domain.Owner, ref domain.SecretRef) error {
	ctx, cancel := context.WithTimeout(ctx, v.timeout)
	defer cancel()
	for _, one := range []domain.SecretRef{ref, pinsOf(ref.ID)} {
		v.recent.forget(subject(o, one))
		defer v.recent.forget(subject(o, one)) // what was read meanwhile
		if err := v.destroy(ctx, o, one); err != nil {
			return err
		}
	}
	return nil
}

func (v *Vault) destroy(ctx context.Context, o domain.Owner, ref domain.SecretRef) error {
	for {
		msg, err := streams.LastFromLeader(ctx, v.js.Conn(), streamName, subject(o, ref))
		if err != nil {
			return unavailable(err, "destroy "+ref.Field)
		}
		if msg == nil {
			return nil
		}
		if err := v.shred(ctx, msg.Sequence); err != nil {
			return unavailable(err, "destroy "+ref.Field)
		}
	}
}

// shred overwrites one message on disk.
func (v *Vault) shred(ctx context.Context, sequence uint64) error {
	return streams.SecureDelete(ctx, v.js, v.stream, sequence)
}

// subject returns the subject of a secret. It omits the incarnation, so that a sweep finds
// the secrets of earlier incarnations.
func subject(o domain.Owner, ref domain.SecretRef) string {
	return subjectPrefix + string(o.Workspace) + "." + string(o.ID) + "." + ref.ID
}

// associated returns what a value is bound to. Each part is preceded by its length, so
// that different bindings have different encodings.
func associated(o domain.Owner, ref domain.SecretRef) []byte {
	parts := []string{
		string(o.Workspace), string(o.ID), strconv.FormatUint(o.Incarnation, 10), ref.ID, ref.Field, strconv.FormatUint(ref.Version, 10),
	}
	var aad []byte
	for _, part := range append(parts, ref.Destinations...) {
		aad = binary.BigEndian.AppendUint64(aad, uint64(len(part)))
		aad = append(aad, part...)
	}
	return aad
}

func unavailable(err error, doing string) error {
	return domain.Wrap(fmt.Errorf("%s: %w", doing, err), domain.Unavailable, "vault_unavailable", "the vault is unavailable; try again")
}
