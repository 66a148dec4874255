package vault

import (
	"bytes"
	"context"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/keyset"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/streams"
)

// ErrReplaced is returned by Replace when the secret has another revision by now.
var ErrReplaced = domain.Errorf(domain.Conflict, "secret_replaced", "the secret was replaced by someone else just now; try again")

// OpenLatest is Open with the revision of the secret, as the leader has it.
func (v *Vault) OpenLatest(ctx context.Context, o domain.Owner, ref domain.SecretRef) (domain.Secret, uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, v.timeout)
	defer cancel()
	msg, err := streams.LastFromLeader(ctx, v.js.Conn(), streamName, subject(o, ref))
	switch {
	case err != nil:
		return domain.Secret{}, 0, unavailable(err, "open "+ref.Field)
	case msg == nil:
		return domain.Secret{}, 0, domain.Errorf(domain.Invalid, "secret_missing", "the secret of %s is not in the vault; set it again", ref.Field)
	}
	text, err := v.open(msg, associated(o, ref))
	if err != nil {
		return domain.Secret{}, 0, domain.Wrap(fmt.Errorf("open %s: %w", ref.Field, err), domain.Invalid, "secret_unreadable",
			"the secret of "+ref.Field+" can't be opened; set it again")
	}
	return domain.NewSecret(string(text)), msg.Sequence, nil
}

// Replace seals a secret in place of the revision that OpenLatest returned, and destroys
// that one. It returns the new revision, and ErrReplaced when the secret has another
// revision or was destroyed meanwhile. It is a compare-and-set: of several processes that
// replace one revision, one succeeds.
func (v *Vault) Replace(ctx context.Context, o domain.Owner, s domain.SealedSecret, revision uint64) (uint64, error) {
	msg, err := v.seal(o, s)
	if err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeout(ctx, v.timeout)
	defer cancel()
	ack, err := v.js.PublishMsg(ctx, msg, jetstream.WithExpectLastSequencePerSubject(revision))
	switch {
	case streams.IsConflict(err):
		return 0, ErrReplaced
	case err != nil:
		return 0, unavailable(err, "replace "+s.Ref.Field)
	}
	if err := v.shred(ctx, revision); err != nil { // the next Destroy does it
		return ack.Sequence, nil
	}
	return ack.Sequence, nil
}

// seal returns the message of a secret.
func (v *Vault) seal(o domain.Owner, s domain.SealedSecret) (*nats.Msg, error) {
	handle, err := keyset.NewHandle(aead.AES256GCMKeyTemplate())
	if err != nil {
		return nil, fmt.Errorf("seal %s: %w", s.Ref.Field, err)
	}
	var key bytes.Buffer
	if err := insecurecleartextkeyset.Write(handle, keyset.NewBinaryWriter(&key)); err != nil {
		return nil, fmt.Errorf("seal %s: %w", s.Ref.Field, err)
	}
	wrapped, rootID, err := v.root.wrap(key.Bytes())
	if err != nil { // the file is missing or damaged and can be restored
		return nil, unavailable(err, "seal "+s.Ref.Field)
	}
	cipher, err := aead.New(handle)
	if err != nil {
		return nil, fmt.Errorf("seal %s: %w", s.Ref.Field, err)
	}
	data, err := cipher.Encrypt([]byte(s.Secret.Reveal()), associated(o, s.Ref))
	if err != nil {
		return nil, fmt.Errorf("seal %s: %w", s.Ref.Field, err)
	}
	return sealedMessage(subject(o, s.Ref), wrapped, rootID, data), nil
}
