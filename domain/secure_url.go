package domain

import (
	"net/url"
	"strings"
)

// secureURL is the rule that a URL which a person's browser, or a code, is sent to has TLS,
// but on the loopback.
func secureURL(s string) (string, string) {
	if !SecureURL(s) {
		return "url_invalid", "must begin with https://, but for a host of this machine"
	}
	return "", ""
}

// SecureURL reports whether a URL is one of https, or one of http on the loopback.
func SecureURL(s string) bool {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || u.User != nil {
		return false
	}
	return u.Scheme == "https" || u.Scheme == "http" && isLoopback(u.Hostname())
}

func isLoopback(host string) bool {
	return host == "localhost" || host == "::1" || strings.HasPrefix(host, "127.")
}
