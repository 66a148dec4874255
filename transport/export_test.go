package transport

import (
	"github.com/gin-gonic/gin"

	"github.com/seed677028b5/integrations/access"
	"github.com/seed677028b5/integrations/domain"
)

// A RouteInfo is an entry of the table of routes, for tests.
type RouteInfo struct {
	Method, Path string
	Needs        access.Permission
	Query        string
}

// Routes returns the table of routes.
func Routes() []RouteInfo {
	all := make([]RouteInfo, len(routes))
	for n, r := range routes {
		all[n] = RouteInfo{r.method, r.path, r.needs, r.query}
	}
	return all
}

// Engine returns the router of the API.
func (s *Server) Engine() *gin.Engine { return s.routed() }

// Decode is decode, for the fuzzer.
func Decode(data []byte) (domain.Document, error) { return decode(data) }
