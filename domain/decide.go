package domain

import (
	"fmt"
	"net/textproto"
)

// Create decides to create an integration from doc. It refuses with Invalid, which
// lists every problem, or with Conflict and the code name_taken.
func (i Integration) Create(w Workspace, doc Document, by Attempt, rules Rules) (Decision, error) {
	var problems []Problem
	o := newObject("", doc, &problems)
	next := Integration{
		Workspace: w, Incarnation: i.Version + 1, Version: i.Version + 1, CreatedAt: by.At, UpdatedAt: by.At,
		Configuration: Configuration{Protocol: REST, Enabled: true, Endpoints: []Endpoint{}},
	}
	o.text("name", &next.Name, length(2, 128), integrationName)
	o.required("name", next.Name != "")
	next.ID = NewID(w, next.Name)
	seal := next.read(o, Integration{}, by, rules)
	if err := RefuseAll(problems); err != nil {
		return Decision{}, err
	}
	if i.Exists() {
		return Decision{}, Errorf(Conflict, "name_taken", "an integration named %q exists in this workspace", next.Name)
	}
	return Decision{Event: IntegrationCreated{Integration: next}, Seal: seal}, nil
}

// Update decides to change the members that doc has. An absent member keeps its
// value. It refuses with NotFound, or with Invalid, which lists every problem.
func (i Integration) Update(doc Document, by Attempt, rules Rules) (Decision, error) {
	if err := i.changeable(); err != nil {
		return Decision{}, err
	}
	return i.updated(i.Configuration.clone(), doc, by, rules)
}

// Merge is Update, except that endpoints that doc doesn't name stay.
func (i Integration) Merge(doc Document, by Attempt, rules Rules) (Decision, error) {
	if err := i.changeable(); err != nil {
		return Decision{}, err
	}
	rules.keepEndpoints = true
	return i.updated(i.Configuration.clone(), doc, by, rules)
}

// updated decides to change the configuration to doc read over from.
func (i Integration) updated(from Configuration, doc Document, by Attempt, rules Rules) (Decision, error) {
	var problems []Problem
	o := newObject("", doc, &problems)
	i.readOnly(o)
	next := i
	next.Configuration = from
	seal := next.read(o, i, by, rules)
	if err := RefuseAll(problems); err != nil {
		return Decision{}, err
	}
	changed := pointers(i.Configuration, next.Configuration)
	if len(changed) == 0 {
		return Decision{}, nil
	}
	next.Version, next.UpdatedAt = i.Version+1, by.At
	return Decision{Event: IntegrationUpdated{Integration: next, Changed: changed}, Seal: seal}, nil
}

// Delete decides to delete the integration. It refuses with NotFound.
func (i Integration) Delete(reason string, by Attempt) (Decision, error) {
	if err := i.changeable(); err != nil {
		return Decision{}, err
	}
	return Decision{Event: IntegrationDeleted{
		ID: i.ID, Workspace: i.Workspace, Name: i.Name, Version: i.Version + 1, At: by.At, Reason: reason,
	}}, nil
}

func (i Integration) changeable() error {
	if i.Builtin {
		return Errorf(Conflict, "builtin", "%s is managed by the platform and can't be changed", i.Name)
	}
	if !i.Exists() {
		return NoSuchIntegration()
	}
	return nil
}

// read reads a configuration over the present one and determines the destinations
// of its secrets. Now is the integration as it is.
func (i *Integration) read(o *object, now Integration, by Attempt, rules Rules) []SealedSecret {
	o.text("display_name", &i.DisplayName, length(1, 256), noControl)
	o.required("display_name", i.DisplayName != "")
	choice(o, "protocol", &i.Protocol, Protocols()...)
	if v, _ := o.given("base_url"); i.Protocol != MCP || v != "" { // an MCP server may have none
		o.text("base_url", &i.BaseURL, ofAccount(baseURL))
	}
	o.required("base_url", i.BaseURL != "" || i.Protocol == MCP)
	o.boolean("enabled", &i.Enabled)
	i.readHealthCheck(o)
	mcpHeaders := i.readMCP(o, rules)
	var auth givenSecrets
	i.Auth, auth = readAuth(o, i.Auth)
	headers := i.readHeaders(o)
	endpoints := readEndpoints(o, &i.Endpoints, rules)
	i.refuseHTTPFields(o)
	i.refuseRequestFields(o)
	i.refuseAuthHeaders(o, now)
	i.refuseSigners(o)
	i.refuseConsent(o)
	i.refuseUndiscoverable(o)
	i.refuseAccount(o)
	o.done()

	s := sealer{by: by}
	s.auth(o, "auth", authAt{i.Auth, i.authURLs()}, authAt{now.Auth, now.authURLs()}, auth)
	for n := range i.Endpoints {
		name := i.Endpoints[n].Name
		at := newObject(fmt.Sprintf("/endpoints/%d", n), nil, o.problems)
		s.auth(at, "endpoints."+name+".auth", i.endpointAuth(name), now.endpointAuth(name), endpoints[n])
	}
	s.mcpHeaders(i, o, mcpHeaders)
	s.headers(i, i.headerURLs(), now.headerURLs(), o, headers)
	if rules.keepEndpoints {
		i.orderEndpoints(now.Endpoints)
	}
	return s.sealed
}

