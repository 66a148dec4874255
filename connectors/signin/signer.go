package signin

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/seed677028b5/integrations/connectors/callerror"
	"github.com/seed677028b5/integrations/connectors/scrub"
)

// signEach has each request that is sent signed anew. A header that the signature sets is
// shown masked, and its value is a secret of its own: within its time it could be sent
// again. So is the signature in it, which sign adds: guesses of a secret could be tested
// with it.
func (s signing) signEach(sign func(sent *http.Request, body []byte) *callerror.Error, headers ...string) {
	for _, name := range headers {
		s.Request.SetSecretHeader(name, scrub.Mask)
	}
	if s.DryRun {
		return
	}
	s.Request.Sign = func(sent *http.Request, body []byte) *callerror.Error {
		for _, name := range headers {
			sent.Header.Del(name)
		}
		if e := sign(sent, body); e != nil {
			return e
		}
		for _, name := range headers {
			if value := sent.Header.Get(name); value != "" {
				s.Request.AddSecrets(value)
			}
		}
		return nil
	}
}

// addSignature makes a secret of what follows mark in a header, up to a quote or a colon:
// upstreams show the parts of what they read.
func (s signing) addSignature(sent *http.Request, header, mark string) {
	_, signature, _ := strings.Cut(sent.Header.Get(header), mark)
	if end := strings.IndexAny(signature, `":`); end >= 0 {
		signature = signature[:end]
	}
	s.Request.AddSecrets(signature, unescaped(signature))
}

// escape encodes a text for the signatures of AWS and OAuth 1 (RFC 5849, 3.6): each byte
// but the unreserved ones of RFC 3986.
func escape(text string) string {
	return strings.ReplaceAll(url.QueryEscape(text), "+", "%20")
}

// pair is a member of a query or of a form.
type pair struct{ name, value string }

// pairs returns the members of a query, decoded, in their order.
func pairs(query string) []pair {
	var all []pair
	for member := range strings.SplitSeq(query, "&") {
		if member == "" {
			continue
		}
		name, value, _ := strings.Cut(member, "=")
		all = append(all, pair{unescaped(name), unescaped(value)})
	}
	return all
}

func unescaped(text string) string {
	if decoded, err := url.QueryUnescape(text); err == nil {
		return decoded
	}
	return text
}

// sortedQuery returns members encoded and sorted by their encoded names, then values.
func sortedQuery(members []pair) string {
	encoded := make([]pair, len(members))
	for n, m := range members {
		encoded[n] = pair{escape(m.name), escape(m.value)}
	}
	slices.SortFunc(encoded, func(a, b pair) int {
		if d := strings.Compare(a.name, b.name); d != 0 {
			return d
		}
		return strings.Compare(a.value, b.value)
	})
	parts := make([]string, len(encoded))
	for n, m := range encoded {
		parts[n] = m.name + "=" + m.value
	}
	return strings.Join(parts, "&")
}
