package vault

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/streams"
)

// A Stored secret is one message of the vault.
type Stored struct {
	Owner    domain.Owner // without its incarnation
	ID       string       // as in domain.SecretRef
	At       time.Time    // when it was stored
	sequence uint64
	header   nats.Header
	data     []byte
}

// Ref returns enough of a reference to destroy the secret that s is a revision of.
func (s Stored) Ref() domain.SecretRef { return domain.SecretRef{ID: s.ID} }

func sealedMessage(to string, wrapped []byte, rootID string, data []byte) *nats.Msg {
	return &nats.Msg{Subject: to, Data: data, Header: nats.Header{
		wrappedHeader: {hex.EncodeToString(wrapped)}, rootHeader: {rootID},
	}}
}

// Each calls visit for every stored secret in storage order, and stops at the first error.
func (v *Vault) Each(ctx context.Context, visit func(Stored) error) error {
	for next := uint64(1); ; {
		msg, err := v.next(ctx, next)
		switch {
		case err != nil:
			return unavailable(err, "read secrets")
		case msg == nil:
			return nil
		}
		next = msg.Sequence + 1
		parts := strings.Split(msg.Subject, ".")
		if len(parts) != 4 {
			continue
		}
		if err := visit(Stored{
			Owner: domain.Owner{Workspace: domain.Workspace(parts[1]), ID: domain.ID(parts[2])}, ID: parts[3],
			At: msg.Time, sequence: msg.Sequence, header: msg.Header, data: msg.Data,
		}); err != nil {
			return err
		}
	}
}

// next returns the first message at or after a sequence, nil when there is none. It asks
// the leader: a secret that a replica lacks would look like one that no longer needs its
// root key.
func (v *Vault) next(ctx context.Context, from uint64) (*jetstream.RawStreamMsg, error) {
	ctx, cancel := context.WithTimeout(ctx, v.timeout)
	defer cancel()
	return streams.NextFromLeader(ctx, v.js.Conn(), streamName, ">", from)
}

// A Rotation is the progress of a rotation of the root key.
type Rotation struct {
	Total     int // secrets processed
	Rewrapped int // secrets whose key is now sealed under the new root key
	Remaining int // secrets still under an old root key; 0 when finished
}

// RotateRoot creates a new root key and seals every secret's own key under it, and calls
// progress as it goes. It doesn't open the values. It can be stopped and run again. It
// drops a root key that no secret has used since the previous rotation; it keeps one that a
// running service may still use. It fails with ErrRotating while another process rotates
// the same file.
func (v *Vault) RotateRoot(ctx context.Context, progress func(Rotation)) (Rotation, error) {
	var r Rotation
	release, err := v.root.keys.lock()
	if err != nil {
		return r, fmt.Errorf("rotate root key: %w", err)
	}
	defer release()
	used := map[string]bool{}
	err = v.Each(ctx, func(s Stored) error {
		used[s.header.Get(rootHeader)] = true
		return nil
	})
	if err == nil {
		err = errors.Join(v.root.drop(used), v.root.add())
	}
	if err == nil {
		err = v.rewrapCheck(ctx)
	}
	for old := 1; err == nil && old > 0; { // the last pass is the one that finds no old key
		old, err = v.rewrapAll(ctx, &r, progress)
	}
	if err != nil {
		return r, fmt.Errorf("rotate root key: %w", err)
	}
	return r, nil
}

// rewrapAll rewraps every secret that is under an old root key and returns their number.
func (v *Vault) rewrapAll(ctx context.Context, r *Rotation, progress func(Rotation)) (int, error) {
	var old []Stored
	r.Total = 0
	primary := v.root.current()
	if err := v.Each(ctx, func(s Stored) error {
		r.Total++
		if s.header.Get(rootHeader) != primary {
			old = append(old, s)
		}
		return nil
	}); err != nil {
		return 0, err
	}
	for n, s := range old {
		if err := v.rewrap(ctx, s); err != nil {
			return 0, err
		}
		r.Rewrapped++
		r.Remaining = len(old) - n - 1
		progress(*r)
	}
	return len(old), nil
}

// rewrap stores s again under the new root key, then destroys the old revision.
func (v *Vault) rewrap(ctx context.Context, s Stored) error {
	sealed, err := unhex(s.header.Get(wrappedHeader))
	if err != nil {
		return err
	}
	key, err := v.root.unwrap(sealed)
	if err != nil {
		return fmt.Errorf("secret %s of %s: %w", s.ID, s.Owner.ID, err)
	}
	wrapped, rootID, err := v.root.wrap(key)
	if err != nil {
		return err
	}
	to := subject(s.Owner, s.Ref())
	// The old revision must still be the last: a secret destroyed in the meantime stays
	// destroyed, and one rewrapped by an interrupted rotation is only shredded.
	_, err = v.js.PublishMsg(ctx, sealedMessage(to, wrapped, rootID, s.data), jetstream.WithExpectLastSequencePerSubject(s.sequence))
	if err != nil && !streams.IsConflict(err) {
		return unavailable(err, "rewrap")
	}
	return v.shred(ctx, s.sequence)
}

// rewrapCheck seals the known value under the new root key.
func (v *Vault) rewrapCheck(ctx context.Context) error {
	sealed, _, err := v.root.wrap(v.derived)
	if err != nil {
		return err
	}
	last, err := v.stream.GetLastMsgForSubject(ctx, checkSubject)
	if err != nil {
		return unavailable(err, "read known value")
	}
	if _, err := v.js.Publish(ctx, checkSubject, sealed); err != nil {
		return unavailable(err, "store known value")
	}
	return v.shred(ctx, last.Sequence)
}
