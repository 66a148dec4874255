package kms_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/keyset"

	"github.com/seed677028b5/integrations/internal/kms"
)

func environment(variables map[string]string) func(string) string {
	return func(name string) string { return variables[name] }
}

func clock() time.Time { return time.Date(2026, 11, 30, 4, 5, 6, 0, time.UTC) }

// transit answers as the documentation of the transit engine has it, and refuses what that doesn't
// have. Its ciphertext is what it was given, in another order.
func transit(t *testing.T, token string) *httptest.Server {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var body struct {
			Plaintext      *string `json:"plaintext"`
			Ciphertext     *string `json:"ciphertext"`
			AssociatedData string  `json:"associated_data"`
		}
		decoder := json.NewDecoder(r.Body)
		decoder.DisallowUnknownFields()
		answer := func(name, value string) {
			_ = json.NewEncoder(w).Encode(map[string]any{"data": map[string]any{name: value, "key_version": 1}, "warnings": nil})
		}
		switch err := decoder.Decode(&body); {
		case r.Method != http.MethodPost || err != nil:
			w.WriteHeader(http.StatusBadRequest)
		case r.Header.Get("X-Vault-Token") != token || r.Header.Get("X-Vault-Namespace") != "clinic/":
			w.WriteHeader(http.StatusForbidden)
			_, _ = w.Write([]byte(`{"errors":["permission denied for ` + r.Header.Get("X-Vault-Token") + `"]}`))
		case r.URL.Path == "/v1/secret/transit/encrypt/root" && body.Plaintext != nil:
			answer("ciphertext", "vault:v1:"+base64.StdEncoding.EncodeToString([]byte(body.AssociatedData+"|"+*body.Plaintext)))
		case r.URL.Path == "/v1/secret/transit/decrypt/root" && body.Ciphertext != nil:
			text, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(*body.Ciphertext, "vault:v1:"))
			data, plaintext, ok := strings.Cut(string(text), "|")
			if err != nil || !ok || data != body.AssociatedData {
				w.WriteHeader(http.StatusBadRequest)
				_, _ = w.Write([]byte(`{"errors":["cipher: message authentication failed"]}`))
				return
			}
			answer("plaintext", plaintext)
		default:
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	t.Cleanup(srv.Close)
	return srv
}

func TestAKeyInTransitEncryptsAKeyset(t *testing.T) {
	srv := transit(t, "s.t0ken")
	file := filepath.Join(t.TempDir(), "token")
	require.NoError(t, os.WriteFile(file, []byte("s.t0ken\n"), 0o600))
	uri := "hcvault://" + strings.TrimPrefix(srv.URL, "http://") + "/secret/transit/keys/root"
	for _, with := range []map[string]string{
		{"VAULT_TOKEN": "s.t0ken", "VAULT_NAMESPACE": "clinic/"}, {"BAO_TOKEN": "s.t0ken", "BAO_NAMESPACE": "clinic/"}, {"VAULT_TOKEN_FILE": file, "VAULT_NAMESPACE": "clinic/"},
	} {
		key, err := kms.Open(uri, environment(with), clock)
		require.NoError(t, err)
		require.Equal(t, strings.TrimPrefix(srv.URL, "http://"), key.HostPort())
		roundTrip(t, key)
	}
	key, err := kms.Open(uri, environment(map[string]string{"VAULT_TOKEN": "s.wr0ng", "VAULT_NAMESPACE": "clinic/"}), clock)
	require.NoError(t, err)
	_, err = key.Encrypt([]byte("plain"), nil)
	require.ErrorContains(t, err, "403 Forbidden")
	require.NotContains(t, err.Error(), "wr0ng")
}

// roundTrip encrypts a keyset with a key, as the vault does, and other things.
func roundTrip(t *testing.T, key kms.Key) {
	t.Helper()
	handle, err := keyset.NewHandle(aead.AES256GCMKeyTemplate())
	require.NoError(t, err)
	var text bytes.Buffer
	require.NoError(t, handle.Write(keyset.NewJSONWriter(&text), key))
	_, err = keyset.Read(keyset.NewJSONReader(&text), key)
	require.NoError(t, err)
	sealed, err := key.Encrypt([]byte("plain"), []byte("of one"))
	require.NoError(t, err)
	opened, err := key.Decrypt(sealed, []byte("of one"))
	require.NoError(t, err)
	require.Equal(t, "plain", string(opened))
	_, err = key.Decrypt(sealed, []byte("of another"))
	require.Error(t, err)
}

const arn = "arn:aws:kms:eu-central-1:111122223333:key/k"

