package imports

import (
	"net/url"
	"strings"
)

// request is one request as it was read. Its texts may have {{variables}}.
type request struct {
	name, about string
	method, url string
	header      []member
	query       []member // besides that of url
	values      map[string]string
	body        body
	leftOut     []string // credentials that were left out already
	notes       []string
}

// member is a header, or a member of a query or a form.
type member struct {
	name, value, about string
	file               bool // its value is a file
}

// body is the body of a request.
type body struct {
	kind      bodyKind
	text      string
	mediaType string
	members   []member // of a form
}

type bodyKind int

const (
	noBody bodyKind = iota
	textBody
	formBody
	multipartBody
	fileBody // whose content is not known
)

const (
	jsonMedia = "application/json"
	formMedia = "application/x-www-form-urlencoded"
)

// mediaOf returns the media type of a Content-Type.
func mediaOf(contentType string) string {
	media, _, _ := strings.Cut(contentType, ";")
	return strings.ToLower(strings.TrimSpace(media))
}

func headerOf(header []member, name string) string {
	for _, h := range header {
		if strings.EqualFold(h.name, name) {
			return h.value
		}
	}
	return ""
}

// pairs returns the members of a query or form. What can't be decoded stays as it is.
func pairs(text string) []member {
	var all []member
	for _, pair := range strings.Split(text, "&") {
		if pair == "" {
			continue
		}
		name, value, _ := strings.Cut(pair, "=")
		if decoded, err := url.QueryUnescape(name); err == nil {
			name = decoded
		}
		if decoded, err := url.QueryUnescape(value); err == nil {
			value = decoded
		}
		all = append(all, member{name: name, value: value})
	}
	return all
}

// title names a request for a person: without its query and what may be a secret.
func title(q request) string {
	where, _, _ := strings.Cut(q.url, "?")
	segments := strings.Split(where, "/")
	for n, segment := range segments {
		if n > 2 && isSecret(segment) {
			segments[n] = "…"
		}
	}
	where = strings.Join(segments, "/")
	if scheme, rest, ok := strings.Cut(where, "://"); ok { // a user may stand before the host
		if at := strings.LastIndex(rest, "@"); at >= 0 {
			rest = rest[at+1:]
		}
		where = scheme + "://" + rest
	}
	return clean(strings.TrimSpace(q.method+" "+where), 200)
}
