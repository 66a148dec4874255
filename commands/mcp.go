package commands

import (
	"context"

	"github.com/seed677028b5/integrations/domain"
)

// QueryMCP makes a request to the MCP server of an enabled integration. What reads is recorded
// as a call. A failure of the upstream is in the reply. A key that is narrowed to some endpoints
// sees nothing but those: it is refused with NotFound.
func (s *Service) QueryMCP(ctx context.Context, by Caller, id domain.ID, method domain.MCPMethod, params domain.Document) (domain.MCPReply, error) {
	i, err := s.callable(ctx, by, id)
	if err != nil {
		return domain.MCPReply{}, err
	}
	if i.Protocol != domain.MCP || domain.ScopeOf(ctx).NarrowsEndpoints() {
		return domain.MCPReply{}, domain.NoSuchIntegration()
	}
	reply, err := withSecrets(ctx, s, by, i, func(now domain.Integration, keyring domain.Keyring) (domain.MCPReply, error) {
		if i = now; !i.Enabled {
			return domain.MCPReply{}, domain.Errorf(domain.Conflict, "integration_disabled", "the integration %q is disabled", i.Name)
		}
		return s.Connectors.Query(ctx, domain.MCPQuery{
			Integration: i, Keyring: keyring, Subject: by.OnBehalfOf, TraceParent: by.TraceParent, Method: method, Params: params,
		})
	})
	if err != nil {
		return domain.MCPReply{}, err
	}
	if method.Reads() {
		s.afterCall(ctx, by, i, &reply.Call)
		s.recordCall(ctx, by, i, domain.Endpoint{}, domain.MCPCall, reply.Call)
	}
	return reply, nil
}
