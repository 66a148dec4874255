package console

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"
)

// New returns a console. Its templates are part of the program, so an error is a fault in it,
// or in cfg.
func New(cfg Config) (*Console, error) {
	c := &Console{
		api: cfg.API, publicURL: strings.TrimSuffix(cfg.PublicURL, "/"), version: cfg.Version, now: cfg.Now, log: cfg.Log,
		sessions: cfg.Sessions, provider: cfg.SignIn, links: &links{}, drafts: &drafts{}, watchers: &atomic.Int64{},
	}
	c.secure = strings.HasPrefix(c.publicURL, "https://")
	var err error
	if c.seal, err = newSeal(cfg.Key); err != nil {
		return nil, err
	}
	if c.assets, err = readAssets(); err != nil {
		return nil, err
	}
	if c.pages, err = newPages(c.funcs()); err != nil {
		return nil, err
	}
	protection := http.NewCrossOriginProtection()
	if c.publicURL != "" {
		if err := protection.AddTrustedOrigin(c.publicURL); err != nil {
			return nil, fmt.Errorf("the public URL of the console: %w", err)
		}
	}
	protection.SetDenyHandler(http.HandlerFunc(c.refuseOrigin))
	c.handler = protection.Handler(c.routes())
	return c, nil
}

// ServeHTTP implements http.Handler.
func (c *Console) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != Path && !strings.HasPrefix(r.URL.Path, Path+"/") {
		c.api.ServeHTTP(w, r)
		return
	}
	protect(w.Header())
	c.handler.ServeHTTP(w, r)
}

// routes returns the pages.
func (c *Console) routes() http.Handler {
	// What is not of a workspace begins with a dot, which no name of a workspace has.
	own := http.NewServeMux()
	own.HandleFunc("GET "+Path+"/.assets/{file}", c.serveAsset)
	own.HandleFunc("GET "+Path+"/.sign-in", c.showSignIn)
	own.HandleFunc("POST "+Path+"/.sign-in", c.takeKey)
	own.HandleFunc("POST "+Path+"/.sign-out", c.signOut)
	own.HandleFunc("GET "+Path+"/.provider", c.beginSignIn)
	own.HandleFunc("GET "+callbackPath, c.finishSignIn)
	own.HandleFunc("POST "+Path+"/.zone", c.setZone)
	own.HandleFunc("GET "+Path+"/.once/{token}", c.useLink)
	own.HandleFunc("POST "+Path+"/.workspace", limited(c.signedIn(openWorkspace)))

	mux := http.NewServeMux()
	mux.HandleFunc("GET "+Path, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, Path+"/", http.StatusSeeOther) })
	for pattern, h := range map[string]handler{
		"GET /{$}":             showWorkspaces,
		"GET /{workspace}":     start,
		"GET /{workspace}/{$}": start,

		"GET /{workspace}/integrations":                              listIntegrations,
		"GET /{workspace}/integrations/{name}":                       showIntegration,
		"POST /{workspace}/integrations/{name}/probe":                probeIntegration,
		"POST /{workspace}/integrations/{name}/enabled":              setEnabled,
		"GET /{workspace}/integrations/{name}/consent":               showConsent,
		"POST /{workspace}/integrations/{name}/consent":              beginConsent,
		"GET /{workspace}/integrations/{name}/history":               showHistory,
		"GET /{workspace}/integrations/{name}/versions/{version}":    showVersion,
		"POST /{workspace}/integrations/{name}/versions/{version}":   restoreVersion,
		"GET /{workspace}/integrations/{name}/settings":              showSettings,
		"POST /{workspace}/integrations/{name}/settings":             changeSettings,
		"POST /{workspace}/integrations/{name}/secret":               replaceSecret,
		"GET /{workspace}/integrations/{name}/delete":                confirmDelete,
		"POST /{workspace}/integrations/{name}/delete":               deleteIntegration,
		"GET /{workspace}/integrations/{name}/timeline":              showTimeline,
		"GET /{workspace}/integrations/{name}/timeline/live":         streamTimeline,
		"GET /{workspace}/integrations/{name}/health":                showProbes,
		"GET /{workspace}/integrations/{name}/calls":                 showIntegrationCalls,
		"GET /{workspace}/integrations/{name}/calls/{call}":          showCall,
		"GET /{workspace}/integrations/{name}/discover":              discoverInto,
		"POST /{workspace}/integrations/{name}/discover":             discoverInto,
		"GET /{workspace}/integrations/{name}/endpoints/{endpoint}":  showEndpoint,
		"POST /{workspace}/integrations/{name}/endpoints/{endpoint}": runEndpoint,

		"POST /{workspace}/integrations/{name}/endpoints/{endpoint}/mapping": tryMapping,

		"GET /{workspace}/connect":          showConnect,
		"POST /{workspace}/connect":         takePasted,
		"GET /{workspace}/connect/{draft}":  showDraft,
		"POST /{workspace}/connect/{draft}": continueDraft,

		"GET /{workspace}/timeline":                showWorkspaceTimeline,
		"GET /{workspace}/timeline/live":           streamTimeline,
		"GET /{workspace}/health":                  showHealth,
		"GET /{workspace}/calls":                   showCalls,
		"GET /{workspace}/events":                  showEvents,
		"GET /{workspace}/events.ndjson":           exportEvents,
		"GET /{workspace}/events/live":             streamEvents,
		"GET /{workspace}/approvals":               listApprovals,
		"GET /{workspace}/approvals/live":          streamApprovals,
		"GET /{workspace}/approvals/{approval}":    showApproval,
		"POST /{workspace}/approvals/{approval}":   decideApproval,
		"GET /{workspace}/webhooks":                showWebhooks,
		"POST /{workspace}/webhooks":               createWebhook,
		"GET /{workspace}/webhooks/{destination}":  showDeliveries,
		"POST /{workspace}/webhooks/{destination}": changeWebhook,
		"GET /{workspace}/keys":                    showKeys,
		"POST /{workspace}/keys":                   createKey,
		"POST /{workspace}/keys/{key}":             changeKey,
		"GET /{workspace}/agents":                  showAgents,
		"GET /{workspace}/system":                  showSystem,
	} {
		method, path, _ := strings.Cut(pattern, " ")
		mux.HandleFunc(method+" "+Path+path, limited(c.signedIn(h)))
	}
	mux.HandleFunc("GET "+Path+"/", c.signedIn(func(*page) error {
		return &problem{Status: http.StatusNotFound, Title: "Not found", Detail: "There is no such page.", Code: "page_not_found"}
	}))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, Path+"/.") {
			own.ServeHTTP(w, r)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// maxForm bounds a form: a document of an API, escaped.
const maxForm = 12 << 20

// limited bounds the body of a request.
func limited(h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, maxForm)
		h(w, r)
	}
}

