package connectors

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"io"
	"maps"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/domain"
)

// A vendor is how an API, by its public documentation, is called.
type vendor struct {
	call   want
	token  want   // of the request for a token; without a path there is none
	answer string // of the token endpoint. Default: a bearer token
	body   string // of the call, in JSON. Default: a GET
	mutual bool   // TLS with a client certificate
	check  func(t *testing.T, r arrived)
}

// want is what a request must have. A value "*" is any text but none.
type want struct {
	method string // default: GET for a call, POST for a token
	path   string // of the token endpoint, with its host
	header map[string]string
	basic  string            // user name and password, decoded
	query  map[string]string // all of it, beside the x=1 of a call
	form   map[string]string // all of it
	json   map[string]string // all of it
	jwt    *jwtWant
}

// jwtWant is what a JWT must have, and where it is: in the form by in, else in the
// Authorization header after a scheme.
type jwtWant struct {
	in, scheme string
	algorithm  jose.SignatureAlgorithm
	kid        string // "*": any; "": none
	x5t        bool
	claims     map[string]any // beside iat, exp and jti
	longest    time.Duration  // from iat to exp
}

// arrived is a request that an imitation got.
type arrived struct {
	method, host, path, target string
	header                     http.Header
	query                      url.Values
	rawQuery, body             string
	tls                        *tls.ConnectionState
}

const vendorToken = "token-that-was-issued"

// imitation is the server of all vendors: the first segment of a path is the host.
type imitation struct {
	vendor vendor
	mu     sync.Mutex
	calls  []arrived
	tokens []arrived
}

func (i *imitation) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	host, path, _ := strings.Cut(strings.TrimPrefix(r.URL.EscapedPath(), "/"), "/")
	got := arrived{r.Method, host, "/" + path, r.RequestURI, r.Header, r.URL.Query(), r.URL.RawQuery, string(body), r.TLS}
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.vendor.token.path != "" && host+got.path == i.vendor.token.path {
		i.tokens = append(i.tokens, got)
		answer := i.vendor.answer
		if answer == "" {
			answer = `{"access_token": "TOKEN", "token_type": "Bearer", "expires_in": 3600}`
		}
		_, _ = io.WriteString(w, strings.ReplaceAll(answer, "TOKEN", vendorToken))
		return
	}
	i.calls = append(i.calls, got)
	if i.vendor.challenge() && r.Header.Get("Authorization") == "" {
		w.Header().Set("WWW-Authenticate", `Digest realm="api", qop="auth", nonce="n-1", algorithm=SHA-256`)
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"headers": r.Header, "query": r.URL.RawQuery, "body": string(body)}) // so that masking is tried too
}

func (v vendor) challenge() bool { return strings.HasPrefix(v.call.header["Authorization"], "~Digest") }

var vendorRow = regexp.MustCompile("(?m)^\\| ([^|]+) \\| `(https://[^`]+)` \\| `(\\{.*\\})` \\|$")

// documented returns the rows of the table in docs/signing-in.md.
func documented(t *testing.T) map[string][2]string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "docs", "signing-in.md"))
	require.NoError(t, err)
	rows := map[string][2]string{}
	for _, m := range vendorRow.FindAllStringSubmatch(string(text), -1) {
		require.NotContains(t, rows, m[1], "twice")
		rows[m[1]] = [2]string{m[2], m[3]}
	}
	return rows
}

func TestEachDocumentedAPIIsCalledAsItsDocumentationHasIt(t *testing.T) {
	all := map[string]vendor{}
	for _, some := range []map[string]vendor{keyVendors, basicVendors, tokenVendors, signedVendors} {
		maps.Copy(all, some)
	}
	rows := documented(t)
	require.Equal(t, slices.Sorted(maps.Keys(rows)), slices.Sorted(maps.Keys(all)), "the table and the imitations")
	require.GreaterOrEqual(t, len(rows), 60)
	for name, row := range rows {
		t.Run(name, func(t *testing.T) { callVendor(t, all[name], row[0], row[1]) })
	}
}

