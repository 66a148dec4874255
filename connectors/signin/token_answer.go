package signin

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

	"github.com/seed677028b5/integrations/connectors/callerror"
	"github.com/seed677028b5/integrations/connectors/egress"
	"github.com/seed677028b5/integrations/connectors/jsonvalue"
	"github.com/seed677028b5/integrations/connectors/scrub"
	"github.com/seed677028b5/integrations/domain"
)

// request requests a token once. It returns where, and the status and the headers of the
// answer.
func (i *issuer) request(ctx context.Context, g grant, s signing) (issued, *url.URL, int, http.Header, *callerror.Error) {
	r, e := g.request(ctx, i, s)
	if e != nil {
		return issued{}, nil, 0, nil, e
	}
	asked := func() bool { return false }
	if s.auth.DPoP {
		if asked, e = i.provers.prove(s, r.Request, ""); e != nil {
			return issued{}, nil, 0, nil, e
		}
	}
	got, e := i.client.Do(ctx, r.Request)
	if e == nil && got.Status >= 400 && asked() { // it wants a nonce in the proof, and has said which
		if again, failed := g.request(ctx, i, s); failed == nil {
			r = again
			if _, e = i.provers.prove(s, r.Request, ""); e == nil {
				got, e = i.client.Do(ctx, r.Request)
			}
		}
	}
	if e != nil {
		return issued{}, nil, 0, nil, ofTokenEndpoint(e)
	}
	read, e := i.read(g, s, r, got)
	return read, r.URL, got.Status, got.Header, e
}

// read takes the token out of an answer to r.
func (i *issuer) read(g grant, s signing, r tokenRequest, got egress.Answer) (issued, *callerror.Error) {
	if domain.IsSentSecret(s.auth.SecretField()) {
		r.AddSecrets(s.secret.Reveal())
	}
	if jsonvalue.CountMarks(got.Body) > maxTokenValues {
		return issued{}, callerror.Misconfigured("The token endpoint's answer has more than %d values.", maxTokenValues)
	}
	raw, _ := jsonvalue.Decode(got.Body)
	answer, _ := raw.(map[string]any)
	text := s.auth.TokenAnswer == "text"
	scrubber := func() scrub.Scrubber { return scrub.New(append(r.Secrets(), s.Request.Secrets()...)...) }
	if e := refusal(got, answer, scrubber); e != nil {
		if e.Code == domain.CallAuthFailed && r.asserts {
			e.Sentence += i.skew(got.Header)
		}
		if e.Code == domain.CallAuthFailed {
			e.Sentence += r.hint
		}
		return issued{}, e
	}
	switch {
	case got.Truncated:
		return issued{}, &callerror.Error{Code: domain.CallResponseTooLarge, Sentence: fmt.Sprintf("The token endpoint's answer is longer than %d KiB.", maxTokenAnswer>>10)}
	case answer == nil && !text:
		return issued{}, callerror.Misconfigured("The token endpoint answered %d without a JSON object: check its URL.", got.Status)
	}
	read, e := issued{text: strings.TrimSpace(string(got.Body)), lifetime: defaultLifetime}, (*callerror.Error)(nil)
	if !text {
		read, e = g.read(s.auth, answer)
	}
	if e == nil {
		e = usable(read.text)
	}
	if e == nil && r.repeats(read.text) {
		e = callerror.Misconfigured("What the token endpoint gave as a token is a part of the request for it. That goes to no other place.")
	}
	return read, e
}

// refusal returns the error of an answer that refuses: by its status, or as in RFC
// 6749, 5.2, whatever the status.
func refusal(got egress.Answer, answer map[string]any, of func() scrub.Scrubber) *callerror.Error {
	named, _ := answer["error"].(string)
	e := got.Error()
	busy := e != nil && e.Limited || got.Status >= 500
	switch {
	case named != "" && !busy:
		scrubber := of()
		description, _ := answer["error_description"].(string)
		sentence := explainRefusal(oneLine(scrubber.Text(named), 100), oneLine(scrubber.Text(description), 500)) // half a secret is not found any more
		return &callerror.Error{Code: domain.CallAuthFailed, Sentence: scrubber.Text(sentence)}
	case e == nil:
		return nil
	case got.Status == http.StatusBadRequest:
		return &callerror.Error{Code: domain.CallAuthFailed, Sentence: "The token endpoint answered 400 Bad Request and gave no reason: check the client and its credentials."}
	case got.Status >= 300 && got.Status < 400:
		return callerror.Misconfigured("The token endpoint answered %d %s: redirects are not followed; configure the final URL.", got.Status, http.StatusText(got.Status))
	case got.Status == http.StatusNotFound || got.Status == http.StatusMethodNotAllowed:
		return callerror.Misconfigured("The token endpoint answered %d %s: check its URL.", got.Status, http.StatusText(got.Status))
	}
	return ofTokenEndpoint(e)
}

