package kms

import (
	"cmp"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// awsKey is a symmetric key of AWS KMS.
type awsKey struct {
	arn, region string
	endpoint    string
	credentials awsCredentials
	now         func() time.Time
	client      *http.Client
}

// openAWS reads arn:aws:kms:REGION:ACCOUNT:key/ID, or an alias in place of the key.
func openAWS(arn string, getenv func(string) string, now func() time.Time) (Key, error) {
	parts := strings.SplitN(arn, ":", 6)
	if len(parts) != 6 || parts[0] != "arn" || parts[2] != "kms" || parts[3] == "" || !strings.HasPrefix(parts[5], "key/") && !strings.HasPrefix(parts[5], "alias/") {
		return nil, errors.New("the URI of a key in AWS KMS is aws-kms://arn:aws:kms:REGION:ACCOUNT:key/ID")
	}
	domain := "amazonaws.com"
	if parts[1] == "aws-cn" {
		domain = "amazonaws.com.cn"
	}
	k := &awsKey{
		arn: arn, region: parts[3], now: now, client: newHTTP(nil),
		endpoint: cmp.Or(getenv("AWS_ENDPOINT_URL_KMS"), getenv("AWS_ENDPOINT_URL"), "https://kms."+parts[3]+"."+domain),
	}
	if !strings.HasPrefix(k.endpoint, "https://") && !isLoopback(strings.TrimPrefix(k.endpoint, "http://")) {
		return nil, errors.New("AWS_ENDPOINT_URL must be an https URL")
	}
	k.credentials = awsCredentials{getenv: getenv, region: k.region, sts: cmp.Or(getenv("AWS_ENDPOINT_URL_STS"), getenv("AWS_ENDPOINT_URL"), "https://sts."+k.region+"."+domain), client: k.client, now: now}
	return k, nil
}

// HostPort implements Key.
func (*awsKey) HostPort() string { return "" }

// Encrypt implements Key.
func (k *awsKey) Encrypt(plaintext, associatedData []byte) ([]byte, error) {
	var answer struct{ CiphertextBlob []byte }
	if err := k.do("Encrypt", map[string]any{"Plaintext": plaintext}, associatedData, &answer); err != nil {
		return nil, err
	}
	if len(answer.CiphertextBlob) == 0 {
		return nil, errors.New("encrypt with AWS KMS: the answer has no CiphertextBlob")
	}
	return answer.CiphertextBlob, nil
}

// Decrypt implements Key. The key is named, so that no other one decrypts.
func (k *awsKey) Decrypt(ciphertext, associatedData []byte) ([]byte, error) {
	var answer struct{ Plaintext []byte }
	if err := k.do("Decrypt", map[string]any{"CiphertextBlob": ciphertext}, associatedData, &answer); err != nil {
		return nil, err
	}
	return answer.Plaintext, nil
}

func (k *awsKey) do(operation string, body map[string]any, associatedData []byte, answer any) error {
	what := strings.ToLower(operation) + " with AWS KMS"
	body["KeyId"] = k.arn
	if len(associatedData) > 0 { // as Tink has it
		body["EncryptionContext"] = map[string]string{"associatedData": hex.EncodeToString(associatedData)}
	}
	c, err := k.credentials.current()
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	r, text, err := post(strings.TrimSuffix(k.endpoint, "/")+"/", body)
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/x-amz-json-1.1")
	r.Header.Set("X-Amz-Target", "TrentService."+operation)
	c.sign(r, text, k.region, k.now())
	return do(k.client, r, what, answer)
}
