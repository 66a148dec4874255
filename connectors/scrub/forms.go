package scrub

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html"
	"net/url"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/unicode/norm"
)

// variants returns secret as another program may have read it: without the white
// space that net/http takes off its edges, with accents set apart or joined, and in
// the wrong character set.
func variants(secret string) []string {
	all := []string{secret}
	if trimmed := strings.TrimSpace(secret); trimmed != secret {
		all = append(all, trimmed)
	}
	for _, s := range all {
		all = append(all, norm.NFC.String(s), norm.NFD.String(s))
		all = append(all, misread(s)...)
	}
	return distinct(all)
}

// misread returns UTF-8 taken for Latin-1 or for Windows-1252, once and twice; the
// same text in those; and what is left of it where it was not understood. A text
// in ASCII is the same in all of them.
func misread(s string) []string {
	if strings.IndexFunc(s, func(r rune) bool { return r >= utf8.RuneSelf }) < 0 {
		return nil
	}
	var all []string
	for _, set := range []*charmap.Charmap{charmap.ISO8859_1, charmap.Windows1252} {
		if once, err := set.NewDecoder().String(s); err == nil {
			all = append(all, once)
			if twice, err := set.NewDecoder().String(once); err == nil {
				all = append(all, twice)
			}
		}
		if converted, err := set.NewEncoder().String(s); err == nil {
			all = append(all, converted, strings.ToValidUTF8(converted, "\uFFFD"), string([]rune(converted))) // the last as encoding/json reads it
		}
	}
	unknown := func(by func(r rune) string) string {
		var b strings.Builder
		for _, r := range s {
			if r < utf8.RuneSelf {
				b.WriteRune(r)
			} else {
				b.WriteString(by(r))
			}
		}
		return b.String()
	}
	return append(all, unknown(func(rune) string { return "?" }), unknown(func(rune) string { return "\uFFFD" }),
		unknown(func(r rune) string { return strings.Repeat("?", utf8.RuneLen(r)) }),
		unknown(func(r rune) string { return strings.Repeat("\uFFFD", utf8.RuneLen(r)) }))
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
	return append(all, JSONForms(secret)...)
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

// JSONForms returns secret as the inside of a JSON string: as Go writes it with
// and without care for HTML, in ASCII only, and with escaped slashes.
func JSONForms(secret string) []string {
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
