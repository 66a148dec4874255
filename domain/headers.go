package domain

import (
	"maps"
	"net/textproto"
	"slices"
	"strings"
)

// readMCPHeaders reads headers whose values are secrets. Null keeps the present
// value, so that a document that was read can be sent back.
func (i *Integration) readMCPHeaders(o *object) givenSecrets {
	given := givenSecrets{}
	o.object("mcp_headers", func(in *object) {
		present, seen := i.MCPHeaders, map[string]bool{}
		i.MCPHeaders = map[string]SecretRef{}
		if len(in.members) > maxHeaders {
			in.problem("", "too_many", "has %d members; at most %d are allowed", len(in.members), maxHeaders)
			return
		}
		in.each(func(name string) {
			if !in.check(name, name, credentialHeader) {
				return
			}
			canonical := strings.ToLower(name)
			if seen[canonical] {
				in.problem(name, "duplicate", "is the same header as another one here")
			}
			seen[canonical] = true
			given.read(in, canonical, name, length(1, maxSecret), noControl, noEdgeSpace)
			i.MCPHeaders[canonical] = present[canonical]
		})
	})
	return given
}

// readHeaders reads the headers of every call: texts, and secrets.
func (i *Integration) readHeaders(o *object) givenSecrets {
	if i.Protocol == MCP && i.MCPTransport == Stdio {
		o.refuseGiven("headers", "a program gets no headers")
		i.Headers = nil
		return nil
	}
	given := givenSecrets{}
	given.readValues(o, "headers", &i.Headers, maxHeaders, credentialHeader,
		[]rule{headerValue, length(1, maxSecret)}, []rule{length(1, maxSecret), noControl, noEdgeSpace})
	at := newObject("/headers", nil, o.problems)
	canonical, seen := map[string]*string{}, map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(i.Headers)) {
		value := i.Headers[name]
		if value != nil {
			at.check(name, name, freeHeader)
		}
		if i.Auth.sets(textproto.CanonicalMIMEHeaderKey(name)) {
			at.problem(name, "header_not_allowed", "is a header that auth sets")
		}
		key := strings.ToLower(name)
		if seen[key] {
			at.problem(name, "duplicate", "is the same header as another one here")
		}
		seen[key] = true
		canonical[name] = value
	}
	i.Headers = canonical
	if len(canonical) == 0 {
		i.Headers = nil
	}
	return given
}
