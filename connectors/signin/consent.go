package signin

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/seed677028b5/integrations/connectors/callerror"
	"github.com/seed677028b5/integrations/connectors/egress"
	"github.com/seed677028b5/integrations/connectors/jsonvalue"
	"github.com/seed677028b5/integrations/connectors/scrub"
	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/internal/retryafter"
)

// withConsent signs with the access token that a person's consent gave, which the keyring
// opens. It gets another one, once, for one that the upstream refused.
func (a *Authenticator) withConsent(ctx context.Context, s signing) (*Credential, *callerror.Error) {
	if s.DryRun {
		s.putToken(scrub.Mask)
		return nil, nil
	}
	if s.Keyring == nil {
		return nil, callerror.Misconfigured("A person must sign in before this integration can be called.")
	}
	used, _, e := SignedIn(ctx, s.Keyring, domain.SignedInRef(""))
	if e != nil {
		return nil, e
	}
	c := &Credential{Detail: "A person has signed in."}
	put := func(in domain.SignedIn) (e *callerror.Error) {
		if in.Proof.Reveal() == "" {
			s.putToken(in.Access.Reveal())
			return nil
		}
		s.Request.SetSecretHeader("Authorization", dpopHeader+" "+in.Access.Reveal(), in.Access.Reveal())
		c.asked, e = a.tokens.issuer.provers.proveAs(in.Proof, s.Request, in.Access.Reveal())
		return e
	}
	c.renew = func(ctx context.Context) *callerror.Error {
		text, err := s.Keyring(ctx, domain.SignedInRef(used.Access.Reveal()))
		if err != nil {
			return unauthorized(ctx, err)
		}
		fresh, err := domain.ReadSignedIn(text)
		if err != nil {
			return unopened(ctx, err)
		}
		return put(fresh)
	}
	return c, put(used)
}

// maxConsentAnswer bounds an answer with tokens, each of which may have 16 KiB.
const maxConsentAnswer = 256 << 10

// RequestToken sends one request of a person's consent to a token endpoint, once: a code, a
// refresh, or a revocation. It authenticates the client in the one way that the request
// names. The deadline is that of ctx.
func (a *Authenticator) RequestToken(ctx context.Context, t domain.TokenRequest) domain.TokenAnswer {
	answer := a.requestToken(ctx, t)
	a.tokens.observe.reportConsent(t.Integration.Auth.Type, answer.Outcome)
	return answer
}

func (a *Authenticator) requestToken(ctx context.Context, t domain.TokenRequest) domain.TokenAnswer {
	r, e := a.consentRequest(ctx, t)
	if e != nil {
		return domain.TokenAnswer{Outcome: domain.TokenNotSent, Code: string(e.Code), Sentence: e.Sentence}
	}
	asked := func() bool { return false }
	if t.Proof.Reveal() != "" {
		if asked, e = a.tokens.issuer.provers.proveAs(t.Proof, r.Request, ""); e != nil {
			return domain.TokenAnswer{Outcome: domain.TokenNotSent, Code: string(e.Code), Sentence: e.Sentence}
		}
	}
	got, e := a.client.Do(ctx, r.Request)
	if e == nil && got.Status >= 400 && asked() { // it wants a nonce in the proof, has said which, and processed nothing (RFC 9449, 8)
		got, e = a.client.Do(ctx, r.Request)
	}
	scrubber := r.Scrubber()
	switch {
	case e != nil && (e.Unsent || e.Code == domain.CallBlockedDestination):
		return domain.TokenAnswer{Outcome: domain.TokenNotSent, Code: string(e.Code), Sentence: ofTokenEndpoint(e).Shown(scrubber)}
	case e != nil:
		return domain.TokenAnswer{Outcome: domain.TokenAnswerLost, Code: string(e.Code), Sentence: ofTokenEndpoint(e).Shown(scrubber)}
	}
	return readConsent(*t.Integration.Auth, t.Revoke, t.Proof.Reveal() != "", got, scrubber, a.now())
}

