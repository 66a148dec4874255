package transport

import (
	"math"
	"net/http"
	"time"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/webhooks"
)

// verificationAnswer is what the signature of a webhook turned out to be.
type verificationAnswer struct {
	Valid      bool     `json:"valid"`
	Version    *uint64  `json:"secret_version"` // that made it; null: none of this destination did
	Current    bool     `json:"current"`        // that secret signs at present
	AgeSeconds *float64 `json:"age_seconds"`    // null: the timestamp is no time
}

// tolerance is how old a webhook may be for receivers that keep to Standard Webhooks.
const tolerance = 5 * time.Minute

// verifyWebhook reports whether a receiver should take a webhook, and if not, why.
func (s *Server) verifyWebhook(r *request) (answer, error) {
	doc, _, err := r.body(maxBody, false)
	if err != nil {
		return answer{}, err
	}
	var got webhooks.Signed
	problems := unknownMembers("", doc, "id", "timestamp", "signature", "body")
	for name, into := range map[string]*string{"id": &got.ID, "timestamp": &got.Timestamp, "signature": &got.Signature, "body": &got.Body} {
		text, ok := doc[name].(string)
		if !ok {
			problems = append(problems, domain.Problem{Pointer: "/" + name, Code: "required", Detail: "is required: a string, as the receiver got it"})
		}
		*into = text
	}
	if err := domain.RefuseAll(problems); err != nil {
		return answer{}, err
	}
	v, err := s.Webhooks.Verify(r, r.workspace, r.Param("destination"), got)
	if err != nil {
		return answer{}, err
	}
	a := verificationAnswer{Version: nullable(v.Version), Current: v.Current}
	if !v.At.IsZero() {
		age := s.Now().Sub(v.At)
		a.AgeSeconds = new(math.Round(age.Seconds()*1000) / 1000)
		a.Valid = v.Version > 0 && age.Abs() <= tolerance
	}
	return answer{status: http.StatusOK, body: a}, nil
}
