package connectors

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/http/httpguts"

	"github.com/seed677028b5/integrations/connectors/jsonvalue"
	"github.com/seed677028b5/integrations/connectors/scrub"
	"github.com/seed677028b5/integrations/domain"
)

// ask asks for a token one time, and returns where it was had.
func (t *tokens) ask(ctx context.Context, g grant, s signing) (minted, *url.URL, *fault) {
	out, f := g.ask(ctx, t, s)
	if f != nil {
		return minted{}, nil, f
	}
	got, f := t.way.once(ctx, out)
	if f != nil {
		return minted{}, nil, ofTokenEndpoint(f)
	}
	out.secrets = append(out.secrets, s.secret.Reveal())
	scrubber := scrub.New(append(out.secrets, s.out.secrets...)...)
	if jsonvalue.CountMarks(got.body) > maxTokenValues {
		return minted{}, nil, misconfigured("The token endpoint's answer has more than %d values.", maxTokenValues)
	}
	raw, _ := jsonvalue.Decode(got.body)
	said, _ := raw.(map[string]any)
	if f := refusedToken(got, said, scrubber); f != nil {
		if f.code == domain.CallAuthFailed && out.asserts {
			f.sentence += t.skew(got.headers)
		}
		return minted{}, nil, f
	}
	switch {
	case got.truncated:
		return minted{}, nil, &fault{code: domain.CallResponseTooLarge, sentence: fmt.Sprintf("The token endpoint's answer is longer than %d KiB.", mostGiven>>10)}
	case said == nil:
		return minted{}, nil, misconfigured("The token endpoint answered %d without a JSON object: check its URL.", got.status)
	}
	read, f := g.read(s.auth, said)
	if f == nil {
		f = usable(read.text)
	}
	if f == nil && out.holds(read.text) {
		f = misconfigured("What the token endpoint gave as a token is a part of the request for it. That goes to no other place.")
	}
	return read, out.url, f
}

// refusedToken is the fault of an answer that says no: by its status, or in the
// words of RFC 6749, 5.2, whatever the status.
func refusedToken(got answer, said map[string]any, scrubber scrub.Scrubber) *fault {
	named, _ := said["error"].(string)
	f := refusal(got.status)
	busy := got.status == http.StatusTooManyRequests || got.status >= 500
	switch {
	case named != "" && !busy:
		description, _ := said["error_description"].(string)
		sentence := explainRefusal(oneLine(scrubber.Text(named), 100), oneLine(scrubber.Text(description), 500)) // half a secret is not found any more
		return &fault{code: domain.CallAuthFailed, sentence: scrubber.Text(sentence)}
	case f == nil:
		return nil
	case got.status == http.StatusBadRequest:
		return &fault{code: domain.CallAuthFailed, sentence: "The token endpoint answered 400 Bad Request and gave no reason: check the client and its credentials."}
	case got.status >= 300 && got.status < 400:
		return misconfigured("The token endpoint answered %d %s: redirects are not followed; configure the final URL.", got.status, http.StatusText(got.status))
	case got.status == http.StatusNotFound || got.status == http.StatusMethodNotAllowed:
		return misconfigured("The token endpoint answered %d %s: check its URL.", got.status, http.StatusText(got.status))
	}
	return ofTokenEndpoint(f)
}

// explainRefusal says what an error of RFC 6749, 5.2 means.
func explainRefusal(named, description string) string {
	why := map[string]string{
		"invalid_request":        "it can't make sense of the request",
		"invalid_client":         "it doesn't know the client, or the credentials are wrong",
		"invalid_grant":          "it doesn't accept the assertion",
		"unauthorized_client":    "the client may not get tokens in this way",
		"unsupported_grant_type": "it gives no tokens in this way",
		"invalid_scope":          "the client may not have these scopes",
	}[named]
	sentence := fmt.Sprintf("The token endpoint refused to give a token with %s", named)
	if why != "" {
		sentence += ": " + why
	}
	if description != "" {
		return sentence + ". It says: " + strings.TrimRight(description, ". ") + "."
	}
	return sentence + "."
}

// oneLine returns at most so many characters of s, in one line.
func oneLine(s string, most int) string {
	return jsonvalue.Abbreviate(strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) || r == utf8.RuneError {
			return ' '
		}
		return r
	}, s), most)
}

// skew says that the clocks of the token endpoint and of this machine differ, if
// they do: an assertion from the future or the past is refused.
func (t *tokens) skew(h http.Header) string {
	theirs, err := http.ParseTime(h.Get("Date"))
	if err != nil {
		return ""
	}
	apart := theirs.Sub(t.way.now()).Round(time.Second)
	if apart.Abs() <= 30*time.Second {
		return ""
	}
	where := "ahead of"
	if apart < 0 {
		where = "behind"
	}
	return fmt.Sprintf(" Its clock is %d s %s ours, which may be why.", int(apart.Abs().Seconds()), where)
}

// usable is the fault of a token that no request can carry.
func usable(text string) *fault {
	switch {
	case text == "":
		return misconfigured("The token endpoint answered without a token where one was looked for.")
	case len(text) > mostToken:
		return misconfigured("The token endpoint gave a token that is longer than %d KiB.", mostToken>>10)
	case !httpguts.ValidHeaderFieldValue(text) || strings.TrimSpace(text) != text:
		return misconfigured("The token endpoint gave a token with a character that no header can carry, such as a line break.")
	}
	return nil
}

// readOAuth reads an answer of RFC 6749, 5.1.
func readOAuth(_ domain.Auth, said map[string]any) (minted, *fault) {
	if kind, given := said["token_type"]; given {
		if name, _ := kind.(string); !strings.EqualFold(name, "bearer") {
			return minted{}, misconfigured("The token endpoint gave a token of another type than Bearer, which is the one that can be used here.")
		}
	}
	text, _ := said["access_token"].(string)
	return minted{text, lifetime(said["expires_in"], usualLifetime)}, nil
}

// lifetime reads a number of seconds, which some servers write as a text. A
// token that has none is expected to last usual; one whose lifetime makes no
// sense is used once.
func lifetime(v any, usual time.Duration) time.Duration {
	var written string
	switch v := v.(type) {
	case nil:
		return usual
	case json.Number:
		written = v.String()
	case string:
		written = v
	}
	seconds, err := json.Number(cmp.Or(strings.TrimSpace(written), "?")).Float64()
	switch {
	case seconds >= longestLifetime.Seconds(): // infinity with its error too
		return longestLifetime
	case err != nil || !(seconds > 0):
		return 0
	}
	return time.Duration(seconds * float64(time.Second))
}

// ofTokenEndpoint returns f, said of the token endpoint.
func ofTokenEndpoint(f *fault) *fault {
	if f == nil {
		return nil
	}
	said := *f
	said.sentence = strings.ReplaceAll(f.sentence, "upstream", "token endpoint")
	if !strings.Contains(said.sentence, "token endpoint") {
		first, size := utf8.DecodeRuneInString(said.sentence)
		said.sentence = "At the token endpoint: " + string(unicode.ToLower(first)) + said.sentence[size:]
	}
	return &said
}
