package connectors

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"github.com/seed677028b5/integrations/connectors/egress"
	"github.com/seed677028b5/integrations/connectors/scrub"
	"github.com/seed677028b5/integrations/domain"
)

// A caller who chooses a text, or computes, must not see whether it met a secret.

func TestADryRunAnswersAGuessAsAnyOtherValue(t *testing.T) {
	const secret = "4711-secret"
	guess := func(value string) domain.CallRequest {
		c := signedBy(calling("http://127.0.0.1:1", map[string]any{"q": value, "id": value}, func(e *domain.Endpoint) {
			e.Method, e.Path, e.Headers = "POST", "/{id}", map[string]string{"X-Guess": value}
		}), domain.Auth{Type: domain.BearerToken}, secret)
		c.DryRun = true
		return succeeds(t, onLoopback(t), c).Request
	}
	right, wrong := asJSON(t, guess(secret)), asJSON(t, guess("4711-sacred"))
	if got := strings.ReplaceAll(right, secret, "4711-sacred"); got != wrong {
		t.Errorf("the right guess is shown as %s, a wrong one as %s", right, wrong)
	}
}

func TestWhatAPipelineMakesOfItsOwnTextsDoesNotRevealTheSecret(t *testing.T) {
	const secret = "4711-secret"
	base := answers(t, 200, `{"a": {"b": 1}}`)
	shape := func(guess string) string {
		c := signedBy(calling(base, nil, func(e *domain.Endpoint) {
			e.ResponseFilter = []string{"a", "'" + guess + "'"}
			e.ResponseMapping = map[string]string{guess: "'" + guess + "'", "joined": "join('-', split('-', '" + guess + "'))"}
			e.ResultTemplate = guess + " {{ joined }}"
		}), domain.Auth{Type: domain.BearerToken}, secret)
		got := succeeds(t, onLoopback(t), c)
		return asJSON(t, []any{got.AfterFilter, got.AfterMapping, got.FinalResult})
	}
	if right := strings.ReplaceAll(shape(secret), secret, "4711-sacred"); right != shape("4711-sacred") {
		t.Errorf("a right guess is answered with %s", right)
	}
	stumbles := func(guess string) string {
		c := signedBy(calling(base, nil, func(e *domain.Endpoint) { e.ResponseMapping = map[string]string{guess: "length(a.b)"} }), domain.Auth{Type: domain.BearerToken}, secret)
		return failsWith(t, onLoopback(t), c, domain.CallUpstreamError).Error
	}
	if right := strings.ReplaceAll(stumbles(secret), secret, "4711-sacred"); right != stumbles("4711-sacred") {
		t.Errorf("a right guess is answered with %s", right)
	}
}

func TestASentenceOfOursDoesNotRevealTheSecret(t *testing.T) {
	const secret = "tok4711"
	probe := func(host string) string {
		c := signedBy(calling("http://"+host+".invalid", nil, nil), domain.Auth{Type: domain.BearerToken}, secret)
		c.Integration.BaseURL = "http://" + host + ".invalid"
		return onLoopback(t).Probe(t.Context(), c.Integration, c.Keyring).Message
	}
	if right := probe(secret); strings.Contains(right, scrub.Mask) || right != probe("tok4712") {
		t.Errorf("a right guess is answered with %q", right)
	}
	c := signedBy(calling("http://127.0.0.1:1", nil, func(e *domain.Endpoint) { e.Headers = map[string]string{"X-" + secret: "\n"} }), domain.Auth{Type: domain.BearerToken}, secret)
	if got := failsWith(t, onLoopback(t), c, domain.CallMisconfigured).Error; !strings.Contains(got, "X-Tok4711") {
		t.Errorf("got %q", got)
	}
}

func TestACutShowsNothingOfWhatMayBeginASecret(t *testing.T) {
	shown := func(end string) string {
		c := signedBy(calling(answers(t, 200, strings.Repeat("x", egress.MaxBody-len(end))+end+"more"), nil, nil), domain.Auth{Type: domain.BearerToken}, canary)
		return failsWith(t, onLoopback(t), c, domain.CallResponseTooLarge).RawResponse.(string)
	}
	whole := shown("")
	if len(whole) < egress.MaxBody/2 || len(whole) > egress.MaxBody-len(canary) {
		t.Fatalf("%d bytes are shown", len(whole))
	}
	for _, n := range []int{1, 3, 4, 5, len(canary) / 2, len(canary) - 1, len(canary)} {
		if got := shown(canary[:n]); got != whole {
			t.Errorf("the first %d bytes of the secret at the cut are shown as …%q", n, got[max(0, len(got)-40):])
		}
	}
}

