package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/internal/peers"
)

var (
	screenshots = flag.Bool("screenshots", false, "write the pictures of the console in docs")
	pictures    = flag.String("pictures", "", "folder for a picture of every page of the console that a test looks at")
)

// picture writes what a tab shows to docs, where that is asked for.
func picture(t *testing.T, tab *peers.Tab, name string, height int, dark bool) {
	t.Helper()
	if !*screenshots {
		return
	}
	tab.See(1100, height, dark)
	require.NoError(t, os.WriteFile(filepath.Join("..", "..", "docs", name), tab.Screenshot(false), 0o600))
	tab.See(1280, 900, false)
}

// site is a service with a console, an API to connect, and people who look.
type site struct {
	*testing.T
	url      string
	operator string
	dir      string   // of its data
	flags    []string // of its service
	stop     *func()  // ends the service
	issuer   string   // an OpenID provider
	signIn   func(key string) string
	browser  *peers.Chromium
	axe      string

	upstream string
	broken   *atomic.Bool
	asked    *atomic.Int64 // requests for the endpoints
}

// canary is the secret of every integration, which no page may show.
const canary = "canary-5b1f0a7e"

func openSite(t *testing.T) *site {
	t.Helper()
	s := &site{T: t, browser: peers.StartChromium(t), asked: &atomic.Int64{}, broken: &atomic.Bool{}}
	axe, err := os.ReadFile(filepath.Join(peers.Dir(t), "node_modules", "axe-core", "axe.min.js"))
	require.NoError(t, err)
	s.axe = string(axe)
	document, err := os.ReadFile(filepath.Join("..", "..", "transport", "openapi.yaml"))
	require.NoError(t, err)
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/openapi.yaml":
			_, _ = w.Write(document)
		case s.broken.Load(), r.Header.Get("X-Api-Key") != canary && r.Header.Get("Authorization") != "Bearer "+canary:
			w.WriteHeader(http.StatusUnauthorized)
		case strings.HasPrefix(r.URL.Path, "/things/"):
			s.asked.Add(1)
			_, _ = fmt.Fprintf(w, `{"thing": {"id": %q, "colour": "red", "secret": %q}, "more": [1, 2, 3]}`, strings.TrimPrefix(r.URL.Path, "/things/"), canary)
		case strings.HasPrefix(r.URL.Path, "/hooks"):
			w.WriteHeader(http.StatusNoContent)
		case r.URL.Path == "/":
			_, _ = io.WriteString(w, "{}")
		default:
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	t.Cleanup(up.Close)
	s.upstream = up.URL
	s.dir = t.TempDir()
	s.flags = s.signInFlags(t)
	s.stop = new(s.start(t))
	t.Cleanup(func() { (*s.stop)() })
	key, err := os.ReadFile(filepath.Join(s.dir, "operator.key"))
	require.NoError(t, err)
	s.operator = strings.TrimSpace(string(key))
	return s
}

// start starts the service on the folder of the site, and returns what ends it.
func (s *site) start(t *testing.T) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	service, err := startServiceWith(ctx, s.dir, s.flags...)
	require.NoError(t, err)
	s.url, s.signIn = service.URL, service.SignIn
	return func() { cancel(); require.NoError(t, <-service.Ended) }
}

// call makes a request to the API, and decodes the answer.
func (s *site) call(key, method, path string, body any, want int) map[string]any {
	s.Helper()
	data, err := json.Marshal(body)
	require.NoError(s, err)
	r, err := http.NewRequestWithContext(s.Context(), method, s.url+path, bytes.NewReader(data))
	require.NoError(s, err)
	r.Header.Set("Authorization", "Bearer "+key)
	r.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(r)
	require.NoError(s, err)
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	require.NoError(s, err)
	require.Equal(s, want, resp.StatusCode, "%s", text)
	got := map[string]any{}
	_ = json.Unmarshal(text, &got) // some answers have no body
	return got
}

func (s *site) issue(name string, permissions ...string) string {
	s.Helper()
	return s.call(s.operator, "POST", "/v1/acme/api-keys", map[string]any{"name": name, "permissions": permissions}, 201)["key"].(string)
}

