package authorizations_test

import (
	"crypto"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/authorizations"
	"github.com/seed677028b5/integrations/internal/authservertest"
)

// proofs checks the proofs of calls (RFC 9449, 4.3), and keeps the keys that they are of.
type proofs struct {
	mu    sync.Mutex
	keys  map[string]bool
	seen  map[string]bool // jti
	nonce string          // that is asked for; empty: none
	wrong string
}

func (p *proofs) check(w http.ResponseWriter, r *http.Request) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	var claims struct{ JTI, HTM, HTU, ATH, Nonce string }
	signed, err := jose.ParseSignedCompact(r.Header.Get("DPoP"), []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		p.wrong = "no proof: " + err.Error()
		return false
	}
	key := signed.Signatures[0].Header.JSONWebKey
	payload, err := signed.Verify(key)
	if err == nil {
		err = json.Unmarshal(payload, &claims)
	}
	sum := sha256.Sum256([]byte(strings.TrimPrefix(r.Header.Get("Authorization"), "DPoP ")))
	if err != nil || p.seen[claims.JTI] || claims.HTM != r.Method || claims.HTU != "http://"+r.Host+r.URL.Path || claims.ATH != base64.RawURLEncoding.EncodeToString(sum[:]) {
		p.wrong = "a wrong proof: " + string(payload)
		return false
	}
	p.seen[claims.JTI] = true
	if claims.Nonce != p.nonce {
		w.Header().Set("DPoP-Nonce", p.nonce)
		w.Header().Set("WWW-Authenticate", `DPoP error="use_dpop_nonce"`)
		w.WriteHeader(http.StatusUnauthorized)
		return true
	}
	thumbprint, _ := key.Thumbprint(crypto.SHA256)
	p.keys[string(thumbprint)] = true
	return false
}

func TestTheTokensOfAPersonAreProvedWithOneKeyByEveryProcess(t *testing.T) {
	t.Parallel()
	as := authservertest.New(t)
	as.Token = "Authorization: DPoP "
	answers(as, func(answer object) { answer["token_type"] = "DPoP" })
	p := &proofs{keys: map[string]bool{}, seen: map[string]bool{}}
	as.API = p.check
	all := processesOf(t, as, 2, object{"dpop": true}, called("/me"))
	all[0].signIn()
	for _, nonce := range []string{"", "n-1", "n-2"} {
		p.nonce = nonce
		for _, one := range all {
			result := one.call(nil)
			require.Equal(t, 200, result.StatusCode, "%s %s", result.Error, p.wrong)
		}
	}
	as.EndAll(false)
	require.Equal(t, 200, all[1].call(nil).StatusCode, "a renewed one is proved too")
	require.Empty(t, p.wrong)
	require.Len(t, p.keys, 1)

	plain := processesOf(t, as, 1, nil, called("/me"))[0]
	out := plain.tryToSignIn(authorizations.Start{})
	require.Contains(t, out.Sentence, "set dpop", "a token that takes a proof is no bearer token")
}
