package vault

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/seed677028b5/integrations/domain"
)

const (
	pinPrefix = "pin-" // of the id of what Pin keeps; that of the secret follows
	maxPins   = 64     // for one secret
)

// pinsOf returns the reference of the pins of a secret.
func pinsOf(secret string) domain.SecretRef {
	return domain.SecretRef{ID: pinPrefix + secret, Field: "pins", Version: 1}
}

// Pin returns the first value that was given for a secret and a name, which is value when
// there is none yet. With an empty value nothing is kept. Of several processes that give one
// at once, one succeeds, and all return that one's. Destroy of the secret destroys its pins.
func (v *Vault) Pin(ctx context.Context, o domain.Owner, secret, name, value string) (string, error) {
	ref := pinsOf(secret)
	for {
		pins := map[string]string{}
		text, revision, err := v.OpenLatest(ctx, o, ref)
		if err == nil {
			err = json.Unmarshal([]byte(text.Reveal()), &pins)
		}
		if err != nil && domain.CodeOf(err) != "secret_missing" {
			return "", err
		}
		if kept, ok := pins[name]; ok || value == "" {
			return kept, nil
		}
		if len(pins) >= maxPins {
			return "", domain.Errorf(domain.Invalid, "too_many_pins", "the secret has been sent to %d places; give it again", maxPins)
		}
		pins[name] = value
		data, err := json.Marshal(pins)
		if err != nil {
			return "", fmt.Errorf("pin: %w", err)
		}
		if _, err = v.Replace(ctx, o, domain.SealedSecret{Ref: ref, Secret: domain.NewSecret(string(data))}, revision); !errors.Is(err, ErrReplaced) {
			return value, err
		}
	}
}

// PinnedSecret returns the id of the secret that the vault's value with an id has pins of,
// and whether it has any.
func PinnedSecret(id string) (string, bool) { return strings.CutPrefix(id, pinPrefix) }
