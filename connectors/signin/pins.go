package signin

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"

	"github.com/seed677028b5/integrations/connectors/callerror"
	"github.com/seed677028b5/integrations/domain"
)

// pinned returns the pin of what a call sends to a server, the zero value for none.
func (i *issuer) pinned(ctx context.Context, s signing, secret usedSecret, server string) (pin, *callerror.Error) {
	return i.keepPin(ctx, s, secret, server, pin{})
}

// keepPin returns the pin of a secret, which is first when there is none yet. It is kept
// before the secret is sent: then it goes to one place only, whatever is named later.
func (i *issuer) keepPin(ctx context.Context, s signing, secret usedSecret, server string, first pin) (pin, *callerror.Error) {
	ref := secret.ref
	if secret.generated { // its successors have the same pin
		ref = domain.SecretRef{ID: s.Integration.Owner().GeneratedKeys()}
	}
	sum := sha256.Sum256([]byte(server))
	name := hex.EncodeToString(sum[:12])
	key, _ := json.Marshal([]any{s.Integration.Owner(), ref.ID, ref.Version, name}) // of texts and numbers, which always encode
	if known, ok := i.known.get(string(key)); ok {
		return known, nil
	}
	kept, unsaved := first, domain.IsUnsaved(ctx)
	if i.Pins != nil && !s.Integration.Builtin {
		var text []byte
		if first != (pin{}) && !unsaved {
			text, _ = json.Marshal(first) // of texts, which always encode
		}
		stored, err := i.Pins.Pin(ctx, s.Integration.Owner(), ref.ID, name, string(text))
		if err != nil {
			return pin{}, unauthorized(ctx, err)
		}
		if stored != "" && json.Unmarshal([]byte(stored), &kept) != nil {
			return pin{}, callerror.Misconfigured("What is known of the authorization server can't be read; give the secret again.")
		}
	}
	if kept != (pin{}) && !unsaved {
		i.known.put(string(key), kept)
	}
	return kept, nil
}