// create makes an integration with an endpoint that filters and maps.
func (s *site) create(name string) {
	s.Helper()
	s.call(s.operator, "POST", "/v1/acme/integrations", map[string]any{
		"name": name, "display_name": "The " + name, "base_url": s.upstream, "auth": map[string]any{"type": "api_key_header", "header_name": "X-Api-Key", "api_key_value": canary},
		"endpoints": []any{map[string]any{
			"name": "get_thing", "description": "Get a thing by its id.", "method": "GET", "path": "/things/{id}", "response_filter": []string{"thing"}, "response_mapping": map[string]string{"hue": "thing.colour"},
			"input_schema": map[string]any{"type": "object", "properties": map[string]any{"id": map[string]any{"type": "string", "description": "Its id."}, "deep": map[string]any{"type": "boolean"}}, "required": []string{"id"}},
		}, map[string]any{
			"name": "paint_thing", "description": "Paint a thing.", "method": "POST", "path": "/things/{id}", "approval": "writes",
			"input_schema": map[string]any{"type": "object", "properties": map[string]any{"id": map[string]any{"type": "string"}, "colour": map[string]any{"type": "string"}}, "required": []string{"id", "colour"}},
		}},
	}, 201)
}

// open returns a tab of someone who has signed in by the form.
func (s *site) open(key string) *peers.Tab {
	s.Helper()
	tab := s.browser.Open(s)
	tab.See(1280, 900, false)
	tab.Go(s.url + "/console/")
	tab.Do(`document.querySelector("#key").value = ` + quoted(key) + `; document.querySelector("main form button").click()`)
	return tab
}

func quoted(s string) string {
	data, err := json.Marshal(s)
	if err != nil {
		return `""`
	}
	return string(data)
}

// press fills in fields, and presses a button that leads to another page.
func press(tab *peers.Tab, button string, fields ...string) {
	var script strings.Builder
	for n := 0; n+1 < len(fields); n += 2 {
		_, _ = fmt.Fprintf(&script, "document.querySelector(%s).value = %s;\n", quoted(fields[n]), quoted(fields[n+1]))
	}
	tab.Do(script.String() + "document.querySelector(" + quoted(button) + ").click()")
}

// sound requires that a page complains about nothing, asks no other host, fits the window, has no
// secret, and that axe finds nothing.
func (s *site) sound(tab *peers.Tab, where string) {
	s.Helper()
	if *pictures != "" {
		require.NoError(s, os.WriteFile(filepath.Join(*pictures, strings.NewReplacer("/", "_", "?", "_", " ", "-", ",", "").Replace(where)+".png"), tab.Screenshot(true), 0o600))
	}
	var over int
	tab.Eval("document.documentElement.scrollWidth - innerWidth", &over)
	require.LessOrEqual(s, over, 0, "%s scrolls sideways", where)
	require.NotContains(s, tab.HTML(), canary, where)
	var ready bool
	if tab.Eval("typeof axe === 'object'", &ready); !ready {
		tab.Eval(s.axe+"\n;0", nil)
	}
	var violations []string
	tab.Eval(`axe.run({runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}).then((r) => r.violations.map((v) => v.id + ": " + v.help + " " + v.nodes.map((n) => n.target.join(" ") + " " + n.failureSummary + " " + n.html).join(" | ")))`, &violations)
	require.Empty(s, violations, where)
	s.quiet(tab, where)
}

// quiet requires that pages have complained about nothing, and asked no other host.
func (s *site) quiet(tab *peers.Tab, where string) {
	s.Helper()
	for _, problem := range tab.Problems() {
		if !strings.HasPrefix(problem, "verbose: [DOM]") { // hints of Chromium about forms with a secret and no user
			s.Errorf("%s: %s", where, problem)
		}
	}
	urls, _ := tab.Requests()
	for _, u := range urls {
		require.True(s, strings.HasPrefix(u, s.url+"/") || strings.HasPrefix(u, "about:"), "%s asks for %s", where, u)
	}
}

// everyPage are the pages of a workspace.
var everyPage = []string{
	"", "/timeline", "/health", "/calls", "/approvals", "/approvals?state=all", "/events", "/events?type=integration.created", "/webhooks", "/keys", "/agents", "/system", "/connect", "/integrations", "/integrations?q=none-such", "/integrations/crm", "/integrations/crm/timeline",
	"/integrations/crm/health", "/integrations/crm/calls", "/integrations/crm/history", "/integrations/crm/versions/1", "/integrations/crm/settings", "/integrations/crm/settings?view=json",
	"/integrations/crm/endpoints/get_thing", "/integrations/crm/delete", "/integrations/google-maps", "/integrations/nothing",
}

