package connectors

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/seed677028b5/integrations/domain"
)

// echoes is how an upstream may echo a secret between other texts.
var echoes = map[string]func(before, secret, after string) string{
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

// remains reports whether what stands between masks still shows a form.
func remains(shown string, forms ...string) string {
	for _, part := range strings.Split(shown, masked) {
		for _, form := range forms {
			if len(form) >= shortest && strings.Contains(part, form) {
				return form
			}
		}
	}
	return ""
}

func TestNoFormOfASecretIsLeft(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		secret := rapid.OneOf(rapid.StringN(shortest, 40, -1), rapid.StringMatching(`[a-z]{4,20}`), rapid.StringMatching(`[ab]{4,12}`), rapid.Just(canary)).Draw(t, "secret")
		before, after := rapid.String().Draw(t, "before"), rapid.String().Draw(t, "after")
		scrub := newScrubber(secret)
		for name, echo := range echoes {
			text := echo(before, secret, after)
			shown := scrub.text(text)
			if !strings.Contains(shown, masked) {
				t.Fatalf("%s: %q is shown as %q", name, text, shown)
			}
			if left := remains(shown, scrub.needles...); left != "" {
				t.Fatalf("%s: %q shows %q of %q", name, shown, left, secret)
			}
		}
	})
}

func TestWhatHoldsNoSecretStaysAsItIs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringMatching(`[a-z0-9 ]*`).Draw(t, "text")
		if got := newScrubber("S3CR3T-with-Capitals").text(text); got != text {
			t.Fatalf("%q became %q", text, got)
		}
	})
}

func TestABase64EchoLeavesNoBytesOfTheSecret(t *testing.T) {
	const secret = "hunter2-hunter2!"
	for before := range 6 {
		for after := range 6 {
			echo := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("b", before) + secret + strings.Repeat("a", after)))
			shown := newScrubber(secret).text(echo)
			if left := len(strings.ReplaceAll(shown, masked, "")); left > (before*8+5)/6+(after*8+5)/6+4 || !strings.Contains(shown, masked) {
				t.Errorf("%d before and %d after: %s", before, after, shown)
			}
		}
	}
}

func TestOverlappingFormsBecomeOneMask(t *testing.T) {
	for in, want := range map[string]string{
		"aaaaaaa":         masked,
		"xaaaaxaaaaaax":   "x" + masked + "x" + masked + "x",
		"aaa aaaa":        "aaa " + masked,
		"":                "",
		"abababa":         masked + "a",
		"the ababaabab x": "the " + masked + "a" + masked + " x",
	} {
		if got := newScrubber("aaaa", "abab").text(in); got != want {
			t.Errorf("%q became %q, want %q", in, got, want)
		}
	}
}

func TestARepetitiveSecretCostsNoMoreThanAnyOther(t *testing.T) {
	scrub := newScrubber(strings.Repeat("a", 8192))
	start := time.Now()
	if got := scrub.text(strings.Repeat("a", maxBody)); got != masked {
		t.Errorf("%d bytes are left", len(got))
	}
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("it took %s", took)
	}
}

func TestKeysAndNumbersAreScrubbedToo(t *testing.T) {
	value, _ := decode([]byte(`{"12345678":[12345678,1,"x12345678x",null,true],"n":912345678.5}`))
	if got := asJSON(t, newScrubber("12345678").value(value)); got != `{"[secret]":["[secret]",1,"x[secret]x",null,true],"n":"9[secret].5"}` {
		t.Errorf("got %s", got)
	}
}

func FuzzNoFormOfASecretIsLeft(f *testing.F) {
	f.Add(canary, "before", "after")
	f.Add("aaaa", "aaa", "aaa")
	f.Add("[secret]", "[secret", "]")
	f.Add("\xff\xfe\xfd\xfc", "\xff", "")
	f.Fuzz(func(t *testing.T, secret, before, after string) {
		scrub := newScrubber(secret)
		text := before + secret + after
		for _, shown := range []string{scrub.text(text), scrub.cut(text), scrub.text(base64.StdEncoding.EncodeToString([]byte(text)))} {
			if left := remains(shown, scrub.needles...); left != "" {
				t.Errorf("%q shows %q", shown, left)
			}
		}
		if len(secret) >= shortest && !strings.Contains(scrub.text(text), masked) {
			t.Errorf("%q is shown", secret)
		}
	})
}

// echo answers with everything it got, in every way of writing.
func echo(w http.ResponseWriter, r *http.Request) {
	var whole bytes.Buffer
	_ = r.Write(&whole)
	got := whole.String()
	ways := map[string]any{"got": got, r.Header.Get("Authorization"): r.URL.Query(), "headers": r.Header}
	for name, way := range echoes {
		for _, secret := range []string{canary, "amy:" + canary, r.Header.Get("Authorization"), got} {
			ways[name+fmt.Sprint(len(secret))] = way("x", secret, "y")
			w.Header().Add("X-Echo", strings.Map(printable, way("x", secret, "y")))
		}
	}
	w.Header().Set("Set-Cookie", "session="+"minted-by-upstream")
	if status := r.URL.Query().Get("status"); status == "500" {
		w.WriteHeader(500)
	}
	data, _ := json.Marshal(ways)
	_, _ = w.Write(data)
}

func printable(r rune) rune {
	if r < 0x20 || r == 0x7f {
		return ' '
	}
	return r
}