// explainRefusal explains an error of RFC 6749, 5.2.
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

// oneLine returns the first characters of s, up to a limit, in one line.
func oneLine(s string, limit int) string {
	return jsonvalue.Abbreviate(strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) || r == utf8.RuneError {
			return ' '
		}
		return r
	}, s), limit)
}

// skew returns a sentence when the clocks of the token endpoint and of this machine
// differ: an assertion from the future or the past is refused.
func (i *issuer) skew(h http.Header) string {
	theirs, err := http.ParseTime(h.Get("Date"))
	if err != nil {
		return ""
	}
	apart := theirs.Sub(i.now()).Round(time.Second)
	if apart.Abs() <= 30*time.Second {
		return ""
	}
	where := "ahead of"
	if apart < 0 {
		where = "behind"
	}
	return fmt.Sprintf(" Its clock is %d s %s ours, which may be why.", int(apart.Abs().Seconds()), where)
}

// usable returns the error of a token that no request can carry.
func usable(text string) *callerror.Error {
	switch {
	case text == "":
		return callerror.Misconfigured("The token endpoint answered without a token where one was looked for.")
	case len(text) > maxToken:
		return callerror.Misconfigured("The token endpoint gave a token that is longer than %d KiB.", maxToken>>10)
	case !httpguts.ValidHeaderFieldValue(text) || strings.TrimSpace(text) != text:
		return callerror.Misconfigured("The token endpoint gave a token with a character that no header can carry, such as a line break.")
	}
	return nil
}

// readOAuth reads an answer of RFC 6749, 5.1. Servers label bearer tokens as they like,
// such as BearerToken, or not at all; only DPoP (RFC 9449) and MAC ask for more than the
// token.
func readOAuth(a domain.Auth, answer map[string]any) (issued, *callerror.Error) {
	kind, _ := answer["token_type"].(string)
	switch {
	case isDPoP(kind) && !a.DPoP:
		return issued{}, callerror.Misconfigured("The token endpoint gave a token that a key must prove (DPoP), and this integration uses Bearer tokens: set dpop.")
	case strings.EqualFold(kind, "mac"):
		return issued{}, callerror.Misconfigured("The token endpoint gave a token that a key must prove (MAC), and this integration uses Bearer tokens.")
	}
	text, _ := answer["access_token"].(string)
	return issued{text: text, lifetime: lifetime(answer["expires_in"], defaultLifetime), proved: isDPoP(kind)}, nil
}

// lifetime reads a number of seconds, which some servers write as a text. A token
// without one lasts usual; one whose lifetime is not a positive number is used once.
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
	case seconds >= maxLifetime.Seconds(): // infinity with its error too
		return maxLifetime
	case err != nil || !(seconds > 0):
		return 0
	}
	return time.Duration(seconds * float64(time.Second))
}

func readInJSON(a domain.Auth, answer map[string]any) (issued, *callerror.Error) {
	text, e := valueAt("token_response_path", a.TokenResponsePath, answer)
	found, _ := text.(string)
	return issued{text: found, lifetime: lifetime(answer["expires_in"], defaultLifetime)}, e
}

// valueAt returns the value at a place of a token endpoint's answer. Old events may
// have an expression instead of a path, which could compute on the answer: it is not
// evaluated.
func valueAt(field, place string, answer map[string]any) (any, *callerror.Error) {
	path, err := domain.ParsePlace(place)
	if err != nil {
		return nil, callerror.Misconfigured("%s is an expression; it must be a path of members and indexes, such as data.tokens[0]. Change it, and give the secret again.", field)
	}
	return path.In(answer), nil
}
