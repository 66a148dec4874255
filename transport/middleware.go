package transport

import (
	"fmt"
	"net"
	"net/http"
	"regexp"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/seed677028b5/integrations/access"
	"github.com/seed677028b5/integrations/access/oidcauth"
	"github.com/seed677028b5/integrations/commands"
	"github.com/seed677028b5/integrations/domain"
)

const requestIDHeader = "X-Request-Id"

var requestIDSyntax = regexp.MustCompile(`^[A-Za-z0-9._:/+=-]{1,128}$`)

// identify sets the request id: the caller's, or a new one.
func (s *Server) identify(c *gin.Context) {
	id := c.GetHeader(requestIDHeader)
	if !requestIDSyntax.MatchString(id) {
		id = s.NewID()
	}
	c.Set(requestIDHeader, id)
	c.Header(requestIDHeader, id)
	c.Header("X-Content-Type-Options", "nosniff")
	c.Header("Cache-Control", "no-store")
}

func requestID(c *gin.Context) string { return c.GetString(requestIDHeader) }

// recover answers for a handler that panicked.
func (s *Server) recover(c *gin.Context) {
	defer func() {
		if r := recover(); r != nil {
			if r == http.ErrAbortHandler { //nolint:errorlint // net/http compares it the same way
				panic(r)
			}
			s.refuse(c, fmt.Errorf("panic: %v\n%s", r, debug.Stack()))
		}
	}()
	c.Next()
}

// checkHost refuses an unknown Host, so that a page can't reach a local service under a name
// of its own (DNS rebinding). Health checks may use any name, such as the address of a
// container.
func (s *Server) checkHost(c *gin.Context) {
	if slices.Contains([]string{"/livez", "/readyz"}, c.FullPath()) {
		return
	}
	host := c.Request.Host
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	if len(s.Hosts) > 0 && !slices.Contains(s.Hosts, strings.ToLower(strings.Trim(host, "[]"))) {
		s.refuseAs(c, http.StatusMisdirectedRequest, domain.Errorf(domain.Invalid, "host_not_allowed", "this service doesn't serve that Host"))
	}
}

// checkOrigin refuses requests that a browser sends for a page of another origin.
func (s *Server) checkOrigin(protection *http.CrossOriginProtection) gin.HandlerFunc {
	return func(c *gin.Context) {
		if protection.Check(c.Request) != nil {
			s.refuse(c, domain.Errorf(domain.Forbidden, "cross_origin", "requests from pages of another origin are refused"))
		}
	}
}

// authenticate returns the key of the caller, or what their token permits here.
func (s *Server) authenticate(c *gin.Context) (access.Key, error) {
	scheme, token, _ := strings.Cut(c.GetHeader("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		token = ""
	}
	key, err := s.authenticateToken(c, strings.TrimSpace(token))
	if key.ID != "" {
		c.Set(keyIDAttribute, key.ID)
		c.Set(keyWorkspaceAttribute, string(key.Workspace))
	}
	return key, err
}

func (s *Server) authenticateToken(c *gin.Context, token string) (access.Key, error) {
	if s.Tokens != nil && oidcauth.IsSession(token) {
		return s.Tokens.AuthenticateSession(token)
	}
	if s.Tokens == nil || !oidcauth.IsJWT(token) {
		key, err := s.Keys.Authenticate(c.Request.Context(), token)
		if err != nil && s.Tokens != nil {
			err = domain.Errorf(domain.Unauthenticated, "unauthenticated", "pass a valid API key or access token as a bearer token")
		}
		return key, err
	}
	return s.Tokens.Authenticate(c.Request.Context(), token, c.Request.URL.EscapedPath())
}

// authorize authenticates the caller and checks the permission.
func (s *Server) authorize(c *gin.Context, needs access.Permission) (*request, error) {
	key, err := s.authenticate(c)
	if err != nil {
		s.askForScope(c, key, needs)
		return nil, err
	}
	ctx := c.Request.Context()
	w, err := domain.ParseWorkspace(c.Param("workspace"))
	if err != nil {
		return nil, err
	}
	if !key.MayEnter(w) || !key.May(needs) {
		s.askForScope(c, key, needs)
		return nil, domain.Errorf(domain.Forbidden, "forbidden", "this %s lacks the permission %s in this workspace", key.Kind(), needs)
	}
	c.Set(narrowKeyAttribute, key.Scope.Narrow())
	caller := commands.Caller{Workspace: w, Actor: key.ID, Address: s.Proxies.caller(c.Request), RequestID: requestID(c), MayExec: key.May(access.Exec), MayInvoke: key.May(access.Invoke)}
	caller.TraceParent = traceOf(c)
	return &request{Context: c, ctx: domain.WithScope(ctx, key.Scope), key: key, workspace: w, caller: caller}, nil
}