func TestATokenIsTakenFromAPathAndNothingElse(t *testing.T) {
	base, last := recorder(t)
	from := issues(t, func(int) string { return `{"token": "token-of-22-characters", "n": 100}` })
	for _, a := range []domain.Auth{
		{Type: domain.JSONTokenExchange, TokenURL: from.url, ClientID: "app", TokenRequestClientIDField: "i", TokenRequestClientSecretField: "s", TokenResponsePath: "join('', [token])"},
		{Type: domain.BearerTokenExchange, ExchangeURL: from.url, ExchangeSecretHeader: "X-Key", ExchangeSecretFormat: "{secret}", ExchangeTokenField: "token[0:1]"},
		{
			Type: domain.BearerTokenExchange, ExchangeURL: from.url, ExchangeSecretHeader: "X-Key", ExchangeSecretFormat: "{secret}",
			ExchangeTokenField: "token", ExchangeExpiresInField: "find_first('abcdefghijklmnopqrstuvwxyz', token[0:1]) + `100`",
		},
	} {
		got := failsWith(t, onLoopback(t), byToken(calling(base, nil, nil), a, canary), domain.CallMisconfigured)
		if !strings.Contains(got.Error, "it must be a path of members and indexes") || strings.Contains(got.Error, "token[0:1]") {
			t.Errorf("got %s", got.Error)
		}
	}
	plain := domain.Auth{Type: domain.BearerTokenExchange, ExchangeURL: from.url, ExchangeSecretHeader: "X-Key", ExchangeSecretFormat: "{secret}", ExchangeTokenField: "token"}
	succeeds(t, onLoopback(t), byToken(calling(base, nil, nil), plain, canary))
	if got := last().Header.Get("Authorization"); got != "Bearer token-of-22-characters" {
		t.Errorf("the upstream got %s", got)
	}
}

func TestNothingOfTheRequestForATokenIsTakenForOne(t *testing.T) {
	base := startUpstream(t, func(http.ResponseWriter, *http.Request) { t.Error("the upstream was called") })
	repeats := startUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		var asked any
		_ = json.Unmarshal(body, &asked)
		form, _ := url.ParseQuery(string(body))
		sent, _ := json.Marshal(map[string]any{
			"asked": asked, "body": string(body), "key": r.Header.Get("X-Key"), "user": r.Header.Get("X-User"), "access_token": form.Get("client_secret"),
			"basic": r.Header.Get("Authorization"), "turned": html.EscapeString(r.Header.Get("X-Key")),
		})
		_, _ = w.Write(sent)
	})
	inJSON := func(path string) domain.Auth {
		return domain.Auth{Type: domain.JSONTokenExchange, TokenURL: repeats, ClientID: "the-app", TokenRequestClientIDField: "i", TokenRequestClientSecretField: "s", TokenResponsePath: path}
	}
	inHeader := func(path string) domain.Auth {
		a := exchange(repeats)
		a.ExchangeSecretHeader, a.ExchangeSecretFormat, a.ExchangeTokenField = "X-Key", "Key {secret}", path
		a.ExchangeParamHeaders = []domain.ExchangeParamHeader{{HeaderName: "X-User", ParamName: "user"}}
		return a
	}
	inForm := clientCredentials(repeats)
	inForm.ClientAuthMethod = "body"
	for n, a := range []domain.Auth{inJSON("asked.s"), inJSON("asked.i"), inJSON("body"), inHeader("key"), inHeader("user"), inHeader("turned"), inForm} {
		c := byToken(calling(base, map[string]any{"user": "amy-1"}, nil), a, "s3cr3t&4711")
		if got := failsWith(t, onLoopback(t), c, domain.CallMisconfigured).Error; !strings.Contains(got, "part of the request") {
			t.Errorf("%d: got %s", n, got)
		}
	}
}

