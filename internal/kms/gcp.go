package kms

import (
	"cmp"
	"errors"
	"fmt"
	"hash/crc32"
	"net/http"
	"regexp"
	"strings"
	"time"
)

// gcpKey is a symmetric key of Google Cloud KMS.
type gcpKey struct {
	name        string
	endpoint    string
	credentials gcpCredentials
	client      *http.Client
}

var gcpName = regexp.MustCompile(`^projects/[\w.:-]+/locations/[\w-]+/keyRings/[\w-]+/cryptoKeys/[\w-]+$`)

const gcpEndpoint = "https://cloudkms.googleapis.com"

// openGCP reads projects/PROJECT/locations/LOCATION/keyRings/RING/cryptoKeys/KEY.
func openGCP(name string, getenv func(string) string, now func() time.Time) (Key, error) {
	if !gcpName.MatchString(name) {
		return nil, errors.New("the URI of a key in Google Cloud KMS is gcp-kms://projects/PROJECT/locations/LOCATION/keyRings/RING/cryptoKeys/KEY")
	}
	const override = "CLOUDSDK_API_ENDPOINT_OVERRIDES_CLOUDKMS"
	k := &gcpKey{name: name, client: newHTTP(nil), endpoint: strings.TrimSuffix(cmp.Or(getenv(override), gcpEndpoint), "/")}
	if !strings.HasPrefix(k.endpoint, "https://") && !isLoopback(strings.TrimPrefix(k.endpoint, "http://")) {
		return nil, fmt.Errorf("%s must be an https URL", override)
	}
	k.credentials = gcpCredentials{getenv: getenv, client: k.client, now: now}
	return k, nil
}

// HostPort implements Key.
func (*gcpKey) HostPort() string { return "" }

// checksum is the CRC32C of what was sent or answered. Both sides verify it, so that what a network
// or a machine has changed is noticed before the only copy of a keyset is written.
type checksum string

func checksumOf(data []byte) checksum {
	return checksum(fmt.Sprint(crc32.Checksum(data, crc32.MakeTable(crc32.Castagnoli))))
}

var errGCPChecksum = errors.New("a checksum of the answer is wrong or missing")

// Encrypt implements Key: POST /v1/NAME:encrypt.
func (k *gcpKey) Encrypt(plaintext, associatedData []byte) ([]byte, error) {
	var answer struct {
		Ciphertext       []byte   `json:"ciphertext"`
		CiphertextCRC32C checksum `json:"ciphertextCrc32c"`
		PlaintextOK      bool     `json:"verifiedPlaintextCrc32c"`
		AssociatedDataOK bool     `json:"verifiedAdditionalAuthenticatedDataCrc32c"`
	}
	err := k.do("encrypt", map[string]any{"plaintext": plaintext, "plaintextCrc32c": checksumOf(plaintext)}, associatedData, &answer)
	if err == nil && (len(answer.Ciphertext) == 0 || answer.CiphertextCRC32C != checksumOf(answer.Ciphertext) || !answer.PlaintextOK || !answer.AssociatedDataOK) {
		err = fmt.Errorf("encrypt with Google Cloud KMS: %w", errGCPChecksum)
	}
	if err != nil {
		return nil, err
	}
	return answer.Ciphertext, nil
}

// Decrypt implements Key: POST /v1/NAME:decrypt.
func (k *gcpKey) Decrypt(ciphertext, associatedData []byte) ([]byte, error) {
	var answer struct {
		Plaintext       []byte   `json:"plaintext"`
		PlaintextCRC32C checksum `json:"plaintextCrc32c"`
	}
	err := k.do("decrypt", map[string]any{"ciphertext": ciphertext, "ciphertextCrc32c": checksumOf(ciphertext)}, associatedData, &answer)
	if err == nil && answer.PlaintextCRC32C != checksumOf(answer.Plaintext) {
		err = fmt.Errorf("decrypt with Google Cloud KMS: %w", errGCPChecksum)
	}
	if err != nil {
		return nil, err
	}
	return answer.Plaintext, nil
}

func (k *gcpKey) do(operation string, body map[string]any, associatedData []byte, answer any) error {
	what := operation + " with Google Cloud KMS"
	body["additionalAuthenticatedDataCrc32c"] = checksumOf(associatedData)
	if len(associatedData) > 0 {
		body["additionalAuthenticatedData"] = associatedData
	}
	token, err := k.credentials.token()
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	r, _, err := post(k.endpoint+"/v1/"+k.name+":"+operation, body)
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer "+token)
	return do(k.client, r, what, answer)
}
