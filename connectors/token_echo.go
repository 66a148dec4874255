package connectors

import (
	"encoding/json"
	"net/url"
	"slices"
	"strings"

	"github.com/seed677028b5/integrations/connectors/scrub"
)

// holds reports whether a token is in the request for it, or has one of its
// secrets in it. A token endpoint that repeats what it is asked would have that
// sent to wherever its tokens go.
func (o *outgoing) holds(token string) bool {
	if scrub.New(o.secrets...).Finds(token) {
		return true
	}
	parts := append([]string{string(o.body)}, o.secrets...)
	for _, values := range o.header {
		parts = append(parts, values...)
	}
	if form, err := url.ParseQuery(string(o.body)); err == nil {
		for _, values := range form {
			parts = append(parts, values...)
		}
	}
	var members map[string]string
	if json.Unmarshal(o.body, &members) == nil {
		for _, value := range members {
			parts = append(parts, value)
		}
	}
	return slices.ContainsFunc(parts, func(part string) bool { return strings.Contains(part, token) })
}
