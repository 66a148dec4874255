package webhooks

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/seed677028b5/integrations/domain"
)

// Signed is what a receiver got of a webhook.
type Signed struct {
	ID, Timestamp, Signature string // the headers webhook-id, webhook-timestamp and webhook-signature
	Body                     string // exactly as it arrived
}

// Verification is what a signature turned out to be.
type Verification struct {
	Version uint64    // of the secret that made it; 0: none of the last ten did
	Current bool      // that secret signs at present
	At      time.Time // of the timestamp; zero: it is no time
}

// maxVersions is how many secrets a signature is compared with, the newest first.
const maxVersions = 10

// Verify reports which secret of a destination made a signature, whatever the timestamp: for
// those who look for why a receiver refuses a webhook.
func (w *Webhooks) Verify(ctx context.Context, of domain.Workspace, id string, got Signed) (Verification, error) {
	d, err := w.Get(ctx, of, id)
	if err != nil {
		return Verification{}, err
	}
	var v Verification
	if seconds, err := strconv.ParseInt(got.Timestamp, 10, 64); err == nil {
		v.At = time.Unix(seconds, 0).UTC()
	}
	header := http.Header{}
	header.Set(standardwebhooks.HeaderWebhookID, got.ID)
	header.Set(standardwebhooks.HeaderWebhookTimestamp, got.Timestamp)
	header.Set(standardwebhooks.HeaderWebhookSignature, got.Signature)
	for n := range uint64(maxVersions) {
		version := d.SecretVersion - n
		if version == 0 {
			break
		}
		verifier, err := standardwebhooks.NewWebhook(w.secret(d, version).Reveal())
		if err != nil {
			return Verification{}, err
		}
		if verifier.VerifyIgnoringTimestamp([]byte(got.Body), header) == nil {
			v.Version, v.Current = version, slices.Contains(d.Signing(w.config.Now()), version)
			break
		}
	}
	return v, nil
}