// callVendor creates the integration of a row and calls it.
func callVendor(t *testing.T, v vendor, base, members string) {
	server := &imitation{vendor: v}
	config := Config{AllowLoopback: true}
	upstream := httptest.NewUnstartedServer(server)
	if v.mutual {
		upstream.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert}
		upstream.StartTLS()
		config.CAFile = filepath.Join(t.TempDir(), "roots.pem")
		require.NoError(t, os.WriteFile(config.CAFile, []byte(asPEM("CERTIFICATE", upstream.Certificate().Raw, nil)), 0o600))
	} else {
		upstream.Start()
	}
	t.Cleanup(upstream.Close)
	local := func(address string) string { return upstream.URL + "/" + strings.TrimPrefix(address, "https://") }

	doc := domain.Document{}
	decoder := json.NewDecoder(strings.NewReader(members))
	decoder.UseNumber()
	require.NoError(t, decoder.Decode(&doc))
	auth, _ := doc["auth"].(map[string]any)
	for name, value := range auth {
		text, _ := value.(string)
		switch text {
		case "<RSA KEY>":
			auth[name] = pkcs8(t, rsaKey(t))
		case "<P-256 KEY>":
			auth[name] = pkcs8(t, vendorP256(t))
		case "<CERTIFICATE>":
			auth[name] = vendorCertificate(t)
		}
		if name == "token_url" || name == "exchange_url" {
			auth[name] = local(text)
		}
	}
	method := "GET"
	if v.body != "" {
		method = "POST"
	}
	doc["name"], doc["display_name"], doc["base_url"] = "vendor", "Vendor", local(base)
	doc["endpoints"] = []any{map[string]any{"name": "op", "description": "An operation.", "method": method, "path": "/things?x=1"}}
	d, err := domain.Integration{}.Create("acme", doc, domain.Attempt{At: noon, ID: "a"}, Rules())
	require.NoError(t, err)
	i := domain.Evolve(domain.Integration{}, d.Event)
	secrets := map[string]domain.Secret{}
	for _, s := range d.Seal {
		secrets[s.Ref.ID] = s.Secret
	}
	var params map[string]any
	if v.body != "" {
		require.NoError(t, json.Unmarshal([]byte(v.body), &params))
	}
	result := succeeds(t, registry(t, config), domain.Call{
		Integration: i, Endpoint: i.Endpoints[0], Params: params,
		Keyring: func(_ context.Context, ref domain.SecretRef) (domain.Secret, error) { return secrets[ref.ID], nil },
	})
	shown := asJSON(t, result)
	for id, secret := range secrets {
		if text := secret.Reveal(); len(text) > 3 {
			require.NotContains(t, shown, text, "secret %s", id)
			require.NotContains(t, shown, base64.StdEncoding.EncodeToString([]byte(text)), "secret %s", id)
		}
	}
	require.NotContains(t, shown, vendorToken)

	if v.token.path != "" {
		require.NotEmpty(t, server.tokens, "no token was requested")
		v.token.holds(t, server.tokens[0], "POST", url.Values{})
	}
	last := server.calls[len(server.calls)-1]
	v.call.holds(t, last, method, url.Values{"x": {"1"}})
	if v.check != nil {
		v.check(t, last)
	}
	if auth["client_certificate"] != nil {
		require.Len(t, last.tls.PeerCertificates, 1)
	}
}

