package kms_test

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"hash/crc32"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/internal/kms"
)

const gcpName = "projects/p/locations/eu/keyRings/r/cryptoKeys/k"

func crc(data []byte) string {
	return fmt.Sprint(crc32.Checksum(data, crc32.MakeTable(crc32.Castagnoli)))
}

// gcp answers as the documentation of Cloud KMS has it, and refuses what that doesn't have. Its ciphertext
// is what it was given, in another order. token decides which requests it allows.
func gcp(t *testing.T, token func(string) bool) *httptest.Server {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var body struct {
			Plaintext, Ciphertext, AdditionalAuthenticatedData                   []byte
			PlaintextCrc32c, CiphertextCrc32c, AdditionalAuthenticatedDataCrc32c string
		}
		decoder := json.NewDecoder(r.Body)
		decoder.DisallowUnknownFields()
		err := decoder.Decode(&body)
		data := body.AdditionalAuthenticatedData
		answer := func(members map[string]any) { _ = json.NewEncoder(w).Encode(members) }
		switch {
		case r.URL.Path == "/computeMetadata/v1/instance/service-accounts/default/token" && r.Header.Get("Metadata-Flavor") == "Google":
			answer(map[string]any{"access_token": "of-the-machine", "expires_in": 3599, "token_type": "Bearer"})
		case r.Method != http.MethodPost || err != nil || body.AdditionalAuthenticatedDataCrc32c != crc(data):
			w.WriteHeader(http.StatusBadRequest)
		case !token(strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")):
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = w.Write([]byte(`{"error": {"message": "` + r.Header.Get("Authorization") + `"}}`))
		case r.URL.Path == "/v1/"+gcpName+":encrypt" && body.PlaintextCrc32c == crc(body.Plaintext):
			sealed := []byte(string(data) + "|" + string(body.Plaintext))
			answer(map[string]any{
				"name": gcpName + "/cryptoKeyVersions/1", "ciphertext": sealed, "ciphertextCrc32c": crc(sealed),
				"verifiedPlaintextCrc32c": true, "verifiedAdditionalAuthenticatedDataCrc32c": true, "protectionLevel": "SOFTWARE",
			})
		case r.URL.Path == "/v1/"+gcpName+":decrypt" && body.CiphertextCrc32c == crc(body.Ciphertext) && strings.HasPrefix(string(body.Ciphertext), string(data)+"|"):
			plaintext := body.Ciphertext[len(data)+1:]
			answer(map[string]any{"plaintext": plaintext, "plaintextCrc32c": crc(plaintext), "usedPrimary": true, "protectionLevel": "SOFTWARE"})
		default:
			w.WriteHeader(http.StatusBadRequest)
		}
	}))
	t.Cleanup(srv.Close)
	return srv
}

// account writes the key of a service account.
func account(t *testing.T) (file string, public *rsa.PublicKey) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	text, err := json.Marshal(map[string]string{
		"type": "service_account", "client_email": "a@p.iam.gserviceaccount.com", "private_key_id": "kid1",
		"private_key": string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})),
	})
	require.NoError(t, err)
	file = filepath.Join(t.TempDir(), "account.json")
	require.NoError(t, os.WriteFile(file, text, 0o600))
	return file, &key.PublicKey
}

func TestAKeyInGoogleCloudEncryptsAKeyset(t *testing.T) {
	file, public := account(t)
	var tokens []string
	srv := gcp(t, func(token string) bool {
		tokens = append(tokens, token)
		return token == "of-the-machine" || strings.Count(token, ".") == 2
	})
	host := strings.TrimPrefix(srv.URL, "http://")
	for _, with := range []map[string]string{{"GCE_METADATA_HOST": host}, {"GOOGLE_APPLICATION_CREDENTIALS": file}} {
		with["CLOUDSDK_API_ENDPOINT_OVERRIDES_CLOUDKMS"] = srv.URL + "/"
		key, err := kms.Open("gcp-kms://"+gcpName, environment(with), clock)
		require.NoError(t, err)
		require.Empty(t, key.HostPort())
		roundTrip(t, key)
	}
	signed := tokens[len(tokens)-1]
	require.Equal(t, signed, tokens[len(tokens)-2], "a token is kept")
	parts := strings.Split(signed, ".")
	digest := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	require.NoError(t, err)
	require.NoError(t, rsa.VerifyPKCS1v15(public, crypto.SHA256, digest[:], signature))
	header, err := base64.RawURLEncoding.DecodeString(parts[0])
	require.NoError(t, err)
	claims, err := base64.RawURLEncoding.DecodeString(parts[1])
	require.NoError(t, err)
	// What google-auth signs for google-cloud-kms 3.18, for the same account at the same time.
	require.JSONEq(t, `{"typ": "JWT", "alg": "RS256", "kid": "kid1"}`, string(header))
	from := clock().Unix()
	require.JSONEq(t, fmt.Sprintf(`{"iss": "a@p.iam.gserviceaccount.com", "sub": "a@p.iam.gserviceaccount.com", "iat": %d, "exp": %d, "aud": "https://cloudkms.googleapis.com/"}`, from, from+3600), string(claims))
}