func TestThePagesOfTheConsole(t *testing.T) {
	s := openSite(t)
	s.create("crm")
	admin, viewer := s.issue("admin", "Workspace.admin"), s.issue("viewer", "Integration.view")
	s.call(admin, "POST", "/v1/acme/integrations/crm/test-connection", nil, 200)
	s.call(admin, "POST", "/v1/acme/integrations/crm/endpoints/get_thing/test", map[string]any{"params": map[string]any{"id": "7"}}, 200)

	t.Run("nobody is led to the sign-in, and back", s.nobody)
	tab := s.open(admin)
	t.Run("every page is sound, light and dark, wide and narrow", func(t *testing.T) {
		s := s.in(t)
		tab := s.open(admin)
		heaviest, most := "", 0
		for n, path := range everyPage {
			tab.See([]int{1280, 360}[n%2], 900, n%4 > 1)
			tab.Go(s.url + "/console/acme" + path)
			if path == "/integrations/nothing" {
				tab.Problems() // the browser reports the 404
			}
			s.sound(tab, path)
			tab.See([]int{360, 1280}[n%2], 900, n%4 < 2)
			var over int
			tab.Eval("document.documentElement.scrollWidth - innerWidth", &over)
			require.LessOrEqual(t, over, 0, "%s scrolls sideways", path)
			urls, size := tab.Requests()
			require.Empty(t, urls)
			require.Less(t, size, 100_000, "%s", path)
			if size > most {
				heaviest, most = path, size
			}
		}
		t.Logf("%d pages of at most %d bytes, assets included: %s", len(everyPage), most, heaviest)
	})
	t.Run("a viewer sees no button that would be refused", func(t *testing.T) { s.in(t).viewer(viewer) })
	t.Run("an API is connected from its document", func(t *testing.T) { s.in(t).connect(tab) })
	t.Run("an endpoint is tested, with its pipeline side by side", func(t *testing.T) { s.in(t).test(tab) })
	t.Run("what changed before it broke is in the first sentence", func(t *testing.T) { s.in(t).breaks(tab) })
	t.Run("a timeline shows at once what breaks", func(t *testing.T) { s.in(t).liveTimeline(tab) })
	t.Run("two who change the same are shown both", func(t *testing.T) { s.in(t).conflict(tab, admin) })
	t.Run("events arrive live", func(t *testing.T) { s.in(t).live(tab, admin) })
	t.Run("a call is approved, and another denied", func(t *testing.T) { s.in(t).approvals() })
	t.Run("a person signs in for an integration", func(t *testing.T) { s.in(t).consent(admin) })
	t.Run("a key is shown once", func(t *testing.T) { s.in(t).keys(tab) })
	t.Run("webhooks are sent and sent again", func(t *testing.T) { s.in(t).webhooks(tab) })
	t.Run("it works without scripts", func(t *testing.T) { s.in(t).scriptless(admin) })
	t.Run("a session ends by signing out, and with its key", func(t *testing.T) { s.in(t).signOut(admin) })
	t.Run("a person signs in with the OpenID provider", func(t *testing.T) { s.in(t).provider() })
	s.quiet(tab, "the tab of the admin")
}

// in returns the site for a part of the test.
func (s *site) in(t *testing.T) *site {
	part := *s
	part.T = t
	return &part
}

func (s *site) nobody(t *testing.T) {
	tab := s.browser.Open(t)
	tab.See(360, 900, true)
	tab.Go(s.url + "/")
	require.Equal(t, s.url+"/console/.sign-in", tab.Text("location.href"), "a browser is led to the console")
	s.in(t).sound(tab, "the sign-in")
	for _, path := range everyPage {
		tab.Go(s.url + "/console/acme" + path)
		require.Equal(t, s.url+"/console/.sign-in?to="+url.QueryEscape("/console/acme"+path), tab.Text("location.href"))
	}
	press(tab, "main form button", "#key", "itk_wrong")
	require.Contains(t, tab.Text("document.body.innerText"), "no valid API key")
	tab.Problems() // the browser reports the 401
	tab.Go(s.url + "/console/.sign-in?to=" + url.QueryEscape("/console/acme/calls?outcome=ok"))
	press(tab, "main form button", "#key", s.operator)
	require.Equal(t, s.url+"/console/acme/calls?outcome=ok", tab.Text("location.href"))

	once := s.signIn(s.operator)
	other := s.browser.Open(t)
	other.Go(once)
	require.Equal(t, s.url+"/console/", other.Text("location.href"))
	require.Contains(t, other.Text("document.body.innerText"), "acme", "an operator sees the workspaces")
	s.in(t).sound(other, "the workspaces")
	third := s.browser.Open(t)
	third.Go(once)
	require.Contains(t, third.Text("document.body.innerText"), "signed someone in already")
}

