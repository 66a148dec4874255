package transport

import (
	"cmp"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/gin-gonic/gin"

	"github.com/seed677028b5/integrations/access"
	"github.com/seed677028b5/integrations/domain"
)

// A route is one line of the API. Its handler runs when the caller's key has
// the permission in the workspace of the path.
type route struct {
	method, path string
	needs        access.Permission
	class        class
	handle       func(*Server, *request) (answer, error)
	query        string // the parameters of the URL that it has, separated by spaces
}

// routes is the whole API below a workspace.
var routes = []route{
	{"POST", "/integrations", access.Create, write, (*Server).createIntegration, "dry_run"},
	{"GET", "/integrations", access.View, read, (*Server).listIntegrations, "enabled protocol builtin search exact_total sort_by limit continuation_token"},
	{"GET", "/integrations/events", access.View, read, (*Server).listEvents, "type actor integration_id from to order limit continuation_token"},
	{"GET", "/integrations/events/stream", access.View, read, (*Server).streamEvents, ""},
	{"GET", "/integrations/events/:position/proof", access.Admin, read, (*Server).proveEvent, ""},
	{"GET", "/integrations/calls/:position/proof", access.Admin, read, (*Server).proveCall, ""},
	{"GET", "/transparency/:log/export", access.Admin, read, (*Server).exportLog, "checkpoint_size"},
	{"GET", "/integrations/calls", access.View, read, (*Server).listCalls, callQuery},
	{"GET", "/integrations/calls/stream", access.View, read, (*Server).streamCalls, ""},
	{"GET", "/integrations/health-check", access.View, call, (*Server).checkHealth, "max_age_ms details"},
	{"POST", "/integrations/test-connection", access.View, call, (*Server).testUnsavedConnection, ""},
	{"POST", "/integrations/reshape", access.View, call, (*Server).reshape, ""},
	{"POST", "/integrations/discover", access.View, call, (*Server).discoverUnsaved, ""},
	{"GET", "/integrations/:id", access.View, read, (*Server).getIntegration, "as_of"},
	{"PUT", "/integrations/:id", access.Update, write, (*Server).updateIntegration, "dry_run merge"},
	{"DELETE", "/integrations/:id", access.Delete, write, (*Server).deleteIntegration, "dry_run"},
	{"GET", "/integrations/:id/history", access.View, read, (*Server).history, "limit continuation_token"},
	{"GET", "/integrations/:id/calls", access.View, read, (*Server).listCalls, callQuery},
	{"GET", "/integrations/:id/calls/:call/bodies", access.ReadBodies, read, (*Server).getBodies, ""},
	{"GET", "/integrations/:id/usage", access.View, read, (*Server).getUsage, ""},
	{"GET", "/integrations/:id/timeline", access.View, read, (*Server).integrationTimeline, "from to buckets"},
	{"GET", "/activity", access.View, read, (*Server).getActivity, "integration_id"},
	{"GET", "/timeline", access.View, read, (*Server).workspaceTimeline, "from to buckets"},
	{"GET", "/integrations/:id/health", access.View, read, (*Server).listProbes, "limit continuation_token"},
	{"GET", "/integrations/:id/health/stream", access.View, read, (*Server).streamProbes, ""},
	{"POST", "/integrations/:id/restore", access.Update, write, (*Server).restoreIntegration, "dry_run"},
	{"GET", "/integrations/:id/jwks", access.View, read, (*Server).publicKeys, ""},
	{"GET", "/integrations/:id/signing-keys", access.View, read, (*Server).listSigningKeys, ""},
	{"POST", "/integrations/:id/signing-keys/rotate", access.Update, write, (*Server).rotateSigningKeys, "dry_run"},
	{"POST", "/integrations/:id/authorizations", access.Authorize, call, (*Server).startAuthorization, ""},
	{"GET", "/integrations/:id/authorizations", access.Authorize, read, (*Server).listAuthorizations, "state subject account other_client limit continuation_token"},
	{"POST", "/integrations/:id/authorizations/import", access.Authorize, call, (*Server).importAuthorization, ""},
	{"GET", "/integrations/:id/authorizations/:subject", access.Authorize, read, (*Server).getAuthorization, ""},
	{"PUT", "/integrations/:id/authorizations/:subject", access.Authorize, write, (*Server).updateAuthorization, ""},
	{"POST", "/integrations/:id/authorizations/:subject/confirm", access.Authorize, write, (*Server).confirmAuthorization, ""},
	{"DELETE", "/integrations/:id/authorizations/:subject", access.Authorize, call, (*Server).revokeAuthorization, "cascade"},
	{"POST", "/integrations/:id/test-connection", access.View, call, (*Server).testConnection, ""},
	{"POST", "/integrations/:id/discover", access.View, call, (*Server).discover, ""},
	{"POST", "/integrations/:id/endpoints/:name/test", access.View, call, (*Server).testEndpoint, ""},
	{"POST", "/integrations/:id/endpoints/:name/invoke", access.Invoke, call, (*Server).invokeEndpoint, ""},
	{"GET", "/authorizations", access.Authorize, read, (*Server).listAllAuthorizations, "state subject account integration_id limit continuation_token"},
	{"GET", "/integration-tools", access.View, read, (*Server).listTools, "format strict limit continuation_token"},
	{"POST", "/integration-tools/resolve", access.View, read, (*Server).resolveTools, "format strict"},
	{"POST", "/mcp", access.Invoke, call, (*Server).serveMCP, "tools integrations names"},
	{"GET", "/mcp", access.Invoke, read, (*Server).notifyMCP, "tools integrations names"},
	{"POST", "/mcp/:id", access.Invoke, call, (*Server).serveMCP, "tools names"},
	{"GET", "/mcp/:id", access.Invoke, read, (*Server).notifyMCP, "tools names"},
	{"GET", "/approvals", access.View, read, (*Server).listApprovals, "state integration_id key limit continuation_token"},
	{"GET", "/approvals/events", access.View, read, (*Server).listApprovalEvents, "integration_id actor from to limit continuation_token"},
	{"GET", "/approvals/events/stream", access.View, read, (*Server).streamApprovals, ""},
	{"GET", "/approvals/:approval", access.View, read, (*Server).getApproval, ""},
	{"POST", "/approvals/:approval/approve", access.Decide, write, (*Server).approve, ""},
	{"POST", "/approvals/:approval/deny", access.Decide, write, (*Server).deny, ""},
	{"GET", "/access-events", access.Admin, read, (*Server).listAccesses, "type key from to limit continuation_token"},
	{"POST", "/api-keys", access.ManageKeys, write, (*Server).issueKey, ""},
	{"GET", "/api-keys", access.ManageKeys, read, (*Server).listKeys, ""},
	{"DELETE", "/api-keys/:key", access.ManageKeys, write, (*Server).revokeKey, ""},
	{"POST", "/api-keys/:key/rotate", access.ManageKeys, write, (*Server).rotateKey, ""},
	{"POST", "/webhook-destinations", access.ManageHooks, write, (*Server).createDestination, ""},
	{"GET", "/webhook-destinations", access.ManageHooks, read, (*Server).listDestinations, ""},
	{"GET", "/webhook-destinations/:destination", access.ManageHooks, read, (*Server).getDestination, ""},
	{"PUT", "/webhook-destinations/:destination", access.ManageHooks, write, (*Server).updateDestination, ""},
	{"DELETE", "/webhook-destinations/:destination", access.ManageHooks, write, (*Server).deleteDestination, ""},
	{"GET", "/webhook-destinations/:destination/deliveries", access.ManageHooks, read, (*Server).listDeliveries, "status limit continuation_token"},
	{"POST", "/webhook-destinations/:destination/deliveries/:delivery/redeliver", access.ManageHooks, write, (*Server).redeliver, ""},
	{"POST", "/webhook-destinations/:destination/rotate-secret", access.ManageHooks, write, (*Server).rotateDestination, ""},
	{"POST", "/webhook-destinations/:destination/verify", access.ManageHooks, read, (*Server).verifyWebhook, ""},
	{"POST", "/webhook-destinations/:destination/test", access.ManageHooks, call, (*Server).testDestination, ""},
}

