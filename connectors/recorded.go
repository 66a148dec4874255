package connectors

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/seed677028b5/integrations/connectors/jsonvalue"
	"github.com/seed677028b5/integrations/connectors/scrub"
	"github.com/seed677028b5/integrations/domain"
)

// recorded returns what is kept of a call whose bodies are recorded: without the secrets that the
// caller has given, in the request by their place, and in the answer by their value. It returns
// nil where there is none.
func recorded(ctx context.Context, p protocol, call domain.Call, auth *domain.Auth, params map[string]any, result domain.CallResult) *domain.RecordedCall {
	if call.Endpoint.Record != domain.RecordBodies {
		return nil
	}
	m := masking{}
	_ = json.Unmarshal(call.Endpoint.InputSchema, &m.root) // without a schema the names remain
	masked, _ := m.mask("", m.root, params, 0).(map[string]any)
	if !m.found {
		return nil
	}
	kept := &domain.RecordedCall{Request: domain.CallRequest{Method: result.Request.Method, URL: cmp.Or(call.Endpoint.BaseURL, call.Integration.BaseURL) + call.Endpoint.Path, Body: scrub.Mask}}
	call.Params = masked
	if r, problems, e := p.build(ctx, call, auth, masked); e == nil && len(problems) == 0 {
		kept.Request = r.Request.Shown()
	}
	kept.Response = scrub.New(m.values...).Value(result.RawResponse)
	return kept
}

// masking masks the secrets among the parameters of a call.
type masking struct {
	root   map[string]any // the schema of the parameters
	found  bool
	values []string
}

// maxSecretDepth bounds how deep parameters, and references of their schema, are followed.
const maxSecretDepth = 32

// mask returns a parameter, or a member of one, with a mask in the place of what is secret.
func (m *masking) mask(name string, schema map[string]any, v any, depth int) any {
	branches := m.branches(schema, depth)
	if v != nil && name != "" && (isSecretName(name) || slices.ContainsFunc(branches, marksSecret)) || depth > maxSecretDepth {
		m.found = true
		m.collect(v)
		return scrub.Mask
	}
	of := func(keyword, member string) map[string]any {
		all := map[string]any{}
		var also []any
		for _, branch := range branches {
			under, _ := branch[keyword].(map[string]any)
			if member != "" {
				under, _ = under[member].(map[string]any)
			}
			if under != nil {
				also = append(also, under)
			}
		}
		all["allOf"] = also
		return all
	}
	switch v := v.(type) {
	case map[string]any:
		masked := make(map[string]any, len(v))
		for key, member := range v {
			masked[key] = m.mask(key, of("properties", key), member, depth+1)
		}
		return masked
	case []any:
		masked := make([]any, len(v))
		for n, element := range v {
			masked[n] = m.mask(name, of("items", ""), element, depth+1)
		}
		return masked
	}
	return v
}

// branches returns a schema and all that it is put together from.
func (m *masking) branches(schema map[string]any, depth int) []map[string]any {
	if schema == nil || depth > maxSecretDepth {
		return nil
	}
	all := []map[string]any{schema}
	if ref, ok := schema["$ref"].(string); ok {
		all = append(all, m.branches(m.referenced(ref), depth+1)...)
	}
	for _, keyword := range []string{"allOf", "anyOf", "oneOf"} {
		some, _ := schema[keyword].([]any)
		for _, one := range some {
			branch, _ := one.(map[string]any)
			all = append(all, m.branches(branch, depth+1)...)
		}
	}
	return all
}

// referenced returns the schema that a reference within the root names, nil for any other.
func (m *masking) referenced(ref string) map[string]any {
	path, local := strings.CutPrefix(ref, "#/")
	if !local {
		return nil
	}
	at := m.root
	for part := range strings.SplitSeq(path, "/") {
		at, _ = at[strings.NewReplacer("~1", "/", "~0", "~").Replace(part)].(map[string]any)
	}
	return at
}

// collect adds the texts and numbers of a secret.
func (m *masking) collect(v any) {
	switch v := v.(type) {
	case map[string]any:
		for _, member := range v {
			m.collect(member)
		}
	case []any:
		for _, element := range v {
			m.collect(element)
		}
	default:
		if text, ok := jsonvalue.Scalar(v); ok {
			m.values = append(m.values, text)
		} else if v != nil {
			m.values = append(m.values, fmt.Sprint(v))
		}
	}
}

// marksSecret reports whether a schema is of a secret.
func marksSecret(schema map[string]any) bool {
	return schema["format"] == "password" || schema["writeOnly"] == true
}

// secretNames are the names of parameters that are secret whatever their schema, in lower case
// and without separators; secretEnds are ends of such names.
var (
	secretNames = []string{"pwd", "pin", "otp", "token", "authorization", "credentials", "cvv", "cvc"}
	secretEnds  = []string{"password", "passwd", "passphrase", "passcode", "secret", "apikey", "privatekey", "accesstoken", "refreshtoken", "idtoken", "authtoken", "sessiontoken", "bearertoken", "secretkey"}
)

func isSecretName(name string) bool {
	plain := strings.Map(func(r rune) rune {
		if r == '_' || r == '-' || r == '.' || r == ' ' {
			return -1
		}
		return r
	}, strings.ToLower(name))
	return slices.Contains(secretNames, plain) || slices.ContainsFunc(secretEnds, func(end string) bool { return strings.HasSuffix(plain, end) })
}
