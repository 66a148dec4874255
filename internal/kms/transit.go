package kms

import (
	"cmp"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
)

// transit is a key of the transit engine. It must be of a type that authenticates associated data:
// aes256-gcm96 or chacha20-poly1305.
type transit struct {
	host, mount, name string
	base              string
	getenv            func(string) string
	client            *http.Client
}

// openTransit reads HOST[:PORT]/MOUNT/keys/NAME.
func openTransit(rest string, getenv func(string) string) (Key, error) {
	host, path, _ := strings.Cut(rest, "/")
	mount, name, ok := strings.Cut(path, "/keys/")
	if host == "" || strings.ContainsAny(host, "@?#") || !ok || mount == "" || name == "" || strings.ContainsAny(name, "/?#%") || strings.ContainsAny(mount, "?#%") {
		return nil, errors.New("the URI of a key in transit is hcvault://HOST[:PORT]/MOUNT/keys/NAME, such as hcvault://vault.example.com:8200/transit/keys/integrations")
	}
	pool, err := roots(cmp.Or(getenv("BAO_CACERT"), getenv("VAULT_CACERT")))
	if err != nil {
		return nil, fmt.Errorf("VAULT_CACERT: %w", err)
	}
	scheme := "https"
	if isLoopback(host) && pool == nil { // an agent, or a server for trials
		scheme = "http"
	}
	return &transit{host: host, mount: mount, name: name, base: scheme + "://" + host + "/v1/", getenv: getenv, client: newHTTP(pool)}, nil
}

// HostPort implements Key.
func (k *transit) HostPort() string {
	u, err := url.Parse(k.base)
	if err != nil {
		return ""
	}
	if u.Port() == "" {
		return u.Host + ":443"
	}
	return u.Host
}

// Encrypt implements Key: POST /transit/encrypt/:name.
func (k *transit) Encrypt(plaintext, associatedData []byte) ([]byte, error) {
	var answer struct {
		Data struct {
			Ciphertext string `json:"ciphertext"`
		} `json:"data"`
	}
	if err := k.do("encrypt", map[string]string{"plaintext": base64.StdEncoding.EncodeToString(plaintext)}, associatedData, &answer); err != nil {
		return nil, err
	}
	if !strings.HasPrefix(answer.Data.Ciphertext, "vault:") {
		return nil, errors.New("encrypt with transit: the answer has no ciphertext")
	}
	return []byte(answer.Data.Ciphertext), nil
}

// Decrypt implements Key: POST /transit/decrypt/:name.
func (k *transit) Decrypt(ciphertext, associatedData []byte) ([]byte, error) {
	var answer struct {
		Data struct {
			Plaintext string `json:"plaintext"`
		} `json:"data"`
	}
	if err := k.do("decrypt", map[string]string{"ciphertext": string(ciphertext)}, associatedData, &answer); err != nil {
		return nil, err
	}
	plaintext, err := base64.StdEncoding.DecodeString(answer.Data.Plaintext)
	if err != nil {
		return nil, errors.New("decrypt with transit: the answer has no plaintext")
	}
	return plaintext, nil
}

func (k *transit) do(operation string, body map[string]string, associatedData []byte, answer any) error {
	if len(associatedData) > 0 {
		body["associated_data"] = base64.StdEncoding.EncodeToString(associatedData)
	}
	r, _, err := post(k.base+k.mount+"/"+operation+"/"+k.name, body)
	if err != nil {
		return err
	}
	token, err := k.token()
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("X-Vault-Request", "true") // an agent asks for it, against requests that a browser is made to send
	if token != "" {
		r.Header.Set("X-Vault-Token", token)
	}
	if namespace := cmp.Or(k.getenv("BAO_NAMESPACE"), k.getenv("VAULT_NAMESPACE")); namespace != "" {
		r.Header.Set("X-Vault-Namespace", namespace)
	}
	return do(k.client, r, operation+" with transit", answer)
}

// token returns the token to use: that of a file, which an agent renews, is read each time. An agent
// on this machine may add its own, so there may be none.
func (k *transit) token() (string, error) {
	file := cmp.Or(k.getenv("BAO_TOKEN_FILE"), k.getenv("VAULT_TOKEN_FILE"))
	if file == "" {
		return cmp.Or(k.getenv("BAO_TOKEN"), k.getenv("VAULT_TOKEN")), nil
	}
	text, err := os.ReadFile(file) //nolint:gosec // the operator names it
	if err != nil {
		return "", fmt.Errorf("VAULT_TOKEN_FILE: %w", err)
	}
	return strings.TrimSpace(string(text)), nil
}
