package connectors

import (
	"context"
	"encoding/base32"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/seed677028b5/integrations/domain"
)

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
		if got := newScrubber(secret).text("<" + echoed + ">"); !strings.Contains(got, masked) || len(got) > len(masked)+20 {
			t.Errorf("%s: %q is shown as %q", name, echoed, got)
		}
	}
	for _, other := range []string{"Qz7 kL", "to K3n of more than one line", "=3D%41&#65;\\u0041 a=b&c=d"} {
		if got := newScrubber(secret).text(other); got != other {
			t.Errorf("%q is shown as %q", other, got)
		}
	}
}

func TestASecretIsNotLookedForWhereItNeverGoes(t *testing.T) {
	const guesses = "other-secret-1 other-secret-2"
	theirs := upstream(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(guesses)) })
	c := signedBy(calling(strings.Replace(theirs, "127.0.0.1", "localhost", 1), nil, nil), domain.Auth{Type: domain.BearerToken}, "own-secret")
	c.Integration.Endpoints = []domain.Endpoint{{Name: "elsewhere", Auth: &domain.Auth{Type: domain.BearerToken, Secrets: map[string]domain.SecretRef{
		"bearer_token_value": {ID: "elsewhere", Destinations: []string{"https://api.example.com header Authorization"}},
	}}}}
	c.Keyring = func(_ context.Context, ref domain.SecretRef) (domain.Secret, error) {
		return domain.NewSecret(map[string]string{"s1": "own-secret", "elsewhere": "other-secret-1"}[ref.ID]), nil
	}
	if got := succeeds(t, onLoopback(t), c).FinalResult; got != guesses {
		t.Errorf("who runs a server sees which guess is a secret of another: %s", got)
	}
}

func TestASiteIsWhatWasRegistered(t *testing.T) {
	for target, want := range map[string]string{
		"https://api.example.co.uk/v1": "example.co.uk", "https://AUTH.example.co.uk.:8443": "example.co.uk", "http://10.0.0.1:80": "10.0.0.1",
		"http://[::1]:80": "::1", "http://localhost:1": "localhost", "https://one.github.io": "one.github.io", "": "", "://": "",
	} {
		if got := site(target); got != want {
			t.Errorf("the site of %q is %q, want %q", target, got, want)
		}
	}
}
