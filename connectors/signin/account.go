package signin

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/seed677028b5/integrations/connectors/callerror"
	"github.com/seed677028b5/integrations/connectors/egress"
	"github.com/seed677028b5/integrations/connectors/jsonvalue"
	"github.com/seed677028b5/integrations/connectors/scrub"
	"github.com/seed677028b5/integrations/domain"
)

// SignedIn opens what a person has consented to: the token of a call, and the values of the
// account that it is of. The keyring that it returns opens the same again for that call,
// whatever becomes of the authorization meanwhile, and no token that goes with other values: the
// call has these in it.
func SignedIn(ctx context.Context, open domain.Keyring, ref domain.SecretRef) (domain.SignedIn, domain.Keyring, *callerror.Error) {
	if open == nil {
		return domain.SignedIn{}, nil, callerror.Misconfigured("A person must sign in before this integration can be called.")
	}
	text, err := open(ctx, ref)
	if err != nil {
		return domain.SignedIn{}, nil, unauthorized(ctx, err)
	}
	opened, err := domain.ReadSignedIn(text)
	if err != nil {
		return domain.SignedIn{}, nil, unopened(ctx, err)
	}
	return opened, func(ctx context.Context, wanted domain.SecretRef) (domain.Secret, error) {
		if wanted.ID == ref.ID {
			return text, nil
		}
		got, err := open(ctx, wanted)
		if err != nil || !domain.IsSignedInRef(wanted) {
			return got, err
		}
		if fresh, err := domain.ReadSignedIn(got); err != nil || !maps.Equal(fresh.Captured, opened.Captured) {
			return domain.Secret{}, errors.Join(err, errAccountChanged)
		}
		return got, nil
	}, nil
}

// capture keeps a value, or notes that it is none that its capture may be. One with a secret
// in it is no value of an account.
func capture(of domain.Capture, name string, v any, hides func(string) bool, captured map[string]string, unfit *[]string) {
	text, ok := jsonvalue.Scalar(v)
	if !ok || v == nil || text == "" {
		return
	}
	value, fits := of.Take(text)
	if !fits || hides(value) {
		*unfit = append(*unfit, name)
		return
	}
	captured[name] = value
}

// readCaptures keeps what an auth captures of an answer with tokens.
func readCaptures(answer *domain.TokenAnswer, a domain.Auth, members map[string]any, scrubber scrub.Scrubber) {
	idToken, _ := members["id_token"].(string)
	tokens := scrub.New(answer.Access.Reveal(), answer.Refresh.Reveal(), idToken)
	hides := func(s string) bool { return scrubber.Finds(s) || tokens.Finds(s) }
	answer.Captured = map[string]string{}
	var claims map[string]any
	for name, of := range a.Capture {
		switch of.From {
		case domain.FromToken:
			capture(of, name, placeIn(of.Path, members), hides, answer.Captured, &answer.Unfit)
		case domain.FromIDToken:
			if claims == nil {
				claims = claimsOf(idToken)
			}
			capture(of, name, placeIn(of.Path, claims), hides, answer.Captured, &answer.Unfit)
		case domain.FromStart, domain.FromCallback, domain.FromCall:
		}
	}
	slices.Sort(answer.Unfit)
}

// tokenPlaceholder stands for the access token in the URL of an identity call.
const tokenPlaceholder = "{token}"

// Identify asks an API who has signed in, with the access token of the consent. The URL is
// that of the identity call, filled.
func (a *Authenticator) Identify(ctx context.Context, i domain.Integration, at string, access domain.Secret) (domain.Identity, *callerror.Error) {
	header := http.Header{"User-Agent": {a.client.UserAgent}, "Accept": {"application/json"}}
	for name, value := range i.Headers {
		if value != nil && !domain.UsesAccount(*value) { // such as a version; what is not known yet is left out
			header.Set(name, *value)
		}
	}
	request := &egress.Request{Method: http.MethodGet, Header: header, MaxAnswer: maxConsentAnswer}
	inURL := strings.Contains(at, tokenPlaceholder)
	if inURL {
		escaped := url.PathEscape(access.Reveal())
		at = strings.ReplaceAll(at, tokenPlaceholder, escaped)
		request.AddSecrets(access.Reveal(), escaped)
	}
	target, err := url.Parse(at)
	if err != nil || !domain.SecureURL(at) {
		return domain.Identity{}, callerror.Misconfigured("The URL of identity_call can't be called: it must begin with https://.")
	}
	request.URL = target
	if !inURL {
		s := signing{Call: Call{Integration: i, Auth: i.Auth, Request: request}, auth: *i.Auth}
		s.putToken(access.Reveal())
	}
	got, e := a.client.Do(ctx, request)
	if e == nil {
		e = got.Error()
	}
	if e == nil && (got.Truncated || jsonvalue.CountMarks(got.Body) > maxTokenValues) {
		e = callerror.Upstream("its answer is too long.")
	}
	if e != nil {
		return domain.Identity{}, &callerror.Error{Code: e.Code, Sentence: "The call that asks who has signed in failed: " + e.Shown(request.Scrubber())}
	}
	decoded, _ := jsonvalue.Decode(got.Body)
	return readIdentity(*i.Auth, decoded, request.Scrubber())
}

func readIdentity(a domain.Auth, answer any, scrubber scrub.Scrubber) (domain.Identity, *callerror.Error) {
	call := a.IdentityCall
	at := func(place string) any {
		path, err := domain.ParsePlace(place)
		if err != nil {
			return nil
		}
		return path.In(answer)
	}
	if call.OK != "" {
		if ok, _ := jsonvalue.Scalar(at(call.OK)); ok != "true" {
			return domain.Identity{}, callerror.Misconfigured("The call that asks who has signed in answered, and its member %s is not true.", call.OK)
		}
	}
	who := domain.Identity{Captured: map[string]string{}, Choices: map[string][]domain.Choice{}}
	if account, _ := jsonvalue.Scalar(at(call.Account)); call.Account != "" {
		who.Account = oneLine(account, 256)
	}
	for name, of := range a.Capture {
		if of.From != domain.FromCall {
			continue
		}
		list, element, isList := domain.SplitEach(of.Path)
		if !isList {
			capture(of, name, at(of.Path), scrubber.Finds, who.Captured, &who.Unfit)
			continue
		}
		elements := answer
		if list != "" {
			elements = at(list)
		}
		choices := choicesIn(of, elements, element, scrubber)
		switch len(choices) {
		case 0:
		case 1:
			who.Captured[name] = choices[0].Value
		default: // which of them is meant, only a person or the caller knows
			who.Choices[name] = choices
		}
	}
	slices.Sort(who.Unfit)
	return who, nil
}

// choicesIn returns the values of a capture in a list, each once.
func choicesIn(of domain.Capture, elements any, element string, scrubber scrub.Scrubber) []domain.Choice {
	list, _ := elements.([]any)
	var choices []domain.Choice
	place := func(place string, in any) string {
		path, err := domain.ParsePlace(place)
		if place == "" || err != nil {
			text, _ := jsonvalue.Scalar(in)
			return text
		}
		text, _ := jsonvalue.Scalar(path.In(in))
		return text
	}
	for _, one := range list {
		value, fits := of.Take(place(element, one))
		known := slices.ContainsFunc(choices, func(c domain.Choice) bool { return c.Value == value })
		if !fits || known || scrubber.Finds(value) || len(choices) >= domain.MaxChoices {
			continue
		}
		label := ""
		if of.Label != "" {
			label = oneLine(scrubber.Text(place(of.Label, one)), 200)
		}
		choices = append(choices, domain.Choice{Value: value, Label: label})
	}
	return choices
}
