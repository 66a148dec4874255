package transport

import (
	"net/http"
	"slices"

	"github.com/gin-gonic/gin"

	"github.com/seed677028b5/integrations/accesslog"
	"github.com/seed677028b5/integrations/domain"
)

// recordAccess counts a request that was denied, or made with a valid key, once it is answered.
// It names the route, not the path, which is the caller's.
func (s *Server) recordAccess(c *gin.Context) {
	if s.Accesses == nil {
		return
	}
	defer func() {
		status, key := c.Writer.Status(), c.GetString(keyIDAttribute)
		denied := status == http.StatusUnauthorized || status == http.StatusForbidden || status == http.StatusNotFound && mayBeHidden(c)
		if !denied && key == "" {
			return
		}
		r := s.accessBy(c)
		if key != "" && status != http.StatusUnauthorized {
			s.Accesses.Add(r)
		}
		if denied {
			r.Kind, r.Route, r.Code, r.Status = accesslog.Denied, routeOf(c), c.GetString(errorCodeAttribute), status
			s.Accesses.Add(r)
		}
	}()
	c.Next()
}

// mayBeHidden reports whether a narrowed key named what it does not see, or what is not there: it gets
// the same answer for both, and so does the record.
func mayBeHidden(c *gin.Context) bool {
	return c.GetBool(narrowKeyAttribute) && slices.Contains(hiddenCodes, c.GetString(errorCodeAttribute))
}

// hiddenCodes are the codes of what a scope can hide.
var hiddenCodes = []string{"integration_not_found", "endpoint_not_found", "approval_not_found"}

func routeOf(c *gin.Context) string { return c.Request.Method + " " + c.FullPath() }

// accessBy returns a record of the use of the key of a request.
func (s *Server) accessBy(c *gin.Context) accesslog.Record {
	r := accesslog.Record{
		Kind: accesslog.Used, Workspace: domain.Workspace(c.GetString(keyWorkspaceAttribute)), Key: c.GetString(keyIDAttribute),
		Address: s.Proxies.caller(c.Request), RequestID: c.GetString(requestIDHeader),
	}
	if asked, err := domain.ParseWorkspace(c.Param("workspace")); err == nil {
		r.Asked = asked
	}
	if r.Workspace == "" { // of an operator, or without a key: the workspace that was asked for sees it
		r.Workspace = r.Asked
	}
	return r
}

// recordRefusal records that a request inside JSON-RPC was refused, if REST would answer the
// refusal with 401 or 403.
func (s *Server) recordRefusal(r *request, method string, refusal *domain.Error) {
	if refusal.Kind == domain.Unauthenticated || refusal.Kind == domain.Forbidden {
		s.recordDenied(r, method, refusal.Code)
	}
}

// recordUnresolved records that a narrowed key named what it does not see in a list, of which the
// answer has the status 200: once for each request, with the first code.
func (s *Server) recordUnresolved(r *request, problems []domain.Problem) {
	at := slices.IndexFunc(problems, func(p domain.Problem) bool { return slices.Contains(hiddenCodes, p.Code) })
	if s.Accesses == nil || at < 0 || !r.key.Scope.Narrow() {
		return
	}
	denied := s.accessBy(r.Context)
	denied.Kind, denied.Route, denied.Code, denied.Status = accesslog.Denied, routeOf(r.Context), problems[at].Code, http.StatusNotFound
	s.Accesses.Add(denied)
}

// recordUnseen records that a narrowed key named what it does not see. Whether it is there at all
// is not asked: the key gets the same answer.
func (s *Server) recordUnseen(r *request, method, code string) {
	if r.key.Scope.Narrow() {
		s.recordDenied(r, method, code)
	}
}

// recordDenied records that a request inside JSON-RPC was denied. The answer has the status 200,
// so it is recorded here and not when the HTTP request ends; with the method of JSON-RPC, and 403,
// which is what the denial means.
func (s *Server) recordDenied(r *request, method, code string) {
	if s.Accesses == nil {
		return
	}
	denied := s.accessBy(r.Context)
	denied.Kind, denied.Route, denied.Code, denied.Status = accesslog.Denied, routeOf(r.Context)+" "+method, code, http.StatusForbidden
	s.Accesses.Add(denied)
}