func (s *site) viewer(key string) {
	tab := s.open(key)
	for _, path := range everyPage {
		if path == "/integrations/nothing" || path == "/webhooks" || path == "/keys" || strings.HasPrefix(path, "/approvals") {
			continue
		}
		tab.Go(s.url + "/console/acme" + path)
		var forms []string
		tab.Eval(`[...document.querySelectorAll("form[method=post]")].map((f) => new URL(f.action).pathname)`, &forms)
		for _, action := range forms {
			require.Regexp(s, `^/console/(\.zone|\.sign-out|acme/integrations/[a-z-]+/(probe|endpoints/get_thing))$`, action, path)
		}
		require.NotContains(s, tab.Text("document.querySelector('.nav').innerText"), "Keys")
	}
	for _, path := range []string{"/keys", "/webhooks"} { // not linked, and refused by the API
		tab.Go(s.url + "/console/acme" + path)
		require.Contains(s, tab.Text("document.body.innerText"), "lacks the permission")
	}
	tab.Go(s.url + "/console/acme/approvals")
	require.Contains(s, tab.Text("document.body.innerText"), "Approval.decide")
	tab.Problems() // the browser reports the 403s
}

func (s *site) connect(tab *peers.Tab) {
	tab.Go(s.url + "/console/acme/integrations")
	tab.Do(`document.querySelector('a[href$="/connect"]').click()`)
	press(tab, "main form button", "#what", s.upstream)
	require.Contains(s, tab.Text("document.body.innerText"), "OpenAPI at /openapi.yaml")
	s.sound(tab, "the found API")
	picture(s.T, tab, "console-connect.png", 640, true)
	tab.Eval(`document.querySelector("input[value=bearer_token]").click()`, nil)
	press(tab, "main form button", "#bearer_token_value", canary)
	require.Contains(s, tab.Text("document.body.innerText"), "listIntegrations")
	s.sound(tab, "the operations")
	tab.Eval(`document.querySelector("#q").value = "integration-tools -resolve"; document.querySelector("#q").dispatchEvent(new Event("input", {bubbles: true}))`, nil)
	tab.Until(`[...document.querySelectorAll("#offers tbody tr:not(.group)")].filter((r) => !r.hidden).length === 1`)
	tab.Eval(`document.querySelector("[data-tick=all]").click()`, nil)
	require.Equal(s, "1", tab.Text(`document.querySelector("#ticked").innerText`))
	press(tab, "main form:last-of-type button.primary")
	require.NotContains(s, tab.HTML(), canary)
	press(tab, "button[value=test]", "#name", "guided", "#display_name", "Guided")
	require.Contains(s, tab.Text("document.querySelector('.verdict').innerText"), "Healthy")
	s.sound(tab, "the tested connection")
	press(tab, "button[value=create]", "#name", "crm")
	require.Contains(s, tab.Text("document.querySelector('p.wrong, .problem').innerText"), "taken")
	tab.Problems() // the browser reports nothing of it, but its hints may
	press(tab, "button[value=create]", "#name", "guided")
	require.Contains(s, tab.Text("document.body.innerText"), "The integration is created.")
	made := s.call(s.operator, "GET", "/v1/acme/integrations/guided", nil, 200)
	require.Len(s, made["endpoints"], 1)
	require.Equal(s, "bearer_token", made["auth"].(map[string]any)["type"])
	s.sound(tab, "the created integration")
}