// authURLs returns where the integration's own auth goes: its base URL, and the base URL
// of every endpoint that overrides it and has no auth of its own.
func (i *Integration) authURLs() []string {
	urls := []string{i.BaseURL, i.MCPURL}
	for _, e := range i.Endpoints {
		if e.Auth == nil {
			urls = append(urls, e.BaseURL)
		}
	}
	return i.Auth.allPatterns(urls)
}

// endpointAuth returns an endpoint's own auth, and where it goes.
func (i *Integration) endpointAuth(name string) authAt {
	for _, e := range i.Endpoints {
		if e.Name == name {
			return authAt{e.Auth, i.Auth.patterns(firstOf(i.MCPURL, e.BaseURL, i.BaseURL))}
		}
	}
	return authAt{}
}

// headerURLs returns where the headers of the integration go: with every call.
func (i *Integration) headerURLs() []string {
	urls := []string{i.BaseURL, i.MCPURL}
	for _, e := range i.Endpoints {
		urls = append(urls, e.BaseURL)
	}
	return i.Auth.allPatterns(urls)
}

func firstOf(texts ...string) string {
	for _, s := range texts {
		if s != "" {
			return s
		}
	}
	return ""
}

func (i *Integration) readHealthCheck(o *object) {
	if o.null("health_check") {
		i.HealthCheck = nil
	}
	o.object("health_check", func(in *object) {
		next := HealthCheck{Method: "GET", IntervalSeconds: 300}
		if i.HealthCheck != nil {
			next = *i.HealthCheck
		}
		if in.null("expect_status") {
			next.ExpectStatus = 0
		}
		choice(in, "method", &next.Method, "GET", "HEAD")
		in.text("path", &next.Path, length(0, 2048), fixedPath)
		in.integer("expect_status", &next.ExpectStatus, 100, 599)
		in.integer("interval_seconds", &next.IntervalSeconds, 0, 86_400)
		in.done()
		i.HealthCheck = &next
	})
	o.known["health_check"] = true
}

// readMCP reads the fields of an MCP server. A field that doesn't apply to the
// protocol or the transport is refused if given, and otherwise cleared.
func (i *Integration) readMCP(o *object, rules Rules) givenSecrets {
	if i.Protocol != MCP {
		for _, name := range []string{"mcp_transport", "mcp_command", "mcp_args", "mcp_url", "mcp_headers", "mcp_session"} {
			o.refuseGiven(name, "only an integration with protocol mcp has this")
		}
		i.MCPTransport, i.MCPCommand, i.MCPArgs, i.MCPURL, i.MCPHeaders, i.MCPSession = "", "", nil, "", nil, ""
		return nil
	}
	choice(o, "mcp_transport", &i.MCPTransport, Stdio, SSE, HTTP)
	o.required("mcp_transport", i.MCPTransport != "")
	if o.null("mcp_session") {
		i.MCPSession = SessionAuto
	}
	choice(o, "mcp_session", &i.MCPSession, SessionPerCall, SessionKept)
	if i.MCPTransport == SSE && i.MCPSession == SessionKept {
		o.problem("mcp_session", "not_allowed", "a session over sse ends with its call")
	}
	if i.MCPTransport == Stdio {
		i.readStdio(o, rules.Stdio)
		return nil
	}
	o.refuseGiven("mcp_command", "only the stdio transport has this")
	o.refuseGiven("mcp_args", "only the stdio transport has this")
	i.MCPCommand, i.MCPArgs = "", nil
	o.text("mcp_url", &i.MCPURL, webURL)
	o.required("mcp_url", i.MCPURL != "")
	return i.readMCPHeaders(o)
}

// refuseAuthHeaders refuses a header that the auth of its endpoint sets: its value
// is stored in clear and would be overwritten. A header stored before this rule
// existed stays until the request names it, so that the key can still be changed.
func (i *Integration) refuseAuthHeaders(o *object, now Integration) {
	if o.members["endpoints"] == nil && i.Auth.header() == now.Auth.header() {
		return
	}
	for n, e := range i.Endpoints {
		name := i.Auth.header()
		if e.Auth != nil {
			name = e.Auth.header()
		}
		if _, set := e.Headers[textproto.CanonicalMIMEHeaderKey(name)]; set {
			headers := newObject(fmt.Sprintf("/endpoints/%d/headers", n), nil, o.problems)
			headers.problem(name, "header_not_allowed", "is a header that auth sets")
		}
		for property, p := range e.Parameters {
			if name != "" && p.In == InHeader && headerAlike(p.WireName(property)) == headerAlike(name) {
				parameters := newObject(fmt.Sprintf("/endpoints/%d/parameters", n), nil, o.problems)
				parameters.problem(property, "header_not_allowed", "is a header that auth sets")
			}
		}
	}
}

// refuseSigners refuses the types that sign each request by what is in it, where the
// requests are those of a session that the MCP client makes.
func (i *Integration) refuseSigners(o *object) {
	if i.Protocol != MCP {
		return
	}
	check := func(at *object, a *Auth) {
		if a == nil {
			return
		}
		switch a.Type {
		case AWSSigV4, OAuth1, Digest, HMAC:
			at.problem("type", "not_allowed", "can't be used with MCP: it signs each request by what is in it")
		default:
			if a.DPoP && i.MCPTransport == Stdio {
				at.problem("dpop", "not_allowed", "can't be used with a program: no requests are sent to it that could carry a proof")
			}
		}
	}
	check(newObject("/auth", nil, o.problems), i.Auth)
	for n, e := range i.Endpoints {
		check(newObject(fmt.Sprintf("/endpoints/%d/auth", n), nil, o.problems), e.Auth)
	}
}
