package domain

import "fmt"

// maxArgs is the most arguments that an integration may give.
const maxArgs = 50

// readStdio reads the profile that starts the process, and the values of its slots.
// A process has no URL and no headers.
func (i *Integration) readStdio(o *object, profiles map[string][]Slot) {
	o.refuseGiven("mcp_headers", "headers don't apply to the stdio transport")
	for _, name := range []string{"base_url", "mcp_url"} {
		o.refuseGiven(name, "the stdio transport has no URL")
	}
	i.BaseURL, i.MCPURL, i.MCPHeaders = "", "", nil
	before := len(*o.problems)
	o.text("mcp_command", &i.MCPCommand, length(1, 512))
	o.required("mcp_command", i.MCPCommand != "")
	o.texts("mcp_args", &i.MCPArgs, maxArgs)
	if len(profiles) == 0 {
		o.problem("mcp_transport", "mcp_stdio_disabled", "starting a process is not enabled on this service")
		return
	}
	if len(*o.problems) > before {
		return
	}
	slots, known := profiles[i.MCPCommand]
	if !known {
		o.problem("mcp_command", "profile_unknown", "is not a profile that the operator of this service has configured")
		return
	}
	*o.problems = append(*o.problems, ArgumentProblems(slots, i.MCPArgs)...)
}

// refuseHTTPFields refuses the parts of an HTTP request that a process can't be
// sent, and clears them where they are left over.
func (i *Integration) refuseHTTPFields(o *object) {
	if i.Protocol != MCP || i.MCPTransport != Stdio {
		return
	}
	const why = "auth doesn't apply to the stdio transport; the operator's profile provides credentials"
	o.refuseGiven("auth", why)
	i.Auth = nil
	_, given := o.given("endpoints")
	for n := range i.Endpoints {
		e := &i.Endpoints[n]
		at := newObject(fmt.Sprintf("/endpoints/%d", n), nil, o.problems)
		if given && e.Auth != nil {
			at.problem("auth", "not_allowed", why)
		}
		if given && len(e.Headers) > 0 {
			at.problem("headers", "not_allowed", "headers don't apply to the stdio transport")
		}
		if given && e.BaseURL != "" {
			at.problem("base_url", "not_allowed", "the stdio transport has no URL")
		}
		e.Auth, e.Headers, e.BaseURL = nil, map[string]string{}, ""
	}
}