// callQuery has the parameters of lists of calls.
const callQuery = "endpoint kind outcome key from to limit continuation_token"

// reservedPaths returns the paths that the router would take for those of an integration,
// where the method is one of these.
func reservedPaths() []string {
	var paths []string
	for _, route := range routes {
		if name, ok := strings.CutPrefix(route.path, "/integrations/"); ok && route.method == http.MethodGet && !strings.ContainsAny(name, ":/") {
			paths = append(paths, route.path)
		}
	}
	return paths
}

// Handler returns the API.
func (s *Server) Handler() http.Handler { return compressed(s.routed()) }

// routed returns the API, uncompressed.
func (s *Server) routed() *gin.Engine {
	r := s.engine()
	get(r, "/", func(c *gin.Context) { c.Redirect(http.StatusSeeOther, cmp.Or(s.Home, "/docs")) })
	get(r, "/openapi.yaml", serveOpenAPI)
	get(r, "/asyncapi.yaml", serveAsyncAPI)
	s.serveDocs(r)
	s.mcp, s.mcpStreams = s.newMCP(false), s.newMCP(true)
	s.pages = &sync.Pool{New: func() any { return new([]byte) }}
	limits := newLimiters(s.Rates, s.Limits)
	get(r, "/jwks/:key_set", s.serveKeySet(limits))
	get(r, "/v1/auth/me", s.serveMe(limits))
	get(r, "/v1/workspaces", s.serveWorkspaces(limits))
	s.serveOAuth(r, limits)
	s.serveTransparency(r, limits)
	v1 := r.Group("/v1/:workspace")
	for _, route := range routes {
		handle := s.serve(route, limits)
		v1.Handle(route.method, route.path, handle)
		if route.method == http.MethodGet {
			v1.HEAD(route.path, handle)
		}
	}
	for _, path := range reservedPaths() {
		for _, method := range []string{http.MethodPut, http.MethodDelete} { // of an integration
			v1.Handle(method, path, s.refuseMethod)
		}
	}
	return r
}