// The bodies and answers are those that Google's own client for Python, google-cloud-kms 3.18, sends and reads by HTTP.
func TestARequestToGoogleIsTheOneOfItsOwnClient(t *testing.T) {
	var got []string
	answer := ""
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, _ := io.ReadAll(r.Body)
		if r.Method == http.MethodPost {
			got = append(got, r.URL.Path, string(text))
			_, _ = w.Write([]byte(answer))
			return
		}
		_, _ = w.Write([]byte(`{"access_token": "t", "expires_in": 3599}`))
	}))
	t.Cleanup(srv.Close)
	key, err := kms.Open("gcp-kms://"+gcpName, environment(map[string]string{
		"CLOUDSDK_API_ENDPOINT_OVERRIDES_CLOUDKMS": srv.URL, "GCE_METADATA_HOST": strings.TrimPrefix(srv.URL, "http://"),
	}), clock)
	require.NoError(t, err)

	const sealed = `{"name": "n", "ciphertext": "c2VhbGVk", "ciphertextCrc32c": "2252807419", "verifiedPlaintextCrc32c": true, "verifiedAdditionalAuthenticatedDataCrc32c": true, "protectionLevel": 0}`
	answer = sealed
	ciphertext, err := key.Encrypt([]byte("secret"), []byte("of one"))
	require.NoError(t, err)
	require.Equal(t, "sealed", string(ciphertext))
	_, err = key.Encrypt([]byte("secret"), nil)
	require.NoError(t, err)
	answer = `{"plaintext": "c2VjcmV0", "plaintextCrc32c": "2956741965", "usedPrimary": true, "protectionLevel": 0}`
	plaintext, err := key.Decrypt(ciphertext, []byte("of one"))
	require.NoError(t, err)
	require.Equal(t, "secret", string(plaintext))
	const at = "/v1/projects/p/locations/eu/keyRings/r/cryptoKeys/k"
	require.Equal(t, []string{at + ":encrypt", at + ":encrypt", at + ":decrypt"}, []string{got[0], got[2], got[4]})
	require.JSONEq(t, `{"plaintext": "c2VjcmV0", "additionalAuthenticatedData": "b2Ygb25l", "plaintextCrc32c": "2956741965", "additionalAuthenticatedDataCrc32c": "467562071"}`, got[1])
	require.JSONEq(t, `{"plaintext": "c2VjcmV0", "plaintextCrc32c": "2956741965", "additionalAuthenticatedDataCrc32c": "0"}`, got[3])
	require.JSONEq(t, `{"ciphertext": "c2VhbGVk", "additionalAuthenticatedData": "b2Ygb25l", "ciphertextCrc32c": "2252807419", "additionalAuthenticatedDataCrc32c": "467562071"}`, got[5])

	for _, changed := range []string{ // on its way, in either direction
		strings.Replace(sealed, "2252807419", "2252807418", 1), strings.Replace(sealed, "c2VhbGVk", "c2VhbGVL", 1), strings.Replace(sealed, `"verifiedPlaintextCrc32c": true`, `"verifiedPlaintextCrc32c": false`, 1),
		strings.Replace(sealed, `, "verifiedAdditionalAuthenticatedDataCrc32c": true`, "", 1), `{}`,
	} {
		answer = changed
		_, err = key.Encrypt([]byte("secret"), nil)
		require.ErrorContains(t, err, "checksum", changed)
	}
	answer = `{"plaintext": "c2VjcmV0", "usedPrimary": true}`
	_, err = key.Decrypt(ciphertext, nil)
	require.ErrorContains(t, err, "checksum")
}

func TestWhatIsWrongWithCredentialsOfGoogleIsNamedAndNotQuoted(t *testing.T) {
	srv := gcp(t, func(string) bool { return false })
	endpoint := map[string]string{"CLOUDSDK_API_ENDPOINT_OVERRIDES_CLOUDKMS": srv.URL, "GCE_METADATA_HOST": strings.TrimPrefix(srv.URL, "http://")}
	key, err := kms.Open("gcp-kms://"+gcpName, environment(endpoint), clock)
	require.NoError(t, err)
	_, err = key.Encrypt([]byte("plain"), nil)
	require.ErrorContains(t, err, "401 Unauthorized")
	require.NotContains(t, err.Error(), "of-the-machine")
	for content, want := range map[string]string{
		`{"type": "external_account"}`:                                 "key of a service account",
		`{"type": "service_account", "private_key": "planted"}`:        "not PEM",
		`{"type": "service_account", "private_key": "` + broken + `"}`: "not an RSA key",
	} {
		endpoint["GOOGLE_APPLICATION_CREDENTIALS"] = filepath.Join(t.TempDir(), "account.json")
		require.NoError(t, os.WriteFile(endpoint["GOOGLE_APPLICATION_CREDENTIALS"], []byte(content), 0o600))
		key, err := kms.Open("gcp-kms://"+gcpName, environment(endpoint), clock)
		require.NoError(t, err)
		_, err = key.Encrypt([]byte("plain"), nil)
		require.ErrorContains(t, err, "GOOGLE_APPLICATION_CREDENTIALS")
		require.ErrorContains(t, err, want)
		require.NotContains(t, err.Error(), "planted")
	}
	_, err = kms.Open("gcp-kms://"+gcpName, environment(map[string]string{"CLOUDSDK_API_ENDPOINT_OVERRIDES_CLOUDKMS": "http://elsewhere.example"}), time.Now)
	require.ErrorContains(t, err, "https")
}

const broken = `-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----`
