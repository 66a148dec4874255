package signin

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/domain"
)

func requestTo(t *testing.T, method, url, media, body string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	require.NoError(t, err)
	if media != "" {
		r.Header.Set("Content-Type", media)
	}
	return r
}

// The first is get-vanilla of the test suite of AWS; botocore 1.43.11 signs all of them
// like this.
func TestSigV4SignsAsAWSDoes(t *testing.T) {
	at := time.Date(2015, 8, 30, 12, 36, 0, 0, time.UTC)
	for _, row := range []struct{ method, url, service, session, media, body, signed, signature string }{
		{"GET", "https://example.amazonaws.com/", "service", "", "", "", "host;x-amz-date", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
		{"GET", "https://example.amazonaws.com/a%20b/c?b=2&a=%C3%A9+x&a=1", "service", "", "", "", "host;x-amz-date", "3acb1a130e8e6a9415549003922bf2996cce192b9fa33d206582af9a538fab27"},
		{"POST", "https://example.amazonaws.com/things", "service", "SESSIONTOKEN", "application/json", `{"a":1}`, "content-type;host;x-amz-date;x-amz-security-token", "04bf769e558481429acb4b55f972e8028f2b7486530f270d05bb68907312c717"},
		{"GET", "https://bucket.s3.us-east-1.amazonaws.com/a%20b/c?list-type=2", "s3", "", "", "", "host;x-amz-content-sha256;x-amz-date", "e5a5a27ec84c9ef1602cc544e0e59d4cec0a44c04b76e4133c3fa66810b12756"},
	} {
		r := requestTo(t, row.method, row.url, row.media, row.body)
		sigV4{"AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", row.session, "us-east-1", row.service}.sign(r, []byte(row.body), at)
		require.Equal(t, "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/"+row.service+"/aws4_request, SignedHeaders="+row.signed+
			", Signature="+row.signature, r.Header.Get("Authorization"), row.url)
		require.Equal(t, "20150830T123600Z", r.Header.Get("X-Amz-Date"))
		require.Equal(t, row.session, r.Header.Get("X-Amz-Security-Token"))
	}
}

// The signature of the photos is that of RFC 5849, 1.2; the others are those of oauthlib.
func TestOAuth1SignsAsItsSpecificationDoes(t *testing.T) {
	photos := oauth1{consumerSecret: "kd94hf93k423kf44", tokenSecret: "pfkkdhi9sl3r4s00", method: "HMAC-SHA1"}
	base := baseString(requestTo(t, "GET", "http://photos.example.net/photos?file=vacation.jpg&size=original", "", ""), nil, map[string]string{
		"oauth_consumer_key": "dpf43f3p2l4k3l03", "oauth_token": "nnch734d00sl2jdk", "oauth_signature_method": "HMAC-SHA1",
		"oauth_timestamp": "137131202", "oauth_nonce": "chapoH",
	})
	require.Equal(t, "MdpQcU8iPSUjWoN%2FUDMsK2sui9I%3D", escape(photos.signature(base)))
	for method, signature := range map[string]string{
		"HMAC-SHA1":   "WhhWHaB7TJZ6Uvlcwa9nu4cmW1E%3D",
		"HMAC-SHA256": "1Vn%2FRWi7O%2BNLP331yN1HHM0LWZ1yXwe%2B5n3xA6G6eps%3D",
		"HMAC-SHA512": "iWSp9F6s3mOVpH3%2B%2FBdp3VieT%2B9gEyfYJFOeMckVt4%2FVW07%2BjWgzN6DU6k1Q%2BombF%2FUrhXlEvExPRQLQe7p%2BqA%3D%3D",
		"PLAINTEXT":   "sec%2526ret%26tok%2520sec",
	} {
		const body = "c=3&d=4+5"
		r := requestTo(t, "POST", "http://api.example.com:80/a%20b?x=1&y=a+b&x=%C3%A9", "application/x-www-form-urlencoded", body)
		oauth1{"key é", "sec&ret", "tok", "tok sec", method, "r1"}.sign(r, []byte(body), "abc123", time.Unix(1700000000, 0))
		header := r.Header.Get("Authorization")
		require.True(t, strings.HasPrefix(header, `OAuth realm="r1", `), header)
		require.Contains(t, header, `oauth_signature="`+signature+`"`, method)
		require.Contains(t, header, `oauth_consumer_key="key%20%C3%A9"`)
	}
}

// The answers are those of RFC 7616, 3.9.1, and RFC 2069 as its errata correct it.
func TestADigestIsThatOfItsSpecification(t *testing.T) {
	const realm, nonce = `realm="http-auth@example.org", qop="auth, auth-int", `, `nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"`
	md5, sha := "Digest "+realm+"algorithm=MD5, "+nonce, "Digest "+realm+"algorithm=SHA-256, "+nonce
	const cnonce = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"
	for _, row := range []struct {
		headers  []string
		response string
	}{
		{[]string{md5}, "8ca523f5e9506fed4657c9700eebdbec"},
		{[]string{md5, sha}, "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"},
		{[]string{`Basic realm="x", ` + sha + `, ` + md5}, "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"},
	} {
		c := readChallenge(row.headers)
		require.NotNil(t, c)
		header := c.answer("Mufasa", "Circle of Life", "GET", "/dir/index.html", cnonce)
		require.Contains(t, header, `response="`+row.response+`"`)
		require.Contains(t, header, "nc=00000001")
		require.Contains(t, c.answer("Mufasa", "Circle of Life", "GET", "/dir/index.html", cnonce), "nc=00000002")
	}
	old := readChallenge([]string{`Digest realm="testrealm@host.com", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", opaque="5ccc069c403ebaf9f0171e9517f40e41"`})
	require.Contains(t, old.answer("Mufasa", "CircleOfLife", "GET", "/dir/index.html", cnonce), `response="1949323746fe6a43ef61f9606e7febea"`)
	for _, none := range []string{"", "Basic realm=x", `Digest realm="a", nonce="b", qop="auth-int"`, `Digest realm="a", nonce="b", algorithm=SHA3`, `Digest realm="a`, `Digest ="`, ",,,="} {
		require.Nil(t, readChallenge([]string{none}), none)
	}
}

// The keys, the request and the signatures are those of RFC 9421, appendix B.
func TestAMessageSignatureIsThatOfItsSpecification(t *testing.T) {
	const body = `{"hello": "world"}`
	at := time.Unix(1618884473, 0)
	sent := func() *http.Request {
		r := requestTo(t, "POST", "https://example.com/foo?param=Value&Pet=dog", "application/json", body)
		r.Header.Set("Date", "Tue, 20 Apr 2021 02:07:55 GMT")
		r.Header.Set("Content-Length", "18")
		return r
	}
	shared, err := domain.DecodeSecret("base64", "uzvJfB4u3N0Jy4T7NZ75MDVcr8zSTInedJtkgcu46YW4XByzNJjxBdtjUkdJPBtbmHhIDi6pcl8jsasjlTMtDQ==")
	require.NoError(t, err)
	r := sent()
	m := messageSigner{shared: shared, shape: domain.Signature{Algorithm: "hmac-sha256", KeyID: "test-shared-secret", Label: "sig-b25", Components: []string{"date", "@authority", "content-type"}}}
	require.Nil(t, m.sign(r, []byte(body), at))
	require.Equal(t, `sig-b25=("date" "@authority" "content-type");created=1618884473;keyid="test-shared-secret"`, r.Header.Get("Signature-Input"))
	require.Equal(t, `sig-b25=:pxcQw6G3AjtMBQjwo8XzkZf/bws5LelbaMk5rGIGtE8=:`, r.Header.Get("Signature"))

	key, err := domain.ReadSigningKey("EdDSA", "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ+DYvh6SEqVTm50DFtMDoQikTmiCqirVv9mWG9qfSnF\n-----END PRIVATE KEY-----\n")
	require.NoError(t, err)
	r = sent()
	m = messageSigner{key: key, shape: domain.Signature{Algorithm: "ed25519", KeyID: "test-key-ed25519", Label: "sig-b26", Components: []string{"date", "@method", "@path", "@authority", "content-type", "content-length"}}}
	require.Nil(t, m.sign(r, []byte(body), at))
	require.Equal(t, `sig-b26=:wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw==:`, r.Header.Get("Signature"))

	r = sent()
	m.shape.Components = []string{"content-digest", "@target-uri", "@query", "@scheme"}
	require.Nil(t, m.sign(r, []byte(body), at))
	require.Equal(t, "sha-256=:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=:", r.Header.Get("Content-Digest"))
	m.shape.Components = []string{"x-absent"}
	require.NotNil(t, m.sign(sent(), nil, at))
}

func FuzzAChallengeIsReadOrRefused(f *testing.F) {
	for _, header := range []string{`Digest realm="a", nonce="b", qop="auth", algorithm=SHA-256-sess`, `Basic realm=x, Digest nonce=`, `=,"`, `Digest a="\`} {
		f.Add(header)
	}
	f.Fuzz(func(t *testing.T, header string) {
		if c := readChallenge([]string{header}); c != nil && !strings.HasPrefix(c.answer("u", "p", "GET", "/", "n"), "Digest ") {
			t.Error("it has no answer")
		}
	})
}
