package domain

import (
	"fmt"
	"net/textproto"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

func broken(code, what string, err error) (string, string) {
	if err == nil {
		return "", ""
	}
	return code, fmt.Sprintf("%s: %v", what, err)
}

var (
	endpointSyntax    = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)
	headerSyntax      = regexp.MustCompile("^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}$")
	placeholderSyntax = regexp.MustCompile(`\{([A-Za-z0-9_.-]{1,128})\}`)

	// queryTemplateSyntax matches a form-style query expansion (RFC 6570, 3.2.8 and 3.2.9).
	queryTemplateSyntax = regexp.MustCompile(`\{[?&]([A-Za-z0-9_.-]+\*?(?:,[A-Za-z0-9_.-]+\*?)*)\}$`)
)

func endpointName(s string) (string, string) {
	if !endpointSyntax.MatchString(s) {
		return "pattern", "must be letters, digits, hyphens and underscores"
	}
	return "", ""
}

func noControl(s string) (string, string) {
	if strings.ContainsFunc(s, func(r rune) bool { return r < 0x20 || r == 0x7f }) {
		return "pattern", "must not have control characters"
	}
	return "", ""
}

// noColon is the rule that keeps a user name distinct from its password (RFC 7617, 2).
func noColon(s string) (string, string) {
	if strings.Contains(s, ":") {
		return "pattern", "must not have a colon"
	}
	return "", ""
}

func secretFormat(s string) (string, string) {
	if strings.Count(s, "{secret}") != 1 {
		return "pattern", "must have {secret} in it once"
	}
	return "", ""
}

// webURL is the rule for a URL that will be called.
func webURL(s string) (string, string) {
	if code, detail := length(1, 2048)(s); code != "" {
		return code, detail
	}
	if strings.ContainsFunc(s, func(r rune) bool { return r <= 0x20 || r == 0x7f }) {
		return "url_invalid", "must not have spaces or control characters"
	}
	u, err := url.Parse(s)
	switch {
	case err != nil:
		return "url_invalid", "is not a URL"
	case u.Scheme != "http" && u.Scheme != "https":
		return "url_invalid", "must begin with http:// or https://"
	case u.Opaque != "" || u.Hostname() == "":
		return "url_invalid", "must name a host"
	case u.Port() != "" && !validPort(u.Port()):
		return "url_invalid", "must have a port from 1 to 65535, or none"
	case u.User != nil:
		return "url_invalid", "must not have a user name or password; give them in auth"
	case strings.Contains(s, "#"):
		return "url_invalid", "must not have a fragment"
	case HasDotSegment(u.Path):
		return "url_invalid", "must not have . or .. in its path"
	}
	return "", ""
}

func validPort(s string) bool {
	port, err := strconv.ParseUint(s, 10, 16)
	return err == nil && port > 0
}

// baseURL is the rule for a URL that paths are added to.
func baseURL(s string) (string, string) {
	if code, detail := webURL(s); code != "" {
		return code, detail
	}
	if strings.Contains(s, "?") {
		return "url_invalid", "must not have a query; put it in the path of an endpoint"
	}
	return "", ""
}

// relativePath is the rule for the path of an endpoint: below the base URL, with
// {param} placeholders and perhaps a fixed query or, at its end, optional members of
// the query as in {?name,list*}.
func relativePath(s string) (string, string) {
	if code, detail := noControl(s); code != "" {
		return code, detail
	}
	bare := placeholderSyntax.ReplaceAllString(queryTemplateSyntax.ReplaceAllString(s, ""), "x")
	path, _, _ := strings.Cut(bare, "?")
	unescaped, err := url.PathUnescape(path)
	switch {
	case strings.ContainsAny(bare, "{}"):
		return "path_invalid", "has a brace that is not part of a {param} placeholder"
	case strings.HasPrefix(s, "//") || strings.Contains(path, "\\"):
		return "path_invalid", "must be relative to the base URL"
	case strings.Contains(strings.SplitN(path, "/", 2)[0], ":"):
		return "path_invalid", "must be relative to the base URL, without a scheme; begin it with /"
	case strings.Contains(bare, "#"):
		return "path_invalid", "must not have a fragment"
	case strings.Contains(bare, " "):
		return "path_invalid", "must not have spaces"
	case err != nil:
		return "path_invalid", "has a broken percent escape"
	case HasDotSegment(unescaped):
		return "path_invalid", "must not have . or .. in it"
	}
	return "", ""
}

// fixedPath is relativePath without placeholders, but for values of the account.
func fixedPath(s string) (string, string) {
	s = accountSyntax.ReplaceAllString(s, "x")
	if placeholderSyntax.MatchString(s) || queryTemplateSyntax.MatchString(s) {
		return "path_invalid", "must not have placeholders"
	}
	return relativePath(s)
}