// consentRequest returns the request to send.
func (a *Authenticator) consentRequest(ctx context.Context, t domain.TokenRequest) (tokenRequest, *callerror.Error) {
	target, err := url.Parse(t.Endpoint)
	if err != nil || !domain.SecureURL(t.Endpoint) {
		return tokenRequest{}, callerror.Misconfigured("The URL of the token endpoint can't be called: it must begin with https://.")
	}
	if e := ofTokenEndpoint(a.client.Judge(target)); e != nil {
		return tokenRequest{}, e
	}
	s := signing{Call: Call{Integration: t.Integration, Auth: t.Integration.Auth, Keyring: t.Keyring, Request: &egress.Request{Header: http.Header{}}}, secrets: map[string]domain.Secret{}}
	if e := s.openConsent(ctx, a.now()); e != nil {
		return tokenRequest{}, e
	}
	b := tokenBuilder{issuer: a.tokens.issuer, signing: s, endpoint: t.Endpoint, encoding: formEncoding, params: map[string]string{}}
	for name := range t.Params {
		b.params[name] = t.Params.Get(name)
	}
	b.secrets = slices.Clone(t.Secrets)
	secret := t.Client.Secret
	if secret.Reveal() == "" {
		secret = s.secret
	}
	var name, password string
	switch t.Client.AuthMethod {
	case "none":
		b.params["client_id"] = t.Client.ID
	case "body":
		b.params["client_id"] = t.Client.ID
		b.secret("client_secret", secret.Reveal())
	case "basic_raw":
		name, password = t.Client.ID, secret.Reveal()
	default:
		name, password = url.QueryEscape(t.Client.ID), url.QueryEscape(secret.Reveal())
	}
	r, e := b.build()
	if e != nil {
		return r, e
	}
	if name+password != "" {
		r.SetBasicAuth(name, password)
	}
	if text := secret.Reveal(); text != "" { // as it is written too, which Basic does not send
		r.AddSecrets(text)
	}
	r.MaxAnswer = maxConsentAnswer
	return r, nil
}

// openConsent opens the secrets that a request for a token carries, each for the
// authorization server that it was given for.
func (s *signing) openConsent(ctx context.Context, now time.Time) *callerror.Error {
	auth, refs := secretsOf(*s.Auth, now)
	s.auth, s.refs = auth, refs
	origins := s.Integration.SecretOrigins()
	for _, one := range refs {
		if !one.use.Token {
			continue
		}
		if !slices.ContainsFunc(origins, func(o string) bool { return givenFor(one.ref, o, true) }) {
			return callerror.Misconfigured("The secret %s was given for another token endpoint; give it again for this one.", one.use.Field)
		}
		if s.Keyring == nil {
			return callerror.Misconfigured("The secret %s of auth is not set.", one.use.Field)
		}
		secret, err := s.Keyring(ctx, one.ref)
		if err != nil {
			return unopened(ctx, err)
		}
		s.secrets[one.use.Field] = secret
	}
	s.secret = s.secrets[auth.SecretField()]
	return s.present()
}

// readConsent reads an answer: a token and no error is success, whatever the status.
func readConsent(a domain.Auth, revoke, proves bool, got egress.Answer, scrubber scrub.Scrubber, now time.Time) domain.TokenAnswer {
	members, understood := answerMembers(got)
	places := a.Places()
	answer := domain.TokenAnswer{
		Access: domain.NewSecret(textAt(places.AccessToken, members)), Refresh: domain.NewSecret(textAt(places.RefreshToken, members)),
		Code: oneLine(scrubber.Text(errorOf(members)), 100),
	}
	ok := true
	if places.OK != "" {
		ok, _ = placeIn(places.OK, members).(bool)
	}
	description, _ := members["error_description"].(string)
	switch busy := got.Status == http.StatusTooManyRequests; {
	case revoke && got.Status >= 200 && got.Status < 300 && answer.Code == "":
		answer.Outcome = domain.TokenGranted
	case !revoke && answer.Access.Reveal() != "" && answer.Code == "" && ok && got.Status < 500 && !busy:
		answer.Outcome = domain.TokenGranted
		readGrant(&answer, places, members)
		readCaptures(&answer, a, members, scrubber)
		if e := usable(answer.Access.Reveal()); e != nil {
			return domain.TokenAnswer{Outcome: domain.TokenRefused, Sentence: e.Sentence}
		}
		kind, _ := members["token_type"].(string)
		if answer.Proved = isDPoP(kind); answer.Proved && !proves || strings.EqualFold(kind, "mac") {
			return domain.TokenAnswer{Outcome: domain.TokenRefused, Sentence: "The token endpoint gave a token that a key must prove, and this integration uses Bearer tokens: set dpop for DPoP, and sign in again."}
		}
	case busy:
		answer.Outcome = domain.TokenBusy
		answer.Sentence = "The token endpoint answered 429 Too Many Requests."
		answer.RetryAfter, _ = retryafter.Parse(got.Header.Get("Retry-After"), now)
	case got.Status >= 500:
		answer.Outcome = domain.TokenAnswerLost
		answer.Sentence = ofTokenEndpoint(callerror.OfStatus(got.Status)).Sentence
		answer.RetryAfter, _ = retryafter.Parse(got.Header.Get("Retry-After"), now)
	default:
		answer.Outcome = domain.TokenRefused
		answer.Sentence = refusalSentence(got, understood, answer.Code, oneLine(scrubber.Text(description), 500))
	}
	return answer
}

