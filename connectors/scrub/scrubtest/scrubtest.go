// Package scrubtest echoes secrets as upstreams do, for the tests of what masks them.
package scrubtest

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"html"
	"net/url"
	"strings"
)

// Canary is a secret that is awkward in every encoding.
const Canary = `sk-ca+na/ry"<ü>&=%41 9007`

// Echoes are the ways in which an upstream may echo a secret between other texts.
var Echoes = map[string]func(before, secret, after string) string{
	"raw":                 func(b, s, a string) string { return b + s + a },
	"hex":                 func(b, s, a string) string { return hex.EncodeToString([]byte(b + s + a)) },
	"HEX":                 func(b, s, a string) string { return strings.ToUpper(hex.EncodeToString([]byte(b + s + a))) },
	"base64":              func(b, s, a string) string { return base64.StdEncoding.EncodeToString([]byte(b + s + a)) },
	"base64 raw":          func(b, s, a string) string { return base64.RawStdEncoding.EncodeToString([]byte(b + s + a)) },
	"base64 for URLs":     func(b, s, a string) string { return base64.URLEncoding.EncodeToString([]byte(b + s + a)) },
	"base64 for URLs raw": func(b, s, a string) string { return base64.RawURLEncoding.EncodeToString([]byte(b + s + a)) },
	"query":               func(b, s, a string) string { return b + url.QueryEscape(s) + a },
	"query, lower":        func(b, s, a string) string { return b + lowerEscapes(url.QueryEscape(s)) + a },
	"path":                func(b, s, a string) string { return b + url.PathEscape(s) + a },
	"path, lower":         func(b, s, a string) string { return b + lowerEscapes(url.PathEscape(s)) + a },
	"HTML":                func(b, s, a string) string { return b + html.EscapeString(s) + a },
	"JSON":                func(b, s, a string) string { return b + inJSON(s) + a },
	"base64 in a query": func(b, s, a string) string {
		return b + url.QueryEscape(base64.StdEncoding.EncodeToString([]byte(s))) + a
	},
}

func inJSON(s string) string {
	data, _ := json.Marshal(s)
	return string(data[1 : len(data)-1])
}

// lowerEscapes writes the percent escapes of s in lower case.
func lowerEscapes(s string) string {
	b := []byte(s)
	for n := 0; n+2 < len(b); n++ {
		if b[n] == '%' {
			copy(b[n+1:n+3], bytes.ToLower(b[n+1:n+3]))
		}
	}
	return string(b)
}
