package console

import (
	"crypto/sha256"
	"encoding/hex"
	"io/fs"
	"log/slog"
	"math"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/access"
	"github.com/seed677028b5/integrations/internal/natstest"
)

var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// open returns a console on an API that has nothing; the pages of a whole service are tested with
// a browser, in cmd/integrations.
func open(t *testing.T, publicURL string, clock *time.Time) *Console {
	t.Helper()
	at := func() time.Time { return *clock }
	sessions, err := access.OpenSessions(t.Context(), natstest.Connect(t), 1, ValidFor, at, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	c, err := New(Config{API: http.NotFoundHandler(), Key: make([]byte, 32), PublicURL: publicURL, Sessions: sessions, Now: at, Log: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	return c
}

func TestASessionEndsWhenItIsIdleAndAfterADay(t *testing.T) {
	t.Parallel()
	clock := now
	c := open(t, "https://integrations.example.com", &clock)
	w := httptest.NewRecorder()
	c.signIn(w, "itk_secret", "key", time.Time{})
	cookie := w.Result().Cookies()[0]
	require.Equal(t, "__Host-console", cookie.Name)
	require.True(t, cookie.Secure)
	require.NotContains(t, cookie.Value, "itk_secret")
	r := httptest.NewRequest(http.MethodGet, "/console/", nil)
	r.AddCookie(cookie)
	valid := func(after time.Duration) bool {
		clock = now.Add(after)
		s, ok := c.session(r)
		require.True(t, !ok || s.Key == "itk_secret")
		return ok
	}
	require.True(t, valid(idleFor-time.Second))
	require.False(t, valid(idleFor), "it was not used")
	clock = now
	s, ok := c.session(r)
	require.True(t, ok)
	s.Seen = now.Add(ValidFor)
	w = httptest.NewRecorder()
	c.keep(w, s)
	r = httptest.NewRequest(http.MethodGet, "/console/", nil)
	r.AddCookie(w.Result().Cookies()[0])
	require.True(t, valid(ValidFor-time.Second))
	require.False(t, valid(ValidFor), "however much it is used")

	other, err := newSeal([]byte(strings.Repeat("k", 32)))
	require.NoError(t, err)
	c.seal, clock = other, now
	_, ok = c.session(r)
	require.False(t, ok, "another key sealed it")
}

func TestDraftsTakeBoundedMemoryAndBelongToTheirKey(t *testing.T) {
	t.Parallel()
	d := &drafts{}
	first := d.add(&draft{By: "a", Begun: now, Document: strings.Repeat("x", 1000)})
	_, ok := d.get(first, "b", now)
	require.False(t, ok)
	_, ok = d.get(first, "a", now.Add(draftFor+time.Second))
	require.False(t, ok)
	_, ok = d.get(first, "a", now)
	require.True(t, ok)
	for range 20 {
		d.add(&draft{By: "a", Begun: now.Add(time.Second), Document: strings.Repeat("x", 10<<20)})
	}
	total := int64(0)
	for _, one := range d.all {
		total += one.size.Load()
	}
	require.LessOrEqual(t, total, int64(maxDraftBytes))
	_, ok = d.get(first, "a", now)
	require.False(t, ok, "the oldest goes first")
}

func TestALinkLeadsNowhereElse(t *testing.T) {
	t.Parallel()
	for to, want := range map[string]string{
		"/console/acme/calls?outcome=ok": "/console/acme/calls?outcome=ok", "": "/console/", "https://evil.example/console/": "/console/", "//evil.example/console/": "/console/",
		`/\evil.example/console/`: "/console/", "/v1/acme/integrations": "/console/", "javascript:alert(1)": "/console/", "/console/\x00": "/console/",
		"/console/../v1/acme": "/console/", "/console/acme/..": "/console/", "/console/acme/": "/console/acme/",
	} {
		require.Equal(t, want, ours(to), to)
	}
}

func TestWhatIsPastedIsRecognized(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]pasted{
		"https://api.example.com/v1/": {Kind: "url", URL: "https://api.example.com/v1"},
		"api.example.com":             {Kind: "url", URL: "https://api.example.com"},
		"ftp://api.example.com":       {},
		"a sentence about an API":     {},
		"":                            {},
		`curl -X POST https://a.example/v1/things -H "Authorization: Bearer s3cret" -d '{}'`: {Kind: "curl", URL: "https://a.example", Auth: "bearer_token", Found: map[string]string{"bearer_token_value": "s3cret"}},
		`curl https://a.example -H 'X-Api-Key: $KEY'`:                                        {Kind: "curl", URL: "https://a.example", Auth: "api_key_header", Header: "X-Api-Key"},
		`{"openapi": "3.1.0", "info": {"title": "Things"}, "servers": [{"url": "https://a.example/v2/"}], "components": {"securitySchemes": {"k": {"type": "apiKey", "in": "header", "name": "X-Key"}}}}`: {Kind: "openapi", URL: "https://a.example/v2", Auth: "api_key_header", Header: "X-Key", Name: "Things"},
		`{"swagger": "2.0", "host": "a.example", "basePath": "/v1", "schemes": ["http"], "securityDefinitions": {"b": {"type": "basic"}}}`:                                                                {Kind: "openapi", URL: "http://a.example/v1", Auth: "basic"},
		"openapi: 3.0.3\ninfo:\n  title: Pets\nservers:\n  - url: https://a.example/\ncomponents:\n  securitySchemes:\n    k:\n      type: apiKey\n      in: header\n      name: X-Pet\n":                 {Kind: "openapi", URL: "https://a.example", Auth: "api_key_header", Header: "X-Pet", Name: "Pets"},
		"openapi: 3.0.3\ninfo: {title: x}\nservers:\n  - url: https://a.example/api\n":                                                                                                                    {Kind: "openapi", URL: "https://a.example/api"},
		`{"info": {"name": "Mine", "schema": "https://schema.getpostman.com/json/collection/v2.1.0/collection.json"}, "item": [{"request": "https://a.example/x"}]}`:                                      {Kind: "postman", URL: "https://a.example", Name: "Mine"},
		`{"log": {"entries": [{"request": {"url": "https://a.example/x"}}]}}`:                                                                                                                             {Kind: "har", URL: "https://a.example"},
		`{"mcpServers": {"wards": {"url": "https://a.example/mcp", "headers": {"Authorization": "Bearer t0ken"}}}}`:                                                                                       {Kind: "mcp", URL: "https://a.example/mcp", Auth: "bearer_token", Name: "wards", Found: map[string]string{"bearer_token_value": "t0ken"}},
	} {
		got := recognize(text)
		got.Document = ""
		if want.Found == nil {
			want.Found = map[string]string{}
		}
		require.Equal(t, want, got, text)
	}
}

func TestANameIsSuggestedThatTheAPITakes(t *testing.T) {
	t.Parallel()
	for from, want := range map[[2]string]string{
		{"", "https://api.crm.example.com/v1"}: "crm-example", {"Swagger Petstore - OpenAPI 3.0", ""}: "swagger-petstore-openapi-3-0", {"", "https://x.io"}: "my-api", {"Ärzte", ""}: "rzte",
		{strings.Repeat("long ", 40), ""}: "long-long-long-long-long-long-long-long",
	} {
		require.Equal(t, want, suggested(from[0], from[1]))
	}
}

func TestDifferencesNameWhatChanged(t *testing.T) {
	t.Parallel()
	before := map[string]any{"a": 1, "list": []any{map[string]any{"name": "x", "v": 1}, map[string]any{"name": "y"}}, "plain": []any{"1", "2"}, "a/b": "old"}
	after := map[string]any{"a": 1, "list": []any{map[string]any{"name": "new"}, map[string]any{"name": "x", "v": 2}, map[string]any{"name": "y"}}, "plain": []any{"1"}, "a/b": "new"}
	require.Equal(t, []change{
		{Pointer: "/a~1b", Old: "old", New: "new"},
		{Pointer: "/list/new", Old: nil, New: map[string]any{"name": "new"}},
		{Pointer: "/list/x/v", Old: 1, New: 2},
		{Pointer: "/plain/1", Old: "2", New: nil},
	}, differences("", before, after, nil))
	require.Empty(t, differences("", before, before, nil))
}

// The rules of htmx 4 under a strict policy: none of what it would evaluate, no styles in the page,
// and no part of a URL that the template would not escape.
func TestTemplatesHaveNothingThatAStrictPolicyRefuses(t *testing.T) {
	t.Parallel()
	for _, forbidden := range []string{`hx-on`, `js:`, `style=`, `hx-trigger="[^"]*\[`, `<script[^>]*>[^<]`, `\son[a-z]+=`, `hx-(get|post|sse:connect)="[^"]*\{\{[^"]*[?&]`, `hx-confirm`, `https?://[^"]*"[^>]*(src|href)`} {
		pattern := regexp.MustCompile(forbidden)
		require.NoError(t, fs.WalkDir(files, "templates", func(path string, e fs.DirEntry, err error) error {
			if err != nil || e.IsDir() {
				return err
			}
			text, err := files.ReadFile(path)
			require.Empty(t, pattern.FindString(string(text)), "%s has %s", path, forbidden)
			return err
		}))
	}
}

func TestEveryPageIsParsed(t *testing.T) {
	t.Parallel()
	all, err := newPages((&Console{}).funcs())
	require.NoError(t, err)
	require.Contains(t, all, "error")
	for name, parse := range all {
		page, err := parse()
		require.NoError(t, err, name)
		require.NotNil(t, page.Lookup("layout"), name)
	}
}

func TestTheLibrariesAreThoseThatWerePublished(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{ // of the npm package htmx.org 4.0.1
		"htmx-4.0.1.min.js":   "a0abb04f2f45a1f89d1d4844023245537e5e6014c87b144553e0607b4cc32130",
		"hx-sse-4.0.1.min.js": "18ef2761356ec1fe0bb6d92612315b37517a7c1e9856b661c5ae81fef239d103",
	} {
		text, err := files.ReadFile("assets/" + name)
		require.NoError(t, err)
		hash := sha256.Sum256(text)
		require.Equal(t, want, hex.EncodeToString(hash[:]), name)
	}
	total := 0
	all, err := readAssets()
	require.NoError(t, err)
	for name, a := range all {
		if !strings.HasSuffix(name, ".txt") {
			total += len(a.content)
		}
	}
	require.Less(t, total, 100_000, "what a page loads")
}

// Marks and words can be told from their ground by someone with weak sight: 3 to 1, WCAG 2.2, 1.4.11.
func TestColoursStandOutFromTheirGround(t *testing.T) {
	t.Parallel()
	sheet, err := files.ReadFile("assets/console.css")
	require.NoError(t, err)
	light, dark, ok := strings.Cut(string(sheet), "@media (prefers-color-scheme: dark)")
	require.True(t, ok)
	for scheme, text := range map[string]string{"light": light, "dark": dark[:strings.Index(dark, "\n}\n")]} {
		colours := map[string]string{}
		for _, m := range regexp.MustCompile(`--([a-z-]+): (#[0-9a-f]+);`).FindAllStringSubmatch(text, -1) {
			colours[m[1]] = m[2]
		}
		for _, mark := range []string{"ok-fill", "bad-fill", "change", "unknown", "link", "line-strong"} {
			for _, ground := range []string{"ground", "panel"} {
				require.GreaterOrEqual(t, contrast(t, colours[mark], colours[ground]), 3.0, "%s on %s, %s", mark, ground, scheme)
			}
		}
	}
}

func contrast(t *testing.T, a, b string) float64 {
	t.Helper()
	x, y := luminance(t, a), luminance(t, b)
	return (math.Max(x, y) + .05) / (math.Min(x, y) + .05)
}

func luminance(t *testing.T, colour string) float64 {
	t.Helper()
	digits := strings.TrimPrefix(colour, "#")
	if len(digits) == 3 {
		digits = string([]byte{digits[0], digits[0], digits[1], digits[1], digits[2], digits[2]})
	}
	rgb, err := hex.DecodeString(digits)
	require.NoError(t, err, colour)
	require.Len(t, rgb, 3)
	sum := 0.
	for n, weight := range []float64{.2126, .7152, .0722} {
		c := float64(rgb[n]) / 255
		if c <= .04045 {
			c /= 12.92
		} else {
			c = math.Pow((c+.055)/1.055, 2.4)
		}
		sum += weight * c
	}
	return sum
}

func TestTextFromOutsideIsEscapedInCharts(t *testing.T) {
	t.Parallel()
	c := &chart{from: now, to: now.Add(time.Hour)}
	hostile := `"><script>alert(1)</script>`
	c.states([]state{{From: now, To: now.Add(time.Hour), Status: new("timeout"), Message: &hostile}}, 0, 10)
	c.changes([]feedEvent{{event: event{Time: now, Name: &hostile, Actor: hostile, Type: "integration.updated"}, Changed: []string{hostile}}}, func(feedEvent) string { return hostile }, "", 0, 10)
	require.NotContains(t, c.String(), "<script")
	require.NotContains(t, c.String(), `"">`)
}

func TestOperationsAreGroupedByWhatTheirPathsHaveInCommon(t *testing.T) {
	t.Parallel()
	of := func(paths ...string) (rows []offer) {
		for _, p := range paths {
			rows = append(rows, offer{endpoint: endpoint{Path: p}})
		}
		return rows
	}
	many := of("/v1/a", "/v1/a/{id}", "/v1/a/{id}/x", "/v1/a/y", "/v1/b", "/v1/b/{id}", "/v1/b/{id}/x", "/v1/b/y", "/v1/c", "/v1/c/{id}", "/v1/c/x", "/v1/c/y")
	groups := groupsOf(many)
	require.Len(t, groups, 3)
	require.Equal(t, []any{"/v1/a", 4, "/v1/c"}, []any{groups[0].Name, len(groups[0].Rows), groups[2].Name})
	require.Equal(t, []offerGroup{{Rows: many[:5]}}, groupsOf(many[:5]), "a few need no groups")
	tools := of(make([]string, 20)...)
	require.Equal(t, []offerGroup{{Rows: tools}}, groupsOf(tools), "tools have no paths")
}