// setZone keeps whether times are shown in UTC.
func (c *Console) setZone(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
	zone := "local"
	if r.FormValue("zone") == "utc" {
		zone = "utc"
	}
	c.setCookie(w, "console_zone", zone, 365*24*time.Hour)
	http.Redirect(w, r, ours(r.FormValue("to")), http.StatusSeeOther) //nolint:gosec // a path of the console
}

// start leads to the first page of a workspace.
func start(p *page) error { return p.redirect(p.Base()+"/integrations", "") }

func openWorkspace(p *page) error {
	return p.redirect(Path+"/"+url.PathEscape(strings.TrimSpace(p.r.FormValue("workspace")))+"/integrations", "")
}

// refuseOrigin answers a change that a page of another origin asks for. A proxy that hides the
// address which browsers use looks the same, so it names the setting.
func (c *Console) refuseOrigin(w http.ResponseWriter, r *http.Request) {
	here := c.publicURL
	if here == "" {
		here = "http://" + r.Host
	}
	p := problem{
		Status: http.StatusForbidden, Title: "This form came from another address", Code: "cross_origin",
		Detail: fmt.Sprintf("The browser sent it for %s, and this console is at %s. If both are this service, set --public-url to the address that browsers use.", originOf(r), here),
	}
	c.fail(&page{Console: c, w: w, r: r}, &p)
}

func originOf(r *http.Request) string {
	if u, err := url.Parse(r.Header.Get("Origin")); err == nil && u.Host != "" {
		return u.Scheme + "://" + u.Host
	}
	return "an unknown address"
}
