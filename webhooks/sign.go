package webhooks

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"net/http"
	"strconv"
	"strings"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/seed677028b5/integrations/domain"
)

// secret returns a version of the secret of a destination. It is derived, never
// stored, so the bucket holds no secret.
func (w *Webhooks) secret(d domain.WebhookDestination, version uint64) domain.Secret {
	h := hmac.New(sha256.New, w.config.Key)
	for _, part := range []string{string(d.Workspace), d.ID, strconv.FormatUint(version, 10)} {
		_ = binary.Write(h, binary.BigEndian, uint64(len(part))) // a hash never fails
		h.Write([]byte(part))
	}
	return domain.NewSecret("whsec_" + base64.StdEncoding.EncodeToString(h.Sum(nil)))
}

// sign puts the headers of Standard Webhooks on a request: one signature for
// each secret that signs at the time.
func (w *Webhooks) sign(header http.Header, d domain.WebhookDestination, id string, at time.Time, body []byte) error {
	var signatures []string
	for _, version := range d.Signing(at) {
		signer, err := standardwebhooks.NewWebhook(w.secret(d, version).Reveal())
		if err != nil {
			return err
		}
		signature, err := signer.Sign(id, at, body)
		if err != nil {
			return err
		}
		signatures = append(signatures, signature)
	}
	header.Set(standardwebhooks.HeaderWebhookID, id)
	header.Set(standardwebhooks.HeaderWebhookTimestamp, strconv.FormatInt(at.Unix(), 10))
	header.Set(standardwebhooks.HeaderWebhookSignature, strings.Join(signatures, " "))
	return nil
}
