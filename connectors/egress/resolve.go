package egress

import (
	"net/url"
	"strings"

	"github.com/seed677028b5/integrations/connectors/callerror"
	"github.com/seed677028b5/integrations/domain"
)

// Resolve returns the URL of path below base. It returns an error unless that is at the
// same origin and below the same path.
func Resolve(base, path string) (*url.URL, *callerror.Error) {
	root, err := url.Parse(base)
	if err != nil || root.Host == "" || root.Scheme != "http" && root.Scheme != "https" || root.User != nil {
		return nil, callerror.Misconfigured("The base URL of this integration is not set, or is not an http or https URL.")
	}
	prefix := strings.TrimRight(root.EscapedPath(), "/")
	whole := (&url.URL{Scheme: root.Scheme, Host: root.Host}).String()
	switch {
	case path == "" || path[0] == '?':
		whole += root.EscapedPath() + path
	default:
		whole += prefix + "/" + strings.TrimLeft(path, "/")
	}
	target, err := url.Parse(whole)
	outside := callerror.Misconfigured("The path of this endpoint leads away from its base URL.")
	if err != nil || domain.Origin(whole) != domain.Origin(base) || target.User != nil || target.Fragment != "" || domain.HasDotSegment(target.Path) {
		return nil, outside
	}
	if tail, ok := strings.CutPrefix(target.EscapedPath(), prefix); !ok || tail != "" && tail[0] != '/' {
		return nil, outside
	}
	return target, nil
}
