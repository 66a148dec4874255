package signin

import (
	"context"
	"maps"
	"net/textproto"
	"slices"

	"github.com/seed677028b5/integrations/connectors/callerror"
)

// SetMCPHeaders opens the secret headers of an MCP server, each for the origin that it
// was given for, and sets them on c.Request.
func SetMCPHeaders(ctx context.Context, c *Call) *callerror.Error {
	for _, name := range slices.Sorted(maps.Keys(c.Integration.MCPHeaders)) {
		ref, shown := c.Integration.MCPHeaders[name], textproto.CanonicalMIMEHeaderKey(name)
		switch {
		case ref.ID == "" || c.Keyring == nil:
			return callerror.Misconfigured("The secret of the header %s in mcp_headers is not set.", shown)
		case !givenFor(ref, c.Integration.MCPURL, true):
			return callerror.Misconfigured("The secret of the header %s in mcp_headers was given for another destination; give it again for this one.", shown)
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
