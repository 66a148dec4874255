package signin

import (
	"crypto/sha256"
	"encoding/json"
	"net/http"

	"github.com/seed677028b5/integrations/domain"
)

func ownerKey(i domain.Integration) string {
	key, _ := json.Marshal(i.Owner()) // of texts and a number, which always encode
	return string(key)
}

// cacheKey identifies what a token is for: nothing else is signed with it. It is a
// hash, so it shows none of that. A token outlives the rotation of a generated key.
func cacheKey(s signing) string {
	a := s.auth
	a.Secrets, a.SigningKeys = nil, nil
	if a.PrivateKeyGenerate != "" {
		a.AssertionAlgorithm, a.AssertionKID = "", ""
	}
	type value struct {
		Ref     string
		Version uint64
		Value   string
	}
	values := map[string]value{}
	for _, one := range s.refs {
		if !one.generated {
			values[one.use.Field] = value{one.ref.ID, one.ref.Version, s.secrets[one.use.Field].Reveal()}
		}
	}
	whole, _ := json.Marshal(struct { // of texts and numbers, which always encode
		Owner    domain.Owner
		Values   map[string]value
		Auth     domain.Auth
		Base     string
		Exchange http.Header
	}{s.Integration.Owner(), values, a, s.base(), s.Exchange})
	sum := sha256.Sum256(whole)
	return string(sum[:])
}
