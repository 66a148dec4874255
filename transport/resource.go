package transport

import (
	"net/http"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/seed677028b5/integrations/domain"
)

// resourceAnswer is the metadata of a workspace as an MCP server (RFC 9728, 2).
type resourceAnswer struct {
	Resource      string   `json:"resource"`
	Name          string   `json:"resource_name"`
	Servers       []string `json:"authorization_servers"`
	Scopes        []string `json:"scopes_supported,omitempty"`
	BearerMethods []string `json:"bearer_methods_supported"`
	Documentation string   `json:"resource_documentation"`
}

// serveResource adds the metadata that clients without an API key look for. It shows
// nothing of what is in a workspace, not even whether it is used.
func (s *Server) serveResource(r gin.IRoutes, limited func(gin.HandlerFunc) gin.HandlerFunc) {
	show := limited(s.showResource)
	get(r, resourcePath+"/v1/:workspace/mcp", show)
	get(r, resourcePath+"/v1/:workspace/mcp/:id", show)
}

func (s *Server) showResource(c *gin.Context) {
	public, err := s.resourceURL()
	if err == nil {
		_, err = domain.ParseWorkspace(c.Param("workspace"))
	}
	if err == nil {
		err = (&request{Context: c}).refuseOtherParameters("")
	}
	if err != nil {
		s.refuse(c, err)
		return
	}
	c.Header("Cache-Control", keySetAge)
	answer{status: http.StatusOK, body: resourceAnswer{
		Resource: public + strings.TrimPrefix(c.Request.URL.EscapedPath(), resourcePath), Name: "Integrations: " + c.Param("workspace"),
		Servers: []string{s.Tokens.Issuer()}, Scopes: s.Tokens.Scopes(), BearerMethods: []string{"header"}, Documentation: public + "/docs",
	}}.write(c)
}