func TestARequestToAWSIsSignedAsBotocoreSignsIt(t *testing.T) {
	var got http.Header
	var body string
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, _ := io.ReadAll(r.Body)
		got, body = r.Header, string(text)
		_, _ = w.Write([]byte(`{"CiphertextBlob": "c2VhbGVk", "KeyId": "` + arn + `"}`))
	}))
	t.Cleanup(srv.Close)
	key, err := kms.OpenAt(srv.Listener.Addr().String(), "aws-kms://"+arn, environment(map[string]string{
		"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "AWS_SESSION_TOKEN": "session/token==",
		"AWS_ENDPOINT_URL": "https://kms.eu-central-1.amazonaws.com",
	}), clock)
	require.NoError(t, err)
	sealed, err := key.Encrypt([]byte("secret"), nil)
	require.NoError(t, err)
	require.Equal(t, "sealed", string(sealed))
	require.Equal(t, `{"KeyId":"`+arn+`","Plaintext":"c2VjcmV0"}`, body)
	require.Equal(t, "TrentService.Encrypt", got.Get("X-Amz-Target"))
	require.Equal(t, "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20261130/eu-central-1/kms/aws4_request, "+
		"SignedHeaders=content-type;host;x-amz-date;x-amz-security-token;x-amz-target, "+
		"Signature=52afda7f3a51cdbc5fc4f0793b8d16d48dbbc0708b71bc14a25871ae8966d20e", got.Get("Authorization"))
}

func TestCredentialsOfARoleAreFetchedAndKept(t *testing.T) {
	var fetched, used []string
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/role" && r.Header.Get("Authorization") == "pod-token":
			fetched = append(fetched, "container")
			_, _ = w.Write([]byte(`{"AccessKeyId": "ASIAPOD", "SecretAccessKey": "s", "Token": "t", "Expiration": "2026-11-30T05:05:06Z"}`))
		case r.FormValue("Action") == "AssumeRoleWithWebIdentity" && r.FormValue("WebIdentityToken") == "a.jwt" && r.FormValue("RoleArn") == "arn:role":
			fetched = append(fetched, "web identity")
			_, _ = w.Write([]byte(`<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleWithWebIdentityResult><Credentials>
				<AccessKeyId>ASIAWEB</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken><Expiration>2026-11-30T05:05:06Z</Expiration>
				</Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>`))
		default:
			_, credential, _ := strings.Cut(r.Header.Get("Authorization"), "Credential=")
			used = append(used, strings.Split(credential, "/")[0])
			_, _ = w.Write([]byte(`{"CiphertextBlob": "c2VhbGVk"}`))
		}
	}))
	t.Cleanup(srv.Close)
	token := filepath.Join(t.TempDir(), "token")
	require.NoError(t, os.WriteFile(token, []byte("a.jwt\n"), 0o600))
	for _, with := range []map[string]string{
		{"AWS_CONTAINER_CREDENTIALS_FULL_URI": srv.URL + "/role", "AWS_CONTAINER_AUTHORIZATION_TOKEN": "pod-token"},
		{"AWS_WEB_IDENTITY_TOKEN_FILE": token, "AWS_ROLE_ARN": "arn:role"},
	} {
		with["AWS_ENDPOINT_URL"] = srv.URL
		key, err := kms.Open("aws-kms://"+arn, environment(with), clock)
		require.NoError(t, err)
		for range 2 {
			_, err = key.Encrypt([]byte("plain"), nil)
			require.NoError(t, err)
		}
	}
	require.Equal(t, []string{"container", "web identity"}, fetched)
	require.Equal(t, []string{"ASIAPOD", "ASIAPOD", "ASIAWEB", "ASIAWEB"}, used)

	key, err := kms.Open("aws-kms://"+arn, environment(map[string]string{"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://attacker.example/role"}), clock)
	require.NoError(t, err)
	_, err = key.Encrypt([]byte("plain"), nil)
	require.ErrorContains(t, err, "must be https, or of the container")
}

func TestURIsThatNameNoKeyAreRefused(t *testing.T) {
	for _, uri := range []string{
		"", "azure-kv://v.vault.azure.net/keys/k", "gcp-kms://projects/p", "gcp-kms://projects/p/locations/l/keyRings/r/cryptoKeys/k/cryptoKeyVersions/1", "gcp-kms://projects/p/../x/locations/l/keyRings/r/cryptoKeys/k", "hcvault://host", "hcvault://host/transit/keys/", "hcvault://user:pass@host/transit/keys/k", "hcvault://host/transit/keys/a/b",
		"aws-kms://key/k", "aws-kms://arn:aws:s3:eu-central-1:1:key/k", "aws-kms://arn:aws:kms::1:key/k",
	} {
		_, err := kms.Open(uri, environment(nil), clock)
		require.Error(t, err, uri)
	}
	_, err := kms.Open("aws-kms://"+arn, environment(map[string]string{"AWS_ENDPOINT_URL": "http://elsewhere.example"}), clock)
	require.ErrorContains(t, err, "https")
}

// AWS_ENDPOINT_URL=http://127.0.0.1:5000 AWS_KMS_ARN=arn:… go test ./internal/kms, with the credentials in the
// environment, runs this on moto or another KMS.
func TestAKeyInAWSEncryptsAKeyset(t *testing.T) {
	of := os.Getenv("AWS_KMS_ARN")
	if of == "" {
		t.Skip("SKIPPED: AWS_KMS_ARN names no key")
	}
	key, err := kms.Open("aws-kms://"+of, os.Getenv, time.Now)
	require.NoError(t, err)
	roundTrip(t, key)
	key, err = kms.Open("aws-kms://"+of, func(name string) string {
		if name == "AWS_SECRET_ACCESS_KEY" {
			return "another"
		}
		return os.Getenv(name)
	}, time.Now)
	require.NoError(t, err)
	_, err = key.Encrypt([]byte("plain"), nil)
	require.Error(t, err, "a wrong signature")
	t.Log(err)
}