func TestNothingThatLeavesShowsASecretThatAnUpstreamEchoes(t *testing.T) {
	base := upstream(t, echo)
	forms := newScrubber(canary, "amy:"+canary).needles
	for _, auth := range []domain.Auth{
		{Type: domain.BearerToken}, {Type: domain.Basic, Username: "amy"}, {Type: domain.APIKeyHeader, HeaderName: "X-Key"}, {Type: domain.APIKeyHeader, QueryName: "key"},
	} {
		for _, status := range []string{"200", "500"} {
			c := signedBy(calling(base, map[string]any{"status": status, "mine": canary}, func(e *domain.Endpoint) {
				e.Headers = map[string]string{"X-Mine": canary}
				e.ResponseMapping = map[string]string{"turned": "reverse(got)", "split": "split('-', got)", "all": "@"}
				e.ResultTemplate = "{{ turned }} {{ split }} {{ all }}"
			}), auth, canary)
			result := call(t, onLoopback(t), c)
			if asked := result.Request; !strings.Contains(asked.Headers.Get("X-Mine")+asked.Body+asked.URL, canary) {
				t.Errorf("the caller's own values are not shown as they are: %+v", asked)
			}
			result.Request = domain.CallRequest{} // has what the caller chose
			shown := fmt.Sprintf("%+v %s", result, asJSON(t, result))
			turned := []rune(canary)
			for n, m := 0, len(turned)-1; n < m; n, m = n+1, m-1 {
				turned[n], turned[m] = turned[m], turned[n]
			}
			if left := remains(shown, append(forms, string(turned), "minted-by-upstream")...); left != "" {
				t.Errorf("signed in by %s, answered %s: shows %q", auth.Type, status, left)
			}
			if !strings.Contains(shown, masked) || result.StatusCode == 0 {
				t.Errorf("nothing was echoed: %s", shown)
			}
			p := onLoopback(t).Probe(t.Context(), c.Integration, c.Keyring)
			if left := remains(fmt.Sprintf("%+v %s", p, asJSON(t, p)), forms...); left != "" {
				t.Errorf("the probe shows %q", left)
			}
		}
	}
}

func TestAHeaderThatIsNamedAfterASecretIsNotShown(t *testing.T) {
	const key = "deadbeefcafe0123456789abcdef"
	base := upstream(t, func(w http.ResponseWriter, r *http.Request) {
		for _, name := range []string{key, "X-" + strings.ToUpper(key) + "-Seen", hex.EncodeToString([]byte(key))} {
			w.Header()[name] = []string{"1"}
		}
		w.Header().Set("X-Other", key)
	})
	c := signedBy(calling(base, nil, nil), domain.Auth{Type: domain.APIKeyHeader, HeaderName: "X-Key"}, key)
	got := succeeds(t, onLoopback(t), c)
	if left := remains(strings.ToLower(asJSON(t, got)), newScrubber(key).needles...); left != "" {
		t.Errorf("%q is left in %v", left, got.ResponseHeaders)
	}
	if got.ResponseHeaders.Get("X-Other") != masked || got.ResponseHeaders[masked] == nil || got.ResponseHeaders["x-"+masked+"-seen"] == nil {
		t.Errorf("got %v", got.ResponseHeaders)
	}
}

func TestARequestIsShownWithMasksWhereTheServicePutACredential(t *testing.T) {
	const own = "hunter2-hunter2" // as a caller would guess it
	target, _ := url.Parse("https://a.example/" + own + "?mine=" + own)
	out := &outgoing{url: target, header: http.Header{"X-Mine": {own}}, body: []byte(own)}
	out.hideHeader("X-Tenant", "abc", "abc") // too short to be found by value
	out.hideHeader("Authorization", "Bearer Tenant", "Tenant")
	out.hideQuery("api key", own)
	want := domain.CallRequest{
		URL:     "https://a.example/" + own + "?mine=" + own + "&api+key=" + masked,
		Headers: http.Header{"X-Mine": {own}, "X-Tenant": {masked}, "Authorization": {masked}}, Body: own,
	}
	if shown := out.shown(); !reflect.DeepEqual(shown, want) {
		t.Errorf("got %+v", shown)
	}
}

func TestWhatIsEscapedOnItsWayIsNotShownInBase64(t *testing.T) {
	whole := func(r *http.Request) string { // in base64, which may begin anywhere
		body, _ := io.ReadAll(r.Body)
		var all []string
		for _, before := range []string{"", "b", "bb"} {
			all = append(all, base64.StdEncoding.EncodeToString([]byte(before+r.URL.RawQuery+string(body))))
		}
		return strings.Join(all, " ")
	}
	refusing := upstream(t, func(w http.ResponseWriter, r *http.Request) {
		said, _ := compact(map[string]string{"error": "invalid_client", "error_description": whole(r)})
		_, _ = io.WriteString(w, said)
	})
	echoing := upstream(t, func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, whole(r)) })
	inBody := clientCredentials(refusing)
	inBody.ClientAuthMethod = "body"
	inJSON := domain.Auth{Type: domain.JSONTokenExchange, TokenURL: refusing, TokenRequestClientIDField: "i", TokenRequestClientSecretField: "s", TokenResponsePath: "t"}
	for _, secret := range []string{"s3cr3t+/=ü-x", canary} {
		for _, c := range []domain.Call{
			byToken(calling("http://127.0.0.1:1", nil, nil), inBody, secret),
			byToken(calling("http://127.0.0.1:1", nil, nil), inJSON, secret),
			signedBy(calling(echoing, nil, nil), domain.Auth{Type: domain.APIKeyHeader, QueryName: "key"}, secret),
		} {
			got := call(t, onLoopback(t), c)
			shown := got.Error + fmt.Sprint(got.RawResponse)
			escaped := newScrubber(append(jsonForms(secret), url.QueryEscape(secret))...).needles
			if left := remains(shown, escaped...); left != "" || !strings.Contains(shown, masked) {
				t.Errorf("signed in by %s: %q is left in %s", c.Integration.Auth.Type, left, shown)
			}
		}
	}
}