func TestEverySecretOfTheIntegrationIsScrubbedNotOnlyTheOneThatIsSent(t *testing.T) {
	const others = "other-secret-1 other-secret-2"
	log := startUpstream(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"log": "`+others+` token-1"}`)
	})
	from := issues(t, nil)
	ref := func(id string) domain.SecretRef {
		return domain.SecretRef{ID: id, Destinations: []string{domain.Origin(log) + " place"}}
	}
	values := map[string]string{"own": "own-secret", "one": "other-secret-1", "two": "other-secret-2", "minting": "client-secret"}
	opened := func(_ context.Context, ref domain.SecretRef) (domain.Secret, error) {
		if ref.ID == "gone" {
			return domain.Secret{}, domain.Errorf(domain.Invalid, "secret_missing", "it is not there")
		}
		return domain.NewSecret(values[ref.ID]), nil
	}
	auth := func(a domain.Auth, id string) *domain.Auth {
		a.Secrets = map[string]domain.SecretRef{a.SecretField(): ref(id)}
		return &a
	}
	minting := auth(clientCredentials(from.url), "minting")
	minting.Secrets["client_secret_value"] = domain.SecretRef{ID: "minting", Destinations: []string{domain.Origin(log) + " token", domain.Origin(from.url) + " place"}}
	c := calling(log, nil, func(e *domain.Endpoint) { e.Name, e.Auth = "minted", minting })
	c.Keyring = opened
	c.Integration.Auth = auth(domain.Auth{Type: domain.BearerToken}, "own")
	c.Integration.Endpoints = []domain.Endpoint{
		c.Endpoint,
		{Name: "one", Auth: auth(domain.Auth{Type: domain.BearerToken}, "one")},
		{Name: "two", Auth: auth(domain.Auth{Type: domain.APIKeyHeader, HeaderName: "X-Key"}, "two")},
		{Name: "gone", Auth: auth(domain.Auth{Type: domain.BearerToken}, "gone")},
	}
	r := onLoopback(t)
	for _, own := range []*domain.Auth{minting, c.Integration.Auth} { // the second time with a token that another call carried
		c.Endpoint.Auth = own
		got := succeeds(t, r, c)
		if want := `{"log":"` + scrub.Mask + " " + scrub.Mask + " " + scrub.Mask + `"}`; got.FinalResult != want {
			t.Errorf("got %s, want %s", got.FinalResult, want)
		}
	}
	c.Keyring = func(ctx context.Context, ref domain.SecretRef) (domain.Secret, error) {
		if ref.ID == "two" {
			return domain.Secret{}, fmt.Errorf("the vault is away")
		}
		return opened(ctx, ref)
	}
	failsWith(t, r, c, domain.CallMisconfigured)
	c.Integration.Auth, c.Endpoint.Auth, c.Keyring = nil, nil, opened
	if got := succeeds(t, r, c).FinalResult; strings.Contains(got, "other") {
		t.Errorf("a call without credentials shows %s", got)
	}
}

func TestASecretIsNotLookedForWhereItNeverGoes(t *testing.T) {
	const guesses = "other-secret-1 other-secret-2"
	theirs := startUpstream(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(guesses)) })
	c := signedBy(calling(strings.Replace(theirs, "127.0.0.1", "localhost", 1), nil, nil), domain.Auth{Type: domain.BearerToken}, "own-secret")
	c.Integration.Endpoints = []domain.Endpoint{{Name: "elsewhere", Auth: &domain.Auth{Type: domain.BearerToken, Secrets: map[string]domain.SecretRef{
		"bearer_token_value": {ID: "elsewhere", Destinations: []string{"https://api.example.com header Authorization"}},
	}}}}
	c.Keyring = func(_ context.Context, ref domain.SecretRef) (domain.Secret, error) {
		return domain.NewSecret(map[string]string{"s1": "own-secret", "elsewhere": "other-secret-1"}[ref.ID]), nil
	}
	if got := succeeds(t, onLoopback(t), c).FinalResult; got != guesses {
		t.Errorf("who runs a server sees which guess is a secret of another: %s", got)
	}
}

func TestHowWellAnAnswerPacksDoesNotRevealTheSecret(t *testing.T) {
	const secret = "471123"
	packs := func(media string, within bool) string {
		return startUpstream(t, func(w http.ResponseWriter, r *http.Request) {
			var packed bytes.Buffer
			z := gzip.NewWriter(&packed)
			_, _ = io.WriteString(z, `{"sent": "`+r.Header.Get("Authorization")+`", "asked": "`+r.URL.Query().Get("q")+`"}`)
			_ = z.Close()
			if within {
				w.Header().Set("Content-Encoding", "gzip")
			}
			w.Header().Set("Content-Type", media)
			_, _ = w.Write(packed.Bytes())
		})
	}
	for _, base := range []string{packs("application/json", true), packs("application/gzip", false)} {
		shown := func(guess string) string {
			got := succeeds(t, onLoopback(t), signedBy(calling(base, map[string]any{"q": guess}, func(e *domain.Endpoint) { e.Method = "GET" }), domain.Auth{Type: domain.BearerToken}, secret))
			got.ResponseHeaders.Del("Date")
			return strings.NewReplacer(guess, "guess", scrub.Mask, "guess").Replace(asJSON(t, []any{got.ResponseHeaders, got.RawResponse, got.FinalResult})) + " " + strconv.Itoa(got.ResponseBytes)
		}
		if right, wrong := shown("Bearer 471123"), shown("Bearer 471129"); strings.ReplaceAll(right, "Bearer ", "") != strings.ReplaceAll(wrong, "Bearer ", "") {
			t.Errorf("the right guess shows %s, a wrong one %s", right, wrong)
		}
	}
}

func TestAHashOfAnAnswerWithTheSecretIsNotShown(t *testing.T) {
	body := ""
	base := startUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		for _, name := range []string{"ETag", "Content-MD5", "Digest", "Repr-Digest", "X-Amz-Checksum-Sha256"} {
			w.Header().Set(name, `"hash of the whole body"`)
		}
		_, _ = io.WriteString(w, body+r.Header.Get("Authorization"))
	})
	for _, tt := range []struct {
		body   string
		secret bool
	}{{"whole ", true}, {strings.Repeat("x", egress.MaxBody), true}, {"whole ", false}} {
		body = tt.body
		c := calling(base, nil, nil)
		if tt.secret {
			c = signedBy(c, domain.Auth{Type: domain.BearerToken}, canary)
		}
		got, err := onLoopback(t).Call(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		if shown := strings.Contains(asJSON(t, got.ResponseHeaders), "hash of the whole"); shown == tt.secret {
			t.Errorf("with the secret in it: %v, its hash is shown: %v", tt.secret, shown)
		}
	}
}

func TestASignatureIsMaskedInThePartsThatAnUpstreamReadOfARequest(t *testing.T) {
	base := startUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/digest" && r.Header.Get("Authorization") == "" {
			w.Header().Set("WWW-Authenticate", `Digest realm="r", nonce="n", qop="auth", algorithm=SHA-256`)
			w.WriteHeader(401)
			return
		}
		var parts []string
		for _, name := range []string{"Authorization", "Signature"} {
			parts = append(parts, strings.FieldsFunc(r.Header.Get(name), func(c rune) bool { return strings.ContainsRune(` ,"=:.`, c) })...)
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"last": parts[len(parts)-1], "all": parts})
	})
	for path, a := range map[string]domain.Auth{
		"/sigv4":  {Type: domain.AWSSigV4, AccessKeyID: "AK", Region: "r", Service: "s"},
		"/oauth1": {Type: domain.OAuth1, ConsumerKey: "ck", SignatureMethod: "HMAC-SHA256"},
		"/digest": {Type: domain.Digest, Username: "amy"},
		"/9421":   {Type: domain.HMAC, Signature: &domain.Signature{Algorithm: "hmac-sha256", Components: []string{"@method"}}},
		"/jwt":    {Type: domain.SignedJWT, AssertionIssuer: "i", AssertionAlgorithm: "HS256"},
	} {
		got := succeeds(t, onLoopback(t), signedBy(calling(base, nil, func(e *domain.Endpoint) { e.Method, e.Path = "GET", path }), a, "471123"))
		shown := got.RawResponse.(map[string]any)
		long := 0
		for _, part := range shown["all"].([]any) {
			if text := part.(string); len(text) > 40 && !strings.HasPrefix(text, "eyJ") && !strings.Contains(text, "aws4_request") {
				long++
			}
		}
		if long > 0 || !strings.Contains(asJSON(t, shown), scrub.Mask) {
			t.Errorf("%s: got %s", path, asJSON(t, shown))
		}
	}
}
