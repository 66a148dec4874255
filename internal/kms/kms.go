// Package kms encrypts with a key that is kept elsewhere: in AWS KMS, in Google Cloud KMS, or
// in the transit engine of OpenBao or HashiCorp Vault.
//
// Its promise: credentials go to the service that the URI names and nowhere else, no redirect is
// followed, and no error quotes a credential, a plaintext or an answer.
package kms

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"time"
)

// Key encrypts and decrypts. It implements tink.AEAD.
type Key interface {
	Encrypt(plaintext, associatedData []byte) ([]byte, error)
	Decrypt(ciphertext, associatedData []byte) ([]byte, error)

	// HostPort returns the address of a service of the operator's, "" for one of a cloud.
	HostPort() string
}

// Timeout bounds each request.
const Timeout = 10 * time.Second

// maxAnswer is how much of an answer is read.
const maxAnswer = 1 << 20

// Open returns the key that a URI names. The environment has the credentials, under the names that
// the service's own programs read: AWS_…, GOOGLE_…, VAULT_… or BAO_….
func Open(uri string, getenv func(string) string, now func() time.Time) (Key, error) {
	scheme, rest, _ := strings.Cut(uri, "://")
	switch scheme {
	case "aws-kms":
		return openAWS(rest, getenv, now)
	case "gcp-kms":
		return openGCP(rest, getenv, now)
	case "hcvault", "openbao":
		return openTransit(rest, getenv)
	}
	return nil, errors.New("the URI of a root key begins with aws-kms://, gcp-kms://, hcvault:// or openbao://")
}

// TokenFiles returns the files with credentials that the environment names.
func TokenFiles(getenv func(string) string) (files []string) {
	for _, name := range []string{"BAO_TOKEN_FILE", "VAULT_TOKEN_FILE", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "GOOGLE_APPLICATION_CREDENTIALS"} {
		if file := getenv(name); file != "" {
			files = append(files, file)
		}
	}
	return files
}

// newHTTP returns a client that follows no redirect.
func newHTTP(roots *x509.CertPool) *http.Client {
	transport := http.DefaultTransport.(*http.Transport).Clone() //nolint:forcetypeassert // net/http made it
	transport.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots}
	return &http.Client{
		Transport: transport, Timeout: Timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// roots returns the certificates in a PEM file; nil for none: those of the system.
func roots(file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil //nolint:nilnil // those of the system
	}
	text, err := os.ReadFile(file) //nolint:gosec // the operator names it
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("%s has no certificate in PEM", file)
	}
	return pool, nil
}

// do sends a request and decodes the answer, JSON, into result.
func do(client *http.Client, r *http.Request, what string, result any) error {
	body, err := exchange(client, r, what)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(body, result); err != nil {
		return fmt.Errorf("%s: the answer is not the JSON that is documented", what)
	}
	return nil
}

// exchange sends a request and returns the body of a successful answer.
func exchange(client *http.Client, r *http.Request, what string) ([]byte, error) {
	resp, err := client.Do(r)
	if err != nil {
		var of *url.Error
		if errors.As(err, &of) { // its URL may have a credential
			err = of.Err
		}
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	defer resp.Body.Close() //nolint:errcheck // nothing more is read
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: the answer is %d %s%s", what, resp.StatusCode, http.StatusText(resp.StatusCode), errorType(body))
	}
	return body, nil
}

const typeRunes = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.#"

// errorType returns the type of an error of AWS, such as AccessDeniedException; else nothing.
func errorType(body []byte) string {
	var e struct {
		Type string `json:"__type"`
	}
	if json.Unmarshal(body, &e) != nil || e.Type == "" || len(e.Type) > 100 || strings.ContainsFunc(e.Type, func(r rune) bool { return !strings.ContainsRune(typeRunes, r) }) {
		return ""
	}
	return ": " + e.Type[strings.LastIndex(e.Type, "#")+1:]
}

// post returns a request with a body of JSON.
func post(target string, body any) (*http.Request, []byte, error) {
	text, err := json.Marshal(body)
	if err != nil {
		return nil, nil, err
	}
	r, err := http.NewRequestWithContext(context.Background(), http.MethodPost, target, bytes.NewReader(text)) // the client has a timeout
	return r, text, err
}

// isLoopback reports whether a host, with or without a port, is this machine.
func isLoopback(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	address, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return host == "localhost" || err == nil && address.IsLoopback()
}
