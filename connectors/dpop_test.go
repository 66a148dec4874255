package connectors

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/domain"
)

// proved returns the claims and the thumbprint of the key of the proof on a request (RFC
// 9449, 4.3).
func proved(t *testing.T, r *http.Request) (claims map[string]any, thumb string) {
	t.Helper()
	signed, err := jose.ParseSignedCompact(r.Header.Get("DPoP"), []jose.SignatureAlgorithm{jose.ES256})
	require.NoError(t, err)
	header := signed.Signatures[0].Header
	require.Equal(t, "dpop+jwt", header.ExtraHeaders["typ"])
	require.True(t, header.JSONWebKey.IsPublic())
	payload, err := signed.Verify(header.JSONWebKey.Key)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(payload, &claims))
	require.Equal(t, r.Method, claims["htm"])
	require.Equal(t, "http://"+r.Host+r.URL.Path, claims["htu"])
	require.InDelta(t, noon.Unix(), claims["iat"], 10)
	return claims, thumbprint(t, header.JSONWebKey.Key)
}

func TestATokenThatIsBoundToAKeyIsProvedWithEachRequest(t *testing.T) {
	var issuedTo string
	ids := map[any]bool{}
	tokens := startUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		claims, thumb := proved(t, r)
		ids[claims["jti"]] = true
		if claims["nonce"] != "as-nonce" {
			w.Header().Set("DPoP-Nonce", "as-nonce")
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, `{"error": "use_dpop_nonce"}`)
			return
		}
		issuedTo = thumb
		_, _ = io.WriteString(w, `{"access_token": "token-1", "token_type": "DPoP", "expires_in": 600}`)
	})
	nonce := "rs-nonce-1"
	base := startUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		claims, thumb := proved(t, r)
		ids[claims["jti"]] = true
		sum := sha256.Sum256([]byte("token-1"))
		require.Equal(t, base64.RawURLEncoding.EncodeToString(sum[:]), claims["ath"])
		require.Equal(t, "DPoP token-1", r.Header.Get("Authorization"))
		require.Equal(t, issuedTo, thumb)
		if claims["nonce"] != nonce {
			w.Header().Set("DPoP-Nonce", nonce)
			w.Header().Set("WWW-Authenticate", `DPoP error="use_dpop_nonce"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		_ = json.NewEncoder(w).Encode(r.Header)
	})
	a := clientCredentials(tokens + "/token")
	a.DPoP = true
	r := onLoopback(t)
	c := byToken(calling(base, nil, nil), a, canary)
	result := succeeds(t, r, c)
	require.Len(t, ids, 4, "each proof is another, and each server got one more with its nonce")
	shown := asJSON(t, result)
	require.NotContains(t, shown, "token-1")
	require.NotContains(t, shown, "eyJ", "no proof is shown")
	succeeds(t, r, c)
	require.Len(t, ids, 5, "the nonce is kept")
	nonce = "rs-nonce-2"
	succeeds(t, r, c)
	require.Len(t, ids, 7)

	plain := issues(t, nil)
	a.TokenURL = plain.url
	other, last := recorder(t)
	succeeds(t, onLoopback(t), byToken(calling(other, nil, nil), a, canary))
	require.True(t, strings.HasPrefix(last().Header.Get("Authorization"), "Bearer "), "a server that binds no token gives a bearer token")
	require.NotEmpty(t, plain.requests()[0].Header.Get("DPoP"))
	failsWith(t, onLoopback(t), byToken(calling(other, nil, nil), clientCredentials(answers(t, 200, `{"access_token": "token-1", "token_type": "DPoP"}`)), canary), domain.CallMisconfigured)
}
