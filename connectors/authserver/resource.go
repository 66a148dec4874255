package authserver

import (
	"context"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"github.com/seed677028b5/integrations/connectors/callerror"
	"github.com/seed677028b5/integrations/connectors/egress"
	"github.com/seed677028b5/integrations/domain"
)

// The messages that an MCP server which needs a token refuses: the first one of a client, and
// for servers that take that from anybody, one that asks for tools.
const (
	hello     = `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"integrations","version":"1"}}}`
	askTools  = `{"jsonrpc":"2.0","id":2,"method":"tools/list","params":{}}`
	mcpAccept = "application/json, text/event-stream"
)

// challenge asks an MCP server without a token, and returns the parameters of its Bearer
// challenge (RFC 6750, 3). It has none when the server answers without one: some serve
// everything but the calls of tools.
func (f *Finder) challenge(ctx context.Context, mcpURL string) map[string]string {
	target, err := url.Parse(mcpURL)
	if err != nil || target.Host == "" {
		return nil
	}
	for _, message := range []string{hello, askTools} {
		got, e := f.Client.Do(ctx, &egress.Request{Method: http.MethodPost, URL: target, MaxAnswer: maxDocument, Body: []byte(message), Header: http.Header{
			"User-Agent": {f.Client.UserAgent}, "Accept": {mcpAccept}, "Content-Type": {"application/json"},
		}})
		if e != nil {
			f.note("challenge", "The MCP server did not answer: %s", e.Sentence)
			return nil
		}
		f.note("challenge", "The MCP server answered %d.", got.Status)
		if params := bearerChallenge(got.Header.Values("Www-Authenticate")); params != nil || got.Status >= 400 {
			return params
		}
	}
	return nil
}

var challengeParam = regexp.MustCompile(`([A-Za-z_-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))`)

// bearerChallenge returns the parameters of the first Bearer challenge (RFC 9110, 11.6.1).
func bearerChallenge(headers []string) map[string]string {
	for _, header := range headers {
		scheme := strings.Index(strings.ToLower(header), "bearer")
		if scheme < 0 {
			continue
		}
		params := map[string]string{}
		for _, match := range challengeParam.FindAllStringSubmatch(header[scheme+len("bearer"):], 20) {
			name := strings.ToLower(match[1])
			if _, known := params[name]; !known {
				params[name] = strings.ReplaceAll(match[2]+match[3], `\`, "")
			}
		}
		return params
	}
	return nil
}

// resource is what a protected resource describes itself as (RFC 9728).
type resource struct {
	name    string // byte for byte
	servers []string
	scopes  []string
}

// resource reads the metadata of an MCP server: where its challenge names it, else with the
// path inserted, appended, and at the root. Without any the zero value is returned.
func (f *Finder) resource(ctx context.Context, mcpURL string, challenge map[string]string) (resource, *callerror.Error) {
	target, err := url.Parse(mcpURL)
	if err != nil || target.Host == "" {
		return resource{}, callerror.Misconfigured("The mcp_url of this integration is not set, or is not an http or https URL.")
	}
	const known = "/.well-known/oauth-protected-resource"
	origin, path := target.Scheme+"://"+target.Host, strings.TrimRight(target.EscapedPath(), "/")
	var candidates []string
	if named := challenge["resource_metadata"]; named != "" {
		candidates = append(candidates, named)
	}
	if path != "" {
		candidates = append(candidates, origin+known+path, origin+path+known)
	}
	candidates = append(candidates, origin+known)
	for _, at := range candidates {
		members, e := f.fetch(ctx, at)
		if e != nil {
			f.note("resource_metadata", "%s has none: %s", at, e.Sentence)
			continue
		}
		r := resource{servers: texts(members["authorization_servers"]), scopes: texts(members["scopes_supported"])}
		r.name, _ = members["resource"].(string)
		if r.name != "" && !covers(r.name, mcpURL) {
			return resource{}, callerror.FoundMisconfigured("The document %s describes the resource %q, which is not the MCP server %s.", at, r.name, mcpURL)
		}
		f.note("resource_metadata", "%s describes the resource %q.", at, r.name)
		return r, nil
	}
	return resource{}, nil
}

// covers reports whether a resource is the one at a URL, or a parent of it by whole segments
// of the path, at the same origin.
func covers(name, target string) bool {
	n, err := url.Parse(name)
	t, terr := url.Parse(target)
	if err != nil || terr != nil || domain.Origin(name) != domain.Origin(target) {
		return false
	}
	parent, child := strings.TrimRight(n.EscapedPath(), "/"), strings.TrimRight(t.EscapedPath(), "/")
	return parent == child || strings.HasPrefix(child, parent+"/")
}