func (s *site) test(tab *peers.Tab) {
	tab.Go(s.url + "/console/acme/integrations/crm/endpoints/get_thing")
	press(tab, "button[value=run]")
	require.Contains(s, tab.Text("document.querySelector('.field.wrong').innerText"), "required")
	press(tab, "button[value=run]", "[name='p.id']", "7")
	require.Equal(s, []string{"Request", "Raw", "Filtered", "Mapped", "Result"}, headings(tab))
	body := tab.Text("document.body.innerText")
	require.Contains(s, body, "200")
	require.Contains(s, body, `"hue": "red"`)
	require.Contains(s, tab.Text("document.querySelector('#curl').innerText"), "$SECRET")
	s.sound(tab, "the tested endpoint")
	picture(s.T, tab, "console-endpoint.png", 760, false)
	asked := s.asked.Load()
	tab.Eval(`document.querySelector("#map").value = '{"shade": "thing.colour", "broken": "thing["}'; document.querySelector("#map").dispatchEvent(new Event("input", {bubbles: true}))`, nil)
	tab.Until(`document.querySelector("#mapped p.wrong")?.innerText.includes("broken")`)
	tab.Eval(`document.querySelector("#map").value = '{"shade": "thing.colour"}'; document.querySelector("#map").dispatchEvent(new Event("input", {bubbles: true}))`, nil)
	tab.Until(`document.querySelector("#mapped").innerText.includes('"shade": "red"')`)
	require.Equal(s, asked, s.asked.Load(), "the upstream is not asked again")
	s.sound(tab, "a mapping that is tried")
	press(tab, "button[value=dry]", "[name='p.id']", "8")
	require.Equal(s, []string{"Request"}, headings(tab))
	require.Contains(s, tab.Text("document.body.innerText"), "Nothing was sent.")
}

func headings(tab *peers.Tab) (all []string) {
	tab.Eval(`[...document.querySelectorAll(".pipeline h3")].map((h) => h.firstChild.textContent.trim())`, &all)
	return all
}

func (s *site) breaks(tab *peers.Tab) {
	at := s.url + "/console/acme/integrations/crm"
	for n := range 5 {
		s.call(s.operator, "POST", "/v1/acme/integrations/crm/test-connection", nil, 200)
		s.call(s.operator, "POST", "/v1/acme/integrations/crm/endpoints/get_thing/test", map[string]any{"params": map[string]any{"id": fmt.Sprint(n)}}, 200)
	}
	tab.Go(at + "/settings")
	press(tab, "button[value=check]", "#base_url", s.upstream+"/gone", "#health_path", "/nothing", "#health_expect", "200")
	require.Contains(s, tab.Text("document.querySelector('.diff').innerText"), "health_check")
	s.sound(tab, "the difference before saving")
	press(tab, "button[value=save]")
	require.Contains(s, tab.Text("document.body.innerText"), "The change is saved.")
	press(tab, "form[action$='/probe'] button")
	tab.Go(at + "/timeline")
	sentence := tab.Text("document.querySelector('.verdict').innerText")
	require.Regexp(s, `^Failing since `, sentence)
	require.Regexp(s, `Last change before it: .* before, version 2 by admin: .*base_url`, sentence)
	s.sound(tab, "the timeline of what broke")
	picture(s.T, tab, "console-timeline.png", 640, false)
	picture(s.T, tab, "console-timeline-dark.png", 640, true)
	tab.Do(`document.querySelector(".verdict a").click()`)
	require.Contains(s, tab.Text("document.querySelector('#picked').innerText"), s.upstream+"/gone")
	require.Positive(s, tab.Text(`document.querySelectorAll("svg[data-from] a").length`))
	s.sound(tab, "the picked change")
	tab.Do(`document.querySelector("#picked a[href$='/versions/1']").click()`)
	require.Contains(s, tab.Text("document.querySelector('.diff').innerText"), "base_url")
	press(tab, "main form:last-of-type button.primary")
	require.Contains(s, tab.Text("document.body.innerText"), "The earlier configuration is back.")
	press(tab, "form[action$='/probe'] button")
	require.Contains(s, tab.Text("document.querySelector('.verdict').innerText"), "Healthy")

	tab.Go(at + "/timeline?from=-15m")
	tab.Eval(`(() => { const c = document.querySelector("svg[data-from]"), r = c.getBoundingClientRect();
		const at = (x, on, type) => on.dispatchEvent(new PointerEvent(type, {clientX: r.left + x * r.width, clientY: r.top + 60, button: 0, bubbles: true}));
		at(.2, c, "pointerdown"); at(.4, window, "pointermove"); window.drag = () => at(.6, window, "pointerup") })()`, nil)
	tab.Do("window.drag()")
	require.Regexp(s, `from=.*&to=`, tab.Text("location.search"))
	tab.Eval("history.back()", nil)
	tab.Until(`location.search === "?from=-15m" && document.readyState === "complete"`) // the zoom before
}

