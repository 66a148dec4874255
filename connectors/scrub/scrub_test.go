package scrub

import (
	"encoding/base32"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html"
	"net/url"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/seed677028b5/integrations/connectors/scrub/scrubtest"
)

// remains reports whether what stands between masks still shows a form.
func remains(shown string, forms ...string) string {
	for _, part := range strings.Split(shown, Mask) {
		for _, form := range forms {
			if len(form) >= minLength && strings.Contains(part, form) {
				return form
			}
		}
	}
	return ""
}

func TestNoFormOfASecretIsLeft(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		secret := rapid.OneOf(rapid.StringN(minLength, 40, -1), rapid.StringMatching(`[a-z]{4,20}`), rapid.StringMatching(`[ab]{4,12}`), rapid.Just(scrubtest.Canary)).Draw(t, "secret")
		before, after := rapid.String().Draw(t, "before"), rapid.String().Draw(t, "after")
		scrubber := New(secret)
		for name, echo := range scrubtest.Echoes {
			text := echo(before, secret, after)
			shown := scrubber.Text(text)
			if !strings.Contains(shown, Mask) {
				t.Fatalf("%s: %q is shown as %q", name, text, shown)
			}
			if left := remains(shown, scrubber.needles...); left != "" {
				t.Fatalf("%s: %q shows %q of %q", name, shown, left, secret)
			}
		}
	})
}

func TestWhatHoldsNoSecretStaysAsItIs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringMatching(`[a-z0-9 ]*`).Draw(t, "text")
		if got := New("S3CR3T-with-Capitals").Text(text); got != text {
			t.Fatalf("%q became %q", text, got)
		}
	})
}

func TestABase64EchoLeavesNoBytesOfTheSecret(t *testing.T) {
	const secret = "hunter2-hunter2!"
	for before := range 6 {
		for after := range 6 {
			echo := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("b", before) + secret + strings.Repeat("a", after)))
			shown := New(secret).Text(echo)
			if left := len(strings.ReplaceAll(shown, Mask, "")); left > (before*8+5)/6+(after*8+5)/6+4 || !strings.Contains(shown, Mask) {
				t.Errorf("%d before and %d after: %s", before, after, shown)
			}
		}
	}
}

func TestOverlappingFormsBecomeOneMask(t *testing.T) {
	for in, want := range map[string]string{
		"aaaaaaa":         Mask,
		"xaaaaxaaaaaax":   "x" + Mask + "x" + Mask + "x",
		"aaa aaaa":        "aaa " + Mask,
		"":                "",
		"abababa":         Mask + "a",
		"the ababaabab x": "the " + Mask + "a" + Mask + " x",
	} {
		if got := New("aaaa", "abab").Text(in); got != want {
			t.Errorf("%q became %q, want %q", in, got, want)
		}
	}
}

func TestARepetitiveSecretCostsNoMoreThanAnyOther(t *testing.T) {
	scrubber := New(strings.Repeat("a", 8192))
	start := time.Now()
	if got := scrubber.Text(strings.Repeat("a", 1<<20)); got != Mask {
		t.Errorf("%d bytes are left", len(got))
	}
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("it took %s", took)
	}
}

func TestKeysAndNumbersAreScrubbedToo(t *testing.T) {
	decoder := json.NewDecoder(strings.NewReader(`{"12345678":[12345678,1,"x12345678x",null,true],"n":912345678.5}`))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		t.Fatal(err)
	}
	if got, err := json.Marshal(New("12345678").Value(value)); err != nil || string(got) != `{"[secret]":["[secret]",1,"x[secret]x",null,true],"n":"9[secret].5"}` {
		t.Errorf("got %s (%v)", got, err)
	}
}

func FuzzNoFormOfASecretIsLeft(f *testing.F) {
	f.Add(scrubtest.Canary, "before", "after")
	f.Add("aaaa", "aaa", "aaa")
	f.Add("[secret]", "[secret", "]")
	f.Add("\xff\xfe\xfd\xfc", "\xff", "")
	f.Fuzz(func(t *testing.T, secret, before, after string) {
		scrubber := New(secret)
		text := before + secret + after
		for _, shown := range []string{scrubber.Text(text), scrubber.Truncated(text), scrubber.Text(base64.StdEncoding.EncodeToString([]byte(text)))} {
			if left := remains(shown, scrubber.needles...); left != "" {
				t.Errorf("%q shows %q", shown, left)
			}
		}
		if len(secret) >= minLength && !strings.Contains(scrubber.Text(text), Mask) {
			t.Errorf("%q is shown", secret)
		}
	})
}

func TestAnEchoThatWasChangedOnItsWayIsScrubbed(t *testing.T) {
	const secret = `Qz7+kL/p9"x&Wv<3-ToK3n-of-more-than-one-line-of-base64=`
	each := func(format, between string) string {
		parts := make([]string, len(secret))
		for n := range len(secret) {
			parts[n] = fmt.Sprintf(format, secret[n])
		}
		return strings.Join(parts, between)
	}
	wrapped := func(s string) string { return s[:40] + "\r\n" + s[40:] }
	quoted := func(s string) string { data, _ := json.Marshal(s); return string(data) }
	wide := each("%c\x00", "")
	for name, echoed := range map[string]string{
		"lower": strings.ToLower(secret), "upper": strings.ToUpper(secret),
		"UTF-16": wide, "UTF-32": each("%c\x00\x00\x00", ""), "zero width": each("%c", "\u200b"),
		"wrapped": wrapped(secret), "base64, wrapped": wrapped(base64.StdEncoding.EncodeToString([]byte(secret))),
		"base64 of UTF-16": base64.StdEncoding.EncodeToString([]byte(wide)), "base32": base32.StdEncoding.EncodeToString([]byte(secret)),
		"octal": each(`\%03o`, ""), "braces": each(`\u{%x}`, ""), "eight digits": each(`\U%08x`, ""), "percent u": each("%%u%04X", ""),
		"quoted-printable": each("=%02X", ""), "hex, colons": each("%02x", ":"), "hex, 0x": each("0x%02x", ", "), "decimal": each("%d", ", "),
		"bare references": each("&#%d", " "), "backslashes": each(`\%c`, ""), "CSV": strings.ReplaceAll(secret, `"`, `""`),
		"percent twice": url.QueryEscape(each("%%%02X", "")), "percent three times": url.QueryEscape(url.QueryEscape(url.QueryEscape(secret))),
		"HTML twice": html.EscapeString(html.EscapeString(secret)), "JSON three times": quoted(quoted(quoted(secret))),
		"HTML in JSON": quoted(html.EscapeString(secret)), "references in percent": url.QueryEscape(each("&#%d;", "")),
		"unicode in JSON": quoted(each(`\u%04x`, "")),
	} {
		if got := New(secret).Text("<" + echoed + ">"); !strings.Contains(got, Mask) || len(got) > len(Mask)+20 {
			t.Errorf("%s: %q is shown as %q", name, echoed, got)
		}
	}
	for _, other := range []string{"Qz7 kL", "to K3n of more than one line", "=3D%41&#65;\\u0041 a=b&c=d"} {
		if got := New(secret).Text(other); got != other {
			t.Errorf("%q is shown as %q", other, got)
		}
	}
}

func TestHowMuchATruncatedTextLosesDoesNotShowTheLengthOfASecret(t *testing.T) {
	if long, short := New("abcdefgh").tail, New("abcdefghi").tail; long != short {
		t.Errorf("the length of a secret shows: %d and %d bytes are dropped", long, short)
	}
}
