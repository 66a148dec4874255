package kms

import (
	"cmp"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"os"
	"sync"
	"time"
)

// gcpCredentials finds the credentials of this process: the key of a service account in the file
// GOOGLE_APPLICATION_CREDENTIALS, else what the metadata server has (GKE with Workload Identity,
// Compute Engine, Cloud Run).
type gcpCredentials struct {
	getenv func(string) string
	client *http.Client
	now    func() time.Time

	mu      sync.Mutex
	kept    string
	expires time.Time
}

// token returns a token for the header Authorization.
func (c *gcpCredentials) token() (string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.kept != "" && c.now().Before(c.expires.Add(-renewBefore)) {
		return c.kept, nil
	}
	var err error
	if file := c.getenv("GOOGLE_APPLICATION_CREDENTIALS"); file != "" {
		c.kept, c.expires, err = c.signed(file)
		if err != nil {
			err = fmt.Errorf("GOOGLE_APPLICATION_CREDENTIALS: %w", err)
		}
	} else {
		c.kept, c.expires, err = c.ofMachine()
	}
	return c.kept, err
}

// signed returns a JWT that a service account signs for Cloud KMS (AIP-4111), which needs no other server.
func (c *gcpCredentials) signed(file string) (string, time.Time, error) {
	text, err := os.ReadFile(file) //nolint:gosec // the operator names it
	if err != nil {
		return "", time.Time{}, err
	}
	var account struct {
		Type       string `json:"type"`
		Email      string `json:"client_email"`
		KeyID      string `json:"private_key_id"`
		PrivateKey string `json:"private_key"`
	}
	if err := json.Unmarshal(text, &account); err != nil || account.Type != "service_account" {
		return "", time.Time{}, errors.New("the file must have the key of a service account")
	}
	block, _ := pem.Decode([]byte(account.PrivateKey))
	if block == nil {
		return "", time.Time{}, errors.New("the private key is not PEM")
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	key, ok := parsed.(*rsa.PrivateKey)
	if err != nil || !ok {
		return "", time.Time{}, errors.New("the private key is not an RSA key in PKCS #8")
	}
	from := c.now().Truncate(time.Second)
	until := from.Add(time.Hour)
	part := func(v map[string]any) string {
		text, _ := json.Marshal(v) // texts and numbers: it can't fail
		return base64.RawURLEncoding.EncodeToString(text)
	}
	unsigned := part(map[string]any{"alg": "RS256", "typ": "JWT", "kid": account.KeyID}) + "." +
		part(map[string]any{"iss": account.Email, "sub": account.Email, "aud": gcpEndpoint + "/", "iat": from.Unix(), "exp": until.Unix()})
	digest := sha256.Sum256([]byte(unsigned))
	signature, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, digest[:])
	if err != nil {
		return "", time.Time{}, errors.New("the private key can't sign")
	}
	return unsigned + "." + base64.RawURLEncoding.EncodeToString(signature), until, nil
}

// ofMachine asks the metadata server, which only this machine reaches.
func (c *gcpCredentials) ofMachine() (string, time.Time, error) {
	host := cmp.Or(c.getenv("GCE_METADATA_HOST"), "169.254.169.254")
	r, err := http.NewRequestWithContext(context.Background(), http.MethodGet, "http://"+host+"/computeMetadata/v1/instance/service-accounts/default/token", nil)
	if err != nil {
		return "", time.Time{}, errors.New("GCE_METADATA_HOST is no host")
	}
	r.Header.Set("Metadata-Flavor", "Google")
	var is struct {
		Token     string `json:"access_token"`
		ExpiresIn int    `json:"expires_in"`
	}
	if err := do(c.client, r, "the metadata server (or set GOOGLE_APPLICATION_CREDENTIALS)", &is); err != nil {
		return "", time.Time{}, err
	}
	if is.Token == "" {
		return "", time.Time{}, errors.New("the answer of the metadata server has no token")
	}
	return is.Token, c.now().Add(time.Duration(is.ExpiresIn) * time.Second), nil
}