// get adds a route for GET, and for HEAD: the same without a body (RFC 9110, 9.3.2).
func get(r gin.IRoutes, path string, handle gin.HandlerFunc) {
	r.GET(path, handle)
	r.HEAD(path, handle)
}

// refuseMethod answers a method that a path doesn't have. The router has set Allow, except
// for a reserved path, which it takes for that of an integration.
func (s *Server) refuseMethod(c *gin.Context) {
	if _, path, ok := strings.Cut(strings.TrimPrefix(c.Request.URL.Path, "/v1/"), "/"); ok && slices.Contains(reservedPaths(), "/"+path) {
		c.Header("Allow", "GET, HEAD")
	}
	s.refuseAs(c, http.StatusMethodNotAllowed, domain.Errorf(domain.Invalid, "method_not_allowed", "this route doesn't take %s", c.Request.Method))
}

// StatusHandler returns what there is to ask of a process that serves no API:
// whether it is well, and its metrics.
func (s *Server) StatusHandler() http.Handler { return s.engine() }

// engine returns what Handler and StatusHandler have in common.
func (s *Server) engine() *gin.Engine {
	gin.SetMode(gin.ReleaseMode)
	r := gin.New()
	r.HandleMethodNotAllowed = true
	r.RedirectTrailingSlash = false // a path that doesn't exist is a 404
	r.UseEscapedPath = true         // an escaped slash doesn't end the name of an integration
	_ = r.SetTrustedProxies(nil)    // nil never fails: no proxy is trusted
	m := newMetrics(s.Metrics)
	r.Use(abandon, s.identify, s.trace, m.observe, newRequestLog(s.Log).record, s.recordAccess, s.recover, s.checkHost, s.checkOrigin(http.NewCrossOriginProtection()))
	r.NoRoute(func(c *gin.Context) {
		s.refuse(c, domain.Errorf(domain.NotFound, "route_not_found", "there is no such route"))
	})
	r.NoMethod(s.refuseMethod)

	get(r, "/livez", func(c *gin.Context) { c.Status(http.StatusOK) })
	get(r, "/readyz", s.ready)
	get(r, "/metrics", m.serve(s.Metrics))
	return r
}

// serve runs a route: who is it, may they, are they within their limits; then
// the handler, and its answer or its error.
func (s *Server) serve(route route, limits *limiters) gin.HandlerFunc {
	return func(c *gin.Context) {
		r, err := s.authorize(c, route.needs)
		if err == nil {
			var release func()
			r.ctx, release = s.Gate.Open(r.ctx)
			defer release() // once the answer is written
			r.another = func() error { return limits.another(c, r.key.ID, r.workspace, route.class, s.Now()) }
			err = limits.allow(c, r.key.ID, route.class, s.Now())
		}
		if err == nil {
			err = limits.allowIn(c, r.workspace, s.Now())
		}
		if err == nil {
			err = r.refuseOtherParameters(route.query)
		}
		if err == nil && c.Param("id") != "" {
			err = s.visible(r)
		}
		if err != nil {
			s.refuse(c, err)
			return
		}
		a, err := route.handle(s, r)
		if err != nil {
			s.refuse(c, err)
			return
		}
		a.write(c)
	}
}
