package domain

import "fmt"

// refuseUndiscoverable refuses a token endpoint that is neither given nor named by anybody:
// only MCP servers name their authorization server.
func (i *Integration) refuseUndiscoverable(o *object) {
	refuse := func(at string, a *Auth) {
		if a == nil || !a.provesClient() || i.Protocol == MCP {
			return
		}
		in := newObject(at, nil, o.problems)
		in.required("token_url", a.TokenURL != "" || a.Issuer != "")
		in.required("resource_token_url", !a.AssertsIdentity() || a.ResourceTokenURL != "" || a.ResourceIssuer != "")
	}
	refuse("/auth", i.Auth)
	for n := range i.Endpoints {
		refuse(fmt.Sprintf("/endpoints/%d/auth", n), i.Endpoints[n].Auth)
	}
}
