package transport

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"

	"github.com/gin-gonic/gin"
	"github.com/klauspost/compress/gzhttp"

	"github.com/seed677028b5/integrations/representation"
)

// signingKeysAnswer is the key pairs that the service generated for an integration.
type signingKeysAnswer struct {
	KeySetPath string                      `json:"key_set_path"` // below the URL of the service
	Items      []representation.SigningKey `json:"items"`
}

// publicKeys answers with the JSON Web Key Set of an integration (RFC 7517).
func (s *Server) publicKeys(r *request) (answer, error) {
	set, err := s.Commands.PublicKeys(r, r.workspace, r.id())
	if err != nil {
		return answer{}, err
	}
	return answer{status: http.StatusOK, body: json.RawMessage(set)}, nil
}

func (s *Server) listSigningKeys(r *request) (answer, error) {
	keys, err := s.Commands.SigningKeys(r, r.workspace, r.id())
	if err != nil {
		return answer{}, err
	}
	id, err := s.Commands.KeySetID(r.workspace, r.id())
	if err != nil {
		return answer{}, err
	}
	body := signingKeysAnswer{KeySetPath: "/jwks/" + id, Items: make([]representation.SigningKey, len(keys))}
	for n, key := range keys {
		body.Items[n] = representation.OfSigningKey(key)
	}
	return answer{status: http.StatusOK, body: body}, nil
}

func (s *Server) rotateSigningKeys(r *request) (answer, error) {
	doc, _, err := r.body(maxTestBody, true)
	if err != nil {
		return answer{}, err
	}
	on, err := r.condition()
	if err != nil {
		return answer{}, err
	}
	out, err := s.Commands.RotateKeys(r, r.caller, r.id(), doc, on)
	return s.changed(r, out, on, http.StatusOK, err)
}

// keySetAge is how long a key set may be cached: shorter than the pause from which the
// next key of a rotation signs.
const keySetAge = "public, max-age=300"

// serveKeySet answers anybody who knows the id of a key set: authorization servers fetch
// it without a key of this API.
func (s *Server) serveKeySet(limits *limiters) gin.HandlerFunc {
	return func(c *gin.Context) {
		err := limits.allow(c, "address "+c.ClientIP(), read, s.Now())
		var set []byte
		if err == nil {
			set, err = s.Commands.KeySet(c.Request.Context(), c.Param("key_set"))
		}
		if err != nil {
			s.refuse(c, err)
			return
		}
		sum := sha256.Sum256(set)
		tag := `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`
		c.Header("Cache-Control", keySetAge)
		c.Header("ETag", tag)
		c.Header(gzhttp.HeaderNoCompression, "true")
		if matches(c.GetHeader("If-None-Match"), tag) {
			c.Status(http.StatusNotModified)
			c.Writer.WriteHeaderNow()
			return
		}
		c.Data(http.StatusOK, "application/jwk-set+json", set)
	}
}
