package connectors

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode/utf16"
)

// masked is what stands in place of a secret.
const masked = "[secret]"

// shortest is the length from which a text is looked for by value: below it,
// most of what would be found is not the secret.
const shortest = 4

// scrubber takes secrets out of whatever is about to be shown, in every form
// an upstream is known to echo them in: as they are, base64 (standard and URL
// alphabet, wherever in a longer text they stand), URL-encoded, hex, and
// escaped as JSON or HTML. The zero value knows no secret.
type scrubber struct {
	needles []string
	folded  []string // needles in lower case, for what has lost its own
}

// newScrubber returns a scrubber for the given secrets.
func newScrubber(secrets ...string) scrubber {
	var needles []string
	for _, secret := range secrets {
		if len(secret) >= shortest {
			needles = append(needles, forms(secret)...)
		}
	}
	needles = slices.DeleteFunc(needles, func(n string) bool { return len(n) < shortest })
	slices.Sort(needles)
	needles = slices.Compact(needles)
	folded := make([]string, len(needles))
	for n, needle := range needles {
		folded[n] = strings.ToLower(needle)
	}
	return scrubber{needles: needles, folded: folded}
}

// forms returns secret as it may be written.
func forms(secret string) []string {
	lower := hex.EncodeToString([]byte(secret))
	all := []string{secret, lower, strings.ToUpper(lower), html.EscapeString(secret)}
	for _, escaped := range []string{url.QueryEscape(secret), url.PathEscape(secret), percent(secret)} {
		all = append(all, escaped, lowerEscapes(escaped))
	}
	for _, alphabet := range []*base64.Encoding{base64.StdEncoding, base64.URLEncoding} {
		whole := alphabet.EncodeToString([]byte(secret))
		all = append(all, whole, strings.TrimRight(whole, "="))
		all = append(all, url.QueryEscape(whole), lowerEscapes(url.QueryEscape(whole)))
		all = append(all, aligned(alphabet, secret)...)
	}
	return append(all, jsonForms(secret)...)
}

// aligned returns the characters that secret alone decides where it stands in a
// longer text that is base64, at each of the three places it may begin.
func aligned(alphabet *base64.Encoding, secret string) []string {
	var all []string
	for before := range 3 {
		encoded := alphabet.EncodeToString([]byte(strings.Repeat("\x00", before) + secret))
		first := (before*8 + 5) / 6
		last := (before + len(secret)) * 8 / 6
		all = append(all, encoded[first:last])
	}
	return all
}

// percent escapes every byte that is no letter or digit, as some clients do.
func percent(s string) string {
	var b strings.Builder
	for _, c := range []byte(s) {
		if '0' <= c && c <= '9' || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z' {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
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

// jsonForms returns secret as the inside of a JSON string: as Go writes it with
// and without care for HTML, in ASCII only, and with escaped slashes.
func jsonForms(secret string) []string {
	inside := func(escapeHTML bool) string {
		var b bytes.Buffer
		e := json.NewEncoder(&b)
		e.SetEscapeHTML(escapeHTML)
		_ = e.Encode(secret) // a string always encodes
		return strings.TrimSuffix(strings.TrimPrefix(strings.TrimSuffix(b.String(), "\n"), `"`), `"`)
	}
	written := inside(false)
	var ascii strings.Builder
	for _, r := range written {
		if r < 0x80 {
			ascii.WriteRune(r)
			continue
		}
		for _, unit := range utf16.Encode([]rune{r}) {
			fmt.Fprintf(&ascii, `\u%04x`, unit)
		}
	}
	return []string{inside(true), written, ascii.String(), strings.ReplaceAll(written, "/", `\/`), strings.ReplaceAll(ascii.String(), "/", `\/`)}
}

// text returns in without secrets. Forms that overlap become one mask.
func (s scrubber) text(in string) string { return blank(in, s.find(in)) }

// cut is text for a text whose end is missing: what may be the beginning of a
// secret at its very end goes too.
func (s scrubber) cut(in string) string {
	longest := shortest - 1
	for _, needle := range s.needles {
		for n := min(len(needle)-1, len(in)); n > longest; n-- {
			if strings.HasSuffix(in, needle[:n]) {
				longest = n
			}
		}
	}
	found := s.find(in)
	if longest >= shortest {
		found = append(found, span{len(in) - longest, len(in)})
	}
	return blank(in, found)
}

func (s scrubber) find(in string) []span {
	var found []span
	for _, needle := range s.needles {
		found = append(found, occurrences(in, needle)...)
	}
	return found
}

// blank returns in with the mask in place of spans.
func blank(in string, spans []span) string {
	if len(spans) == 0 {
		return in
	}
	slices.SortFunc(spans, func(a, b span) int { return a.from - b.from })
	var out strings.Builder
	done := 0
	for n := 0; n < len(spans); {
		merged := spans[n]
		for n++; n < len(spans) && spans[n].from <= merged.to; n++ {
			merged.to = max(merged.to, spans[n].to)
		}
		out.WriteString(in[done:merged.from])
		out.WriteString(masked)
		done = merged.to
	}
	out.WriteString(in[done:])
	return out.String()
}

// value returns a copy of decoded JSON without secrets, in its keys and its
// numbers too.
func (s scrubber) value(v any) any {
	if len(s.needles) == 0 {
		return v
	}
	switch v := v.(type) {
	case string:
		return s.text(v)
	case json.Number:
		if clean := s.text(v.String()); clean != v.String() {
			return clean
		}
	case []any:
		clean := make([]any, len(v))
		for n := range v {
			clean[n] = s.value(v[n])
		}
		return clean
	case map[string]any:
		clean := make(map[string]any, len(v))
		for key, member := range v {
			clean[s.text(key)] = s.value(member)
		}
		return clean
	}
	return v
}

// headers returns a copy of h without secrets. Cookies are credentials that the
// upstream minted, and go whole.
func (s scrubber) headers(h http.Header) http.Header {
	clean := make(http.Header, len(h))
	for name, values := range h {
		shown := s.name(name)
		for _, v := range values {
			if name == "Set-Cookie" {
				v = masked
			}
			clean[shown] = append(clean[shown], s.text(v))
		}
	}
	return clean
}

// name returns the name of a header without secrets, in lower case where it
// held one: net/http writes names in a case of its own.
func (s scrubber) name(in string) string {
	lower := strings.ToLower(in)
	if clean := (scrubber{needles: s.folded}).text(lower); clean != lower {
		return clean
	}
	return in
}

// span is a part of a text, from its first byte to the one after its last.
type span struct{ from, to int }

// occurrences returns where needle stands in text, overlapping ones merged. It
// is Knuth, Morris and Pratt's search, so that a hostile echo of a repetitive
// secret costs no more than any other.
func occurrences(text, needle string) []span {
	start := strings.Index(text, needle)
	if start < 0 {
		return nil
	}
	borders := make([]int, len(needle)+1)
	borders[0] = -1
	for n, k := 0, -1; n < len(needle); {
		for k >= 0 && needle[n] != needle[k] {
			k = borders[k]
		}
		n, k = n+1, k+1
		borders[n] = k
	}
	var found []span
	for n, k := start, 0; n < len(text); {
		for k >= 0 && text[n] != needle[k] {
			k = borders[k]
		}
		n, k = n+1, k+1
		if k < len(needle) {
			continue
		}
		if last := len(found) - 1; last >= 0 && found[last].to >= n-len(needle) {
			found[last].to = n
		} else {
			found = append(found, span{from: n - len(needle), to: n})
		}
		k = borders[k]
	}
	return found
}
