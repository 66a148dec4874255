package connectors

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"
)

// hmac256 returns an HMAC-SHA256.
func hmac256(key, text string) []byte {
	m := hmac.New(sha256.New, []byte(key))
	_, _ = m.Write([]byte(text))
	return m.Sum(nil)
}

func decode64(text string) string {
	data, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		panic(err)
	}
	return string(data)
}

const aws = "~AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/[0-9]{8}/eu-central-1/"

// signedVendors verify a signature of each request.
var signedVendors = map[string]vendor{
	"App Store Connect": {call: want{jwt: &jwtWant{
		scheme: "Bearer", algorithm: jose.ES256, kid: "KEY1", longest: 20 * time.Minute, claims: map[string]any{"iss": "issuer-of-apple", "aud": "appstoreconnect-v1"},
	}}},
	"GitHub App": {call: want{
		header: fields{"Accept": "application/vnd.github+json"},
		jwt:    &jwtWant{scheme: "Bearer", algorithm: jose.RS256, kid: "*", longest: 10 * time.Minute, claims: map[string]any{"iss": "123456"}},
	}},
	"Ghost, Admin API": {call: want{
		header: fields{"Accept-Version": "v5.0"},
		jwt:    &jwtWant{scheme: "Ghost", algorithm: jose.HS256, kid: "key-of-ghost", longest: 5 * time.Minute, claims: map[string]any{"aud": "/admin/"}},
	}},
	"Snowflake": {call: want{
		header: fields{"X-Snowflake-Authorization-Token-Type": "KEYPAIR_JWT"},
		jwt: &jwtWant{
			scheme: "Bearer", algorithm: jose.RS256, kid: "*", longest: time.Hour,
			claims: map[string]any{"iss": "ACCOUNT.USER.SHA256:fingerprint", "sub": "ACCOUNT.USER"},
		},
	}},
	"Amazon DynamoDB": {body: `{"Limit": 1}`, call: want{header: fields{
		"X-Amz-Date": "~[0-9]{8}T[0-9]{6}Z", "X-Amz-Target": "DynamoDB_20120810.ListTables",
		"Authorization": aws + "dynamodb/aws4_request, SignedHeaders=content-type;host;x-amz-date;x-amz-target, Signature=[0-9a-f]{64}",
	}}},
	"Amazon S3": {call: want{header: fields{
		"X-Amz-Date": "~[0-9]{8}T[0-9]{6}Z", "X-Amz-Security-Token": "session-token-of-aws",
		"X-Amz-Content-Sha256": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
		"Authorization":        aws + "s3/aws4_request, SignedHeaders=host;x-amz-content-sha256;x-amz-date;x-amz-security-token, Signature=[0-9a-f]{64}",
	}}},
	"NetSuite, token based": {call: want{header: fields{
		"Authorization": `~OAuth realm="1234567", oauth_consumer_key="consumer-key", oauth_nonce="[^"]+", oauth_signature="[^"]+", oauth_signature_method="HMAC-SHA256", oauth_timestamp="[0-9]+", oauth_token="token-id", oauth_version="1.0"`,
	}}},
	"X (Twitter), user context": {call: want{header: fields{
		"Authorization": `~OAuth oauth_consumer_key="consumer-key", oauth_nonce="[^"]+", oauth_signature="[^"]+", oauth_signature_method="HMAC-SHA1", oauth_timestamp="[0-9]+", oauth_token="token-id", oauth_version="1.0"`,
	}}},
	"MongoDB Atlas": {call: want{header: fields{
		"Authorization": `~Digest username="public-key", realm="api", nonce="n-1", uri="[^"]+x=1", algorithm=SHA-256, qop=auth, nc=00000001, cnonce="[^"]+", response="[0-9a-f]{64}"`,
		"Accept":        "application/vnd.atlas.2024-08-05+json",
	}}},
	"Axis cameras": {call: want{header: fields{
		"Authorization": `~Digest username="root", realm="api", nonce="n-1", uri="[^"]+x=1", algorithm=SHA-256, qop=auth, nc=00000001, cnonce="[^"]+", response="[0-9a-f]{64}"`,
	}}},
	"Binance": {
		call: want{header: fields{"X-MBX-APIKEY": "key-of-binance"}, query: fields{"timestamp": "*", "signature": "*"}},
		check: func(t *testing.T, r arrived) {
			signed := "x=1&timestamp=" + r.query.Get("timestamp")
			require.Equal(t, signed+"&signature="+hex.EncodeToString(hmac256("secret-of-binance", signed)), r.rawQuery)
			require.Len(t, r.query.Get("timestamp"), 13)
		},
	},
	"Bybit": {
		call: want{header: fields{"X-BAPI-API-KEY": "key-of-bybit", "X-BAPI-TIMESTAMP": "~[0-9]{13}", "X-BAPI-RECV-WINDOW": "5000", "X-BAPI-SIGN": "*"}},
		check: func(t *testing.T, r arrived) {
			signed := r.header.Get("X-BAPI-TIMESTAMP") + "key-of-bybit5000x=1"
			require.Equal(t, hex.EncodeToString(hmac256("secret-of-bybit", signed)), r.header.Get("X-BAPI-SIGN"))
		},
	},
	"Coinbase Exchange": {
		body: `{"size": "1"}`,
		call: want{header: fields{
			"CB-ACCESS-KEY": "key-of-coinbase", "CB-ACCESS-SIGN": "*", "CB-ACCESS-TIMESTAMP": "~[0-9]{10}", "CB-ACCESS-PASSPHRASE": "passphrase-of-coinbase",
		}},
		check: func(t *testing.T, r arrived) {
			signed := r.header.Get("CB-ACCESS-TIMESTAMP") + "POST" + r.target + r.body
			require.Equal(t, base64.StdEncoding.EncodeToString(hmac256(decode64("c2VjcmV0LW9mLWNvaW5iYXNlLTAx"), signed)), r.header.Get("CB-ACCESS-SIGN"))
		},
	},
	"OKX": {
		call: want{header: fields{
			"OK-ACCESS-KEY": "key-of-okx", "OK-ACCESS-SIGN": "*", "OK-ACCESS-TIMESTAMP": `~[0-9-]{10}T[0-9:]{8}\.[0-9]{3}Z`, "OK-ACCESS-PASSPHRASE": "passphrase-of-okx",
		}},
		check: func(t *testing.T, r arrived) {
			signed := r.header.Get("OK-ACCESS-TIMESTAMP") + "GET" + r.target
			require.Equal(t, base64.StdEncoding.EncodeToString(hmac256("secret-of-okx-01", signed)), r.header.Get("OK-ACCESS-SIGN"))
		},
	},
}