func (s *site) conflict(tab *peers.Tab, admin string) {
	tab.Go(s.url + "/console/acme/integrations/crm/settings")
	s.call(admin, "PUT", "/v1/acme/integrations/crm", map[string]any{"display_name": "Theirs"}, 200)
	press(tab, "button[value=check]", "#display_name", "Mine")
	require.Contains(s, tab.Text("document.querySelector('.diff').innerText"), "Theirs")
	require.Contains(s, tab.Text("document.querySelector('.diff').innerText"), "Mine")
	s.sound(tab, "the conflict")
	tab.Do(`document.querySelector("input[value=mine]").click(); document.querySelector("form.panel button.primary").click()`)
	press(tab, "button[value=save]")
	require.Equal(s, "Mine", s.call(admin, "GET", "/v1/acme/integrations/crm", nil, 200)["display_name"])
}

func (s *site) live(tab *peers.Tab, admin string) {
	tab.Go(s.url + "/console/acme/events")
	s.call(admin, "PUT", "/v1/acme/integrations/crm", map[string]any{"display_name": "The crm"}, 200)
	tab.Until(`document.querySelector("#fresh")`)
	require.Contains(s, tab.Text(`document.querySelector("#fresh").innerText`), "1 new event")
	s.sound(tab, "events with a new one")
	tab.Do(`document.querySelector("#fresh").click()`)
	require.Contains(s, tab.Text(`document.querySelector("#rows tr").innerText`), "display_name")
}

var keyText = regexp.MustCompile(`itk_[0-9a-f]{16}_[0-9a-f]{64}_[0-9a-f]{8}`)

func (s *site) keys(tab *peers.Tab) {
	tab.Go(s.url + "/console/acme/agents")
	tab.Do(`document.querySelector('a[href$="#create"]').click()`)
	press(tab, "form[action$='/keys'] button.primary", "#name", "agent one", "#days", "-1")
	require.NotEmpty(s, tab.Text("document.querySelector('.field.wrong').innerText"), "beside the field")
	press(tab, "form[action$='/keys'] button.primary", "#name", "agent one", "#days", "3")
	tab.Eval(`document.querySelector("input[value='Integration.invoke']").click()`, nil)
	press(tab, "form[action$='/keys'] button.primary", "#name", "agent one", "#days", "3")
	key := keyText.FindString(tab.HTML())
	require.NotEmpty(s, key)
	s.call(key, "GET", "/v1/auth/me", nil, 200)
	s.sound(tab, "the new key")
	tab.Go(s.url + "/console/acme/keys")
	require.Empty(s, keyText.FindString(tab.HTML()))
	tab.Do(`document.querySelector("button[value=revoke][aria-label='Revoke agent one']").click()`)
	s.call(key, "GET", "/v1/auth/me", nil, 401)
}

func (s *site) webhooks(tab *peers.Tab) {
	tab.Go(s.url + "/console/acme/webhooks")
	press(tab, "main form button.primary", "#url", s.upstream+"/hooks", "#name", "Hooks")
	secret := regexp.MustCompile(`whsec_[A-Za-z0-9+/=]+`).FindString(tab.HTML())
	require.NotEmpty(s, secret)
	tab.Go(s.url + "/console/acme/webhooks")
	require.NotContains(s, tab.HTML(), secret)
	tab.Do(`document.querySelector("tbody a").click()`)
	press(tab, "button[value=test]")
	require.Contains(s, tab.Text("document.querySelector('.verdict').innerText"), "Failed") // the receiver wants a key
	s.sound(tab, "deliveries")
	press(tab, "button[value=verify]", "#webhook-id", "msg_1", "#webhook-timestamp", "1", "#webhook-signature", "v1,AAAA", "#body", "{}")
	require.Contains(s, tab.Text("document.body.innerText"), "No secret of this destination made this signature")
	s.sound(tab, "a signature that is not right")
}