// holds compares a request with what it must have.
func (w want) holds(t *testing.T, r arrived, method string, query url.Values) {
	t.Helper()
	if w.method != "" {
		method = w.method
	}
	require.Equal(t, method, r.method)
	header := maps.Clone(w.header)
	if w.basic != "" {
		header = maps.Clone(header)
		if header == nil {
			header = map[string]string{}
		}
		header["Authorization"] = "Basic " + base64.StdEncoding.EncodeToString([]byte(w.basic))
	}
	if w.jwt != nil && w.jwt.in == "" {
		w.jwt.holds(t, strings.TrimPrefix(r.header.Get("Authorization"), w.jwt.scheme+" "))
	} else if header["Authorization"] == "" {
		require.Empty(t, r.header.Get("Authorization"))
	}
	for name, value := range header {
		same(t, value, r.header.Get(name), name)
	}
	for name, value := range w.query {
		query.Set(name, value)
	}
	sameValues(t, query, r.query)
	if w.form != nil {
		require.Equal(t, "application/x-www-form-urlencoded", r.header.Get("Content-Type"))
		form, err := url.ParseQuery(r.body)
		require.NoError(t, err)
		wanted := url.Values{}
		for name, value := range w.form {
			wanted.Set(name, value)
		}
		sameValues(t, wanted, form)
		if w.jwt != nil {
			w.jwt.holds(t, form.Get(w.jwt.in))
		}
	}
	if w.json != nil {
		require.Equal(t, "application/json", r.header.Get("Content-Type"))
		var got map[string]string
		require.NoError(t, json.Unmarshal([]byte(r.body), &got))
		require.Equal(t, w.json, got)
	}
}

func sameValues(t *testing.T, wanted, got url.Values) {
	t.Helper()
	require.Equal(t, slices.Sorted(maps.Keys(wanted)), slices.Sorted(maps.Keys(got)))
	for name := range wanted {
		require.Len(t, got[name], 1)
		same(t, wanted.Get(name), got.Get(name), name)
	}
}

// same compares a text with the one that is wanted: "*" is any but none, and what follows
// "~" is a regular expression.
func same(t *testing.T, wanted, got, name string) {
	t.Helper()
	switch pattern, isPattern := strings.CutPrefix(wanted, "~"); {
	case wanted == "*":
		require.NotEmpty(t, got, name)
	case isPattern:
		require.Regexp(t, "^"+pattern+"$", got, name)
	default:
		require.Equal(t, wanted, got, name)
	}
}

func (w jwtWant) holds(t *testing.T, token string) {
	t.Helper()
	var key any = rsaKey(t).Public()
	switch {
	case w.algorithm == jose.ES256:
		key = vendorP256(t).Public()
	case w.algorithm == jose.HS256 && w.in == "":
		key = []byte{0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff, 0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff}
	case w.algorithm == jose.HS256:
		key = []byte("secret-of-the-health-gorilla-client")
	}
	header, claims := opened(t, token, w.algorithm, key)
	require.Equal(t, "JWT", header.ExtraHeaders["typ"])
	same(t, w.kid, header.KeyID, "kid")
	if w.x5t {
		require.NotEmpty(t, header.ExtraHeaders["x5t#S256"])
	}
	issued, expires := claims["iat"].(float64), claims["exp"].(float64)
	require.Less(t, issued, float64(time.Now().Unix())-1, "it is issued in the past")
	require.Greater(t, expires, float64(time.Now().Unix()))
	if w.longest > 0 {
		require.LessOrEqual(t, expires-issued, w.longest.Seconds())
	}
	require.NotEmpty(t, claims["jti"])
	for _, own := range []string{"iat", "exp", "jti"} {
		delete(claims, own)
	}
	for name, value := range w.claims { // those of this test's own server
		if text, ok := value.(string); ok && strings.HasPrefix(text, "~") {
			require.Regexp(t, "^"+text[1:]+"$", claims[name])
			claims[name] = value
		}
	}
	require.Equal(t, w.claims, claims)
}

var vendorKeys sync.Map

// vendorP256 returns the one P-256 key of this test.
func vendorP256(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, _ := vendorKeys.LoadOrStore("P-256", ecKey(t, elliptic.P256()))
	return key.(*ecdsa.PrivateKey) //nolint:forcetypeassert // it was stored as one
}

// vendorCertificate returns a certificate for the RSA key of this test.
func vendorCertificate(t *testing.T) string {
	t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "clinic"}, NotBefore: noon.AddDate(-1, 0, 0), NotAfter: noon.AddDate(9, 0, 0)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, rsaKey(t).Public(), rsaKey(t))
	return asPEM("CERTIFICATE", der, err)
}
