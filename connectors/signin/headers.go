package signin

import (
	"context"
	"maps"
	"net/http"
	"net/textproto"
	"slices"

	"github.com/seed677028b5/integrations/connectors/callerror"
	"github.com/seed677028b5/integrations/domain"
)

// SetMCPHeaders opens the secret headers of an MCP server, each for the origin that it
// was given for, and sets them on c.Request.
func SetMCPHeaders(ctx context.Context, c *Call) *callerror.Error {
	return setSecretHeaders(ctx, c, "mcp_headers", c.Integration.MCPHeaders, c.Integration.MCPURL)
}

// SetPlainHeaders sets the headers that every call of an integration carries and that are
// not secret.
func SetPlainHeaders(h http.Header, i domain.Integration) {
	for name, value := range i.Headers {
		if value != nil {
			h.Set(name, *value)
		}
	}
}

// SetSecretHeaders opens the secrets among the headers that every call of an integration
// carries, each for the origin that it was given for, and sets them on c.Request. A header
// that the endpoint has of its own stays.
func SetSecretHeaders(ctx context.Context, c *Call) *callerror.Error {
	if c.Program {
		return nil
	}
	return setSecretHeaders(ctx, c, "headers", c.Integration.HeaderSecrets, c.Request.URL.String())
}

func setSecretHeaders(ctx context.Context, c *Call, field string, headers map[string]domain.SecretRef, target string) *callerror.Error {
	for _, name := range slices.Sorted(maps.Keys(headers)) {
		ref, shown := headers[name], textproto.CanonicalMIMEHeaderKey(name)
		switch {
		case ref.ID == "" || c.Keyring == nil:
			return callerror.Misconfigured("The secret of the header %s in %s is not set.", shown, field)
		case !givenFor(ref, target, true):
			return callerror.Misconfigured("The secret of the header %s in %s was given for another destination; give it again for this one.", shown, field)
		}
		secret, err := c.Keyring(ctx, ref)
		if err != nil {
			return unopened(ctx, err)
		}
		c.Request.SetSecretHeader(name, secret.Reveal(), secret.Reveal())
		c.Opened = append(c.Opened, ref.ID)
	}
	return nil
}