func (s *site) scriptless(admin string) {
	tab := s.browser.Open(s)
	tab.Go(s.signIn(admin))
	tab.NoScripts(true)
	for _, path := range everyPage[:len(everyPage)-1] {
		tab.Go(s.url + "/console/acme" + path)
		require.NotContains(s, tab.HTML(), canary)
	}
	tab.Go(s.url + "/console/acme/integrations/crm/settings")
	press(tab, "button[value=check]", "#display_name", "No script")
	press(tab, "button[value=save]")
	require.Equal(s, "No script", s.call(admin, "GET", "/v1/acme/integrations/crm", nil, 200)["display_name"])
	s.quiet(tab, "the tab without scripts")
}

func (s *site) signOut(admin string) {
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, Timeout: time.Minute}
	type reply struct {
		status  int
		header  http.Header
		cookies []*http.Cookie
		text    string
	}
	send := func(method, path string, header map[string]string, cookie *http.Cookie, form url.Values) reply {
		r, err := http.NewRequestWithContext(s.Context(), method, s.url+path, strings.NewReader(form.Encode()))
		require.NoError(s, err)
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		for name, value := range header {
			r.Header.Set(name, value)
		}
		if cookie != nil {
			r.AddCookie(cookie)
		}
		resp, err := client.Do(r)
		require.NoError(s, err)
		defer func() { _ = resp.Body.Close() }()
		text, err := io.ReadAll(resp.Body)
		require.NoError(s, err)
		return reply{resp.StatusCode, resp.Header, resp.Cookies(), string(text)}
	}
	signIn := func(key string) *http.Cookie {
		resp := send("POST", "/console/.sign-in", nil, nil, url.Values{"key": {key}, "to": {"https://evil.example/"}})
		require.Equal(s, "/console/", resp.header.Get("Location"), "it leads nowhere else")
		cookie := resp.cookies[0]
		require.NotContains(s, cookie.Value, key)
		require.True(s, cookie.HttpOnly)
		require.Equal(s, http.SameSiteLaxMode, cookie.SameSite)
		return cookie
	}
	page := "/console/acme/integrations"
	cookie := signIn(admin)
	from := send("GET", page, map[string]string{"Sec-Fetch-Site": "cross-site"}, cookie, nil)
	require.Equal(s, 200, from.status, "a link from elsewhere arrives signed in")
	require.Equal(s, "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'", from.header.Get("Content-Security-Policy"))
	require.Equal(s, "no-store", from.header.Get("Cache-Control"))
	forged := send("POST", page+"/crm/enabled", map[string]string{"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}, cookie, url.Values{"to": {"false"}})
	require.Equal(s, 403, forged.status)
	require.Contains(s, forged.text, "--public-url")
	require.Contains(s, forged.text, "https://evil.example")
	tampered := *cookie
	tampered.Value = cookie.Value[:len(cookie.Value)-2] + "AA"
	require.Equal(s, 303, send("GET", page, nil, &tampered, nil).status)
	lost := send("POST", page+"/crm/settings", nil, nil, url.Values{"display_name": {"Lost"}})
	require.Equal(s, 401, lost.status, "the page of the answer sends the form again when it is loaded again")
	part := send("GET", page, map[string]string{"HX-Request": "true"}, nil, nil)
	require.Equal(s, 401, part.status, "a part of a page is not a sign-in page")

	require.Equal(s, 303, send("POST", "/console/.sign-out", nil, cookie, nil).status)
	require.Equal(s, 303, send("GET", page, nil, cookie, nil).status, "a copy of the cookie is of no use")
	still := signIn(admin)
	(*s.stop)()
	*s.stop = s.start(s.T)
	require.Equal(s, 303, send("GET", page, nil, cookie, nil).status, "not after a restart either")
	require.Equal(s, 200, send("GET", page, nil, still, nil).status)

	key := s.call(s.operator, "POST", "/v1/acme/api-keys", map[string]any{"name": "short", "permissions": []string{"Integration.view"}}, 201)
	cookie = signIn(key["key"].(string))
	require.Equal(s, 200, send("GET", page, nil, cookie, nil).status)
	s.call(s.operator, "DELETE", "/v1/acme/api-keys/"+key["id"].(string), nil, 204)
	require.Equal(s, 303, send("GET", page, nil, cookie, nil).status, "with its key")
}
