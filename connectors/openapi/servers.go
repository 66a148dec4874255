package openapi

import (
	"net/url"
	"slices"
	"strings"

	"github.com/seed677028b5/integrations/connectors/jsonvalue"
	"github.com/seed677028b5/integrations/domain"
)

const maxServers = 100 // that are looked at

// notInServers are what no URL of a server has: documents have texts there as well, such
// as <address of your terminal>, which would read as a relative path.
const notInServers = "{}?#<>\"\\^`| "

// server returns where the operation is: its base URL, "" for that of the integration,
// and what lies between it and its path. The servers of the operation count before those
// of the path and of the document. Among several, one at the integration's base URL does,
// else the first one, by https if it is there by both schemes.
func (b *builder) server() (baseURL, prefix string) {
	for n, holder := range []map[string]any{b.operation.members, b.operation.item, b.document.root} {
		servers, _ := holder["servers"].([]any)
		if len(servers) == 0 {
			continue
		}
		type choice struct{ baseURL, prefix string }
		var usable []choice
		for _, one := range servers[:min(len(servers), maxServers)] {
			address := b.address(one)
			base, between, ok := locate(b.in.BaseURL, b.in.Found, address, n < 2)
			if ok && base == "" {
				return base, between
			}
			if ok {
				usable = append(usable, choice{base, between})
			}
		}
		if len(usable) > 0 {
			first := usable[0]
			if rest, plain := strings.CutPrefix(first.baseURL, "http://"); plain { // credentials travel by TLS where they can
				if safe := (choice{"https://" + rest, first.prefix}); slices.Contains(usable, safe) {
					return safe.baseURL, safe.prefix
				}
			}
			return first.baseURL, first.prefix
		}
		if n < 2 || jsonvalue.FirstString(b.document.object(servers[0])["url"]) != "" {
			b.notes.add("its server %s can't be called as it stands: the base URL of the integration is used", quoted(jsonvalue.FirstString(b.document.object(servers[0])["url"])))
		}
		return "", ""
	}
	return "", ""
}

// address returns the URL of a server, with the defaults of its variables.
func (b *builder) address(server any) string {
	members := b.document.object(server)
	variables, _ := members["variables"].(map[string]any)
	return placeholder.ReplaceAllStringFunc(jsonvalue.FirstString(members["url"]), func(name string) string {
		if value := variable(variables[strings.Trim(name, "{}")]); value != "" {
			return value
		}
		return name
	})
}

// locate returns where a server is, seen from an integration. The server's URL may be
// relative to where the document was found, else to the integration; outside of that it
// counts only where it is its operation's own. One that can't be called, such as one with
// {variables}, is not ok.
func locate(base, found, server string, own bool) (baseURL, prefix string, ok bool) {
	root, err := url.Parse(base)
	at, errServer := url.Parse(server)
	if err != nil || errServer != nil || root.Host == "" || server == "" || strings.ContainsAny(server, notInServers) {
		return "", "", false
	}
	from := root
	if found != "" {
		if from, err = url.Parse(found); err != nil {
			return "", "", false
		}
	}
	named := at.Host != ""
	at = from.ResolveReference(at)
	between, inside := strings.CutPrefix(strings.TrimRight(at.Path, "/"), strings.TrimRight(root.Path, "/"))
	switch {
	case domain.Origin(at.String()) == domain.Origin(base) && inside && (between == "" || between[0] == '/'):
		return "", between, true
	case (named || own) && domain.URLProblem(at.String()) == "":
		return at.String(), "", true
	}
	return "", "", false
}

// variable returns the value of a server variable.
func variable(v any) string {
	members, _ := v.(map[string]any)
	text, _ := jsonvalue.Scalar(members["default"])
	if text == "" {
		text, _ = jsonvalue.Scalar(jsonvalue.FirstElement(members["enum"]))
	}
	return text
}