// HasDotSegment reports whether a path has a . or .. segment between slashes of
// either kind, which a server that decodes too early would follow.
func HasDotSegment(path string) bool {
	return slices.ContainsFunc(strings.FieldsFunc(path, func(r rune) bool { return r == '/' || r == '\\' }),
		func(segment string) bool { return segment == "." || segment == ".." })
}

// transportHeaders belong to the connection or to a proxy.
var transportHeaders = []string{
	"Host", "Cookie", "Set-Cookie", "Connection", "Keep-Alive", "Te", "Trailer", "Transfer-Encoding", "Upgrade", "Content-Length",
	"Forwarded", "Via", "Expect", "Http2-Settings", "Range", "If-Range", "Proxy", "X-Original-Url", "X-Rewrite-Url",
}

// clientHeaders carry the address of a client, for servers that trust them.
var clientHeaders = []string{
	"X-Real-Ip", "Real-Ip", "Client-Ip", "X-Client-Ip", "True-Client-Ip", "X-True-Client-Ip", "X-Cluster-Client-Ip", "Cf-Connecting-Ip", "Cf-Connecting-Ipv6",
	"Cf-Pseudo-Ipv4", "Fastly-Client-Ip", "Fly-Client-Ip", "X-Azure-Clientip", "X-Azure-Socketip", "X-Appengine-User-Ip", "X-Envoy-External-Address",
	"X-Remote-Ip", "X-Remote-Addr", "Remote-Addr", "X-Originating-Ip", "X-Original-Forwarded-For", "Forwarded-For", "X-Forwarded", "X-Host", "X-Original-Host",
	"X-Proxyuser-Ip", "Wl-Proxy-Client-Ip",
}

// headerAlike returns the name of a header as a CGI program sees it, where an
// underscore, or any character that is neither letter nor digit, equals a hyphen.
func headerAlike(s string) string {
	return textproto.CanonicalMIMEHeaderKey(strings.Map(func(r rune) rune {
		if '0' <= r && r <= '9' || 'A' <= r && r <= 'Z' || 'a' <= r && r <= 'z' {
			return r
		}
		return '-'
	}, s))
}

// credentialHeader is the rule for the name of a header that carries a credential.
func credentialHeader(s string) (string, string) {
	if !headerSyntax.MatchString(s) {
		return "header_invalid", "is not the name of a header"
	}
	name := headerAlike(s)
	for _, prefix := range []string{"Proxy-", "X-Forwarded-", "Mcp-"} {
		if strings.HasPrefix(name, prefix) {
			return "header_not_allowed", "is a header that callers can't set"
		}
	}
	if slices.Contains(transportHeaders, name) || slices.Contains(clientHeaders, name) {
		return "header_not_allowed", "is a header that callers can't set"
	}
	return "", ""
}

// plainHeader is the rule for the name of any other header.
func plainHeader(s string) (string, string) {
	if headerAlike(s) == "Authorization" {
		return "header_not_allowed", "is a header that only auth can set"
	}
	return credentialHeader(s)
}

// methodHeaders name a method in place of that of the request, for servers that follow them.
var methodHeaders = []string{"X-Http-Method-Override", "X-Http-Method", "X-Method-Override"}

func namesMethod(header string) bool { return slices.Contains(methodHeaders, headerAlike(header)) }

// freeHeader is the rule for the name of a header of every call, or of one whose value
// callers choose: what a call may do is decided by the method of its endpoint.
func freeHeader(s string) (string, string) {
	if namesMethod(s) {
		return "header_not_allowed", "names another method than that of the endpoint"
	}
	return plainHeader(s)
}

// headerValue is the rule for the value of a header (RFC 9110, 5.5).
func headerValue(s string) (string, string) {
	if strings.ContainsFunc(s, func(r rune) bool { return r < 0x20 && r != '\t' || r == 0x7f }) {
		return "header_invalid", "must not have control characters"
	}
	return length(0, 8192)(s)
}

// Origin returns the scheme, host and explicit port of a URL, or "" when it has
// no host.
func Origin(raw string) string {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" {
		return ""
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[strings.ToLower(u.Scheme)]
	}
	host := strings.ToLower(u.Hostname())
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	return strings.ToLower(u.Scheme) + "://" + host + ":" + port
}

func resourceName(s string) (string, string) {
	u, err := url.Parse(s)
	if s != NoResource && (err != nil || u.Scheme == "" || u.Fragment != "") {
		return "url_invalid", `must be an absolute URI without a fragment, or "none" (RFC 8707, 2)`
	}
	return "", ""
}
