package transport

import (
	"slices"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/seed677028b5/integrations/access"
	"github.com/seed677028b5/integrations/domain"
)

// resourcePath begins the path of the metadata of a protected resource, which ends in that
// of the resource (RFC 9728, 3.1).
const resourcePath = "/.well-known/oauth-protected-resource"

// resourceURL returns the URL that resources of this service begin with.
func (s *Server) resourceURL() (string, error) {
	if s.Tokens == nil {
		return "", domain.Errorf(domain.NotFound, "no_authorization_server", "this service takes API keys only; its operator can set --oidc-grants")
	}
	public := strings.TrimSuffix(s.Commands.PublicURL(), "/")
	if public == "" {
		return "", domain.Errorf(domain.NotFound, "no_authorization_server", "this service does not know its own URL, which its operator can set with --public-url")
	}
	return public, nil
}

// challenge returns the header WWW-Authenticate of a refusal (RFC 6750, 3; RFC 9728, 5.1).
func (s *Server) challenge(c *gin.Context, refusal *domain.Error) string {
	text := realm
	if refusal.Code != "unauthenticated" { // a token, which has been looked at
		text += parameter("error", "invalid_token") + parameter("error_description", refusal.Message)
	}
	at := s.metadataOf(c)
	if at == "" {
		return text
	}
	if scopes := s.Tokens.Scopes(); len(scopes) > 0 {
		text += parameter("scope", strings.Join(scopes, " "))
	}
	return text + parameter("resource_metadata", at)
}

// askForScope adds a challenge that names the scopes with which the caller would have a
// permission, if there are any.
func (s *Server) askForScope(c *gin.Context, key access.Key, needs access.Permission) {
	if key.SignedIn == nil {
		return
	}
	missing := key.SignedIn.MissingScope(needs)
	if missing == "" {
		return
	}
	text := realm + parameter("error", "insufficient_scope") + parameter("scope", strings.Join(append(slices.Clone(key.SignedIn.Scopes), missing), " "))
	if at := s.metadataOf(c); at != "" {
		text += parameter("resource_metadata", at)
	}
	c.Header("WWW-Authenticate", text)
}

const realm = `Bearer realm="integrations"`

// parameter returns a further parameter of a challenge.
func parameter(name, value string) string { return ", " + name + `="` + quotable(value) + `"` }

// metadataOf returns where the metadata of an MCP server is, "" for a request of anything
// else and where there is none.
func (s *Server) metadataOf(c *gin.Context) string {
	if route := c.FullPath(); route != "/v1/:workspace/mcp" && route != "/v1/:workspace/mcp/:id" {
		return ""
	}
	public, err := s.resourceURL()
	if err != nil {
		return ""
	}
	return public + resourcePath + c.Request.URL.EscapedPath()
}

// quotable returns the characters of a text that a parameter of a challenge may have.
func quotable(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' || r == '"' || r == '\\' {
			return -1
		}
		return r
	}, text)
}