func refusalSentence(got egress.Answer, understood bool, code, description string) string {
	switch {
	case code != "":
		return explainRefusal(code, description)
	case !understood:
		return ofTokenEndpoint(callerror.Upstream("The upstream answered %d with neither JSON nor a form.", got.Status)).Sentence
	case got.Status >= 200 && got.Status < 300:
		return "The token endpoint answered without a token where one was looked for."
	}
	return ofTokenEndpoint(callerror.OfStatus(got.Status)).Sentence
}

// readGrant reads what comes beside the token.
func readGrant(answer *domain.TokenAnswer, places domain.TokenResponse, members map[string]any) {
	if written := placeIn(places.ExpiresIn, members); written != nil {
		if lasts := lifetime(written, 0); lasts > 0 {
			answer.Lifetime = lasts
		}
	}
	if answer.Lifetime == 0 {
		answer.Lifetime = claimedLifetime(answer.Access.Reveal())
	}
	if scope, given := placeIn(places.Scope, members).(string); given {
		answer.Scopes, answer.HasScopes = domain.SplitScopes(scope), true
	}
	switch account, _ := jsonvalue.Scalar(placeIn(places.Account, members)); {
	case places.Account != "":
		answer.Account = oneLine(account, 256)
	default:
		idToken, _ := members["id_token"].(string)
		claims := claimsOf(idToken)
		answer.Account = oneLine(textAt("sub", claims), 256)
	}
}

// claimedLifetime returns how long a token that is a JWT lasts by its own claims, which are
// not verified: they only decide when another one is fetched. 0 is unknown.
func claimedLifetime(token string) time.Duration {
	claims := claimsOf(token)
	number := func(name string) float64 {
		n, _ := claims[name].(json.Number)
		f, _ := n.Float64()
		return f
	}
	if number("iat") <= 0 {
		return 0
	}
	return time.Duration(min(max(number("exp")-number("iat"), 0), maxLifetime.Seconds()) * float64(time.Second))
}

// claimsOf returns the claims of a JWT without verifying it: the token endpoint itself has
// given it, over TLS (OpenID Connect Core 1.0, 3.1.3.7). Anything else has none.
func claimsOf(token string) map[string]any {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return nil
	}
	text, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil || jsonvalue.CountMarks(text) > maxTokenValues {
		return nil
	}
	decoded, _ := jsonvalue.Decode(text)
	claims, _ := decoded.(map[string]any)
	return claims
}

// answerMembers reads an answer as JSON or as a form, as it is labelled, and reports
// whether it is either.
func answerMembers(got egress.Answer) (map[string]any, bool) {
	if jsonvalue.CountMarks(got.Body) > maxTokenValues || got.Truncated {
		return nil, false
	}
	media, _, _ := mime.ParseMediaType(got.Header.Get("Content-Type"))
	decoded, _ := jsonvalue.Decode(got.Body)
	if members, ok := decoded.(map[string]any); ok {
		return members, true
	}
	form, err := url.ParseQuery(strings.TrimSpace(string(got.Body)))
	if err != nil || media != formMedia && media != "text/plain" {
		return nil, len(got.Body) == 0
	}
	members := map[string]any{}
	for name := range form {
		members[name] = form.Get(name)
	}
	return members, true
}

// errorOf returns the code of a refusal: error, which some servers make an object or hide
// in error_code.
func errorOf(members map[string]any) string {
	switch e := members["error"].(type) {
	case string:
		return e
	case map[string]any:
		for _, name := range []string{"code", "type", "status", "message"} {
			if text, ok := e[name].(string); ok && text != "" {
				return text
			}
		}
		return "error"
	}
	return ""
}

func placeIn(place string, members map[string]any) any {
	path, err := domain.ParsePlace(place)
	if err != nil || members == nil {
		return nil
	}
	return path.In(members)
}

func textAt(place string, members map[string]any) string {
	text, _ := placeIn(place, members).(string)
	return text
}
