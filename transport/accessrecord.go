package transport

import (
	"net/http"

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
		denied := status == http.StatusUnauthorized || status == http.StatusForbidden
		if !denied && key == "" {
			return
		}
		r := accesslog.Record{
			Kind: accesslog.Used, Workspace: domain.Workspace(c.GetString(keyWorkspaceAttribute)), Key: key, Address: s.Proxies.caller(c.Request), RequestID: c.GetString(requestIDHeader),
		}
		if asked, err := domain.ParseWorkspace(c.Param("workspace")); err == nil {
			r.Asked = asked
		}
		if r.Workspace == "" { // of an operator, or without a key: the workspace that was asked for sees it
			r.Workspace = r.Asked
		}
		if key != "" && status != http.StatusUnauthorized {
			s.Accesses.Add(r)
		}
		if denied {
			r.Kind, r.Route, r.Code, r.Status = accesslog.Denied, c.Request.Method+" "+c.FullPath(), c.GetString(errorCodeAttribute), status
			s.Accesses.Add(r)
		}
	}()
	c.Next()
}
