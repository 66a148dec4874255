package scrub

import (
	"encoding/json"
	"fmt"
	"html"
	"net/url"
	"strings"
	"testing"
)

func TestEveryWayToEchoIsScrubbed(t *testing.T) {
	const secret = `p"ä&s'<+/ é`
	latin1 := func(s string) string { // bytes of UTF-8, each taken for a character
		runes := make([]rune, len(s))
		for n := range len(s) {
			runes[n] = rune(s[n])
		}
		return string(runes)
	}
	upperUnicode := func(s string) string {
		var b strings.Builder
		for _, r := range s {
			fmt.Fprintf(&b, `\u%04X`, r)
		}
		return b.String()
	}
	all := map[string]string{
		"trimmed":           strings.TrimSpace("\t" + secret + " "),
		"latin-1":           latin1(secret),
		"latin-1 twice":     latin1(latin1(secret)),
		"not understood":    strings.Map(func(r rune) rune { return map[bool]rune{true: '\uFFFD', false: r}[r > 0x7f] }, secret),
		"question marks":    strings.Map(func(r rune) rune { return map[bool]rune{true: '?', false: r}[r > 0x7f] }, secret),
		"unicode, upper":    upperUnicode(secret),
		"unicode, lower":    strings.ToLower(upperUnicode(secret)),
		"percent, all":      percent(secret),
		"encodeURI":         strings.ReplaceAll(url.PathEscape(secret), "%27", "'"),
		"double JSON":       quotedTwice(secret),
		"latin-1 in HTML":   html.EscapeString(latin1(secret)),
		"latin-1 in a form": url.QueryEscape("p\"\xe4&s'<+/ \xe9"),
	}
	for _, quote := range []string{"&quot;", "&#34;", "&#034;", "&#x22;", "&#X22;", "&QUOT;"} {
		for _, apostrophe := range []string{"&apos;", "&#39;", "&#039;", "&#x27;", "&#x0027;", "'"} {
			for _, amp := range []string{"&amp;", "&#38;", "&#x26;", "&AMP;"} {
				all[quote+apostrophe+amp] = strings.NewReplacer(`"`, quote, `'`, apostrophe, `&`, amp, `<`, "&lt;", "+", "&#43;", "/", "&#x2F;", "ä", "&auml;").Replace(secret)
			}
		}
	}
	scrubber := New("\t" + secret + " ")
	for name, echoed := range all {
		if got := scrubber.Text("before " + echoed + " after"); got != "before "+Mask+" after" {
			t.Errorf("%s: %q is shown as %q", name, echoed, got)
		}
	}
	if plain := `\u002B % & \ &#; &nothing; \u12 %4`; scrubber.Text(plain) != plain {
		t.Errorf("got %q", scrubber.Text(plain))
	}
}

func quotedTwice(s string) string {
	once, _ := json.Marshal(s)
	twice, _ := json.Marshal(string(once[1 : len(once)-1]))
	return string(twice[1 : len(twice)-1])
}
