package signin

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/seed677028b5/integrations/connectors/callerror"
	"github.com/seed677028b5/integrations/connectors/egress"
	"github.com/seed677028b5/integrations/connectors/scrub"
	"github.com/seed677028b5/integrations/connectors/upstream"
	"github.com/seed677028b5/integrations/domain"
)

// tokens keeps tokens in memory until they end. One request at a time is made for one
// token.
type tokens struct {
	issuer  *issuer
	now     func() time.Time
	kept    *lru[token]
	issued  *lru[[]string] // the last tokens of each integration, which nothing may show
	flights *singleFlight
	observe TokenObserver // nil: nobody
}

func newTokens(client *egress.Client, pins Pins, now func() time.Time) *tokens {
	return &tokens{
		issuer: &issuer{client: client, now: now, attempts: upstream.Attempts{FirstWait: firstWait, Now: now}, provers: newProvers(now), Pins: pins, known: newLRU[pin](maxTokens)}, now: now,
		kept: newLRU[token](maxTokens), issued: newLRU[[]string](maxTokens), flights: newSingleFlight(),
	}
}

// of returns the last tokens of an integration.
func (t *tokens) of(i domain.Integration) []string {
	issued, _ := t.issued.get(ownerKey(i))
	return issued
}

// authenticator returns the function that signs with a token of g.
func (t *tokens) authenticator(g grant) authenticate {
	return func(ctx context.Context, s signing) (*Credential, *callerror.Error) {
		if s.DryRun {
			s.putToken(scrub.Mask)
			return nil, nil
		}
		got, e := t.get(ctx, g, s)
		if e != nil {
			return nil, e
		}
		c := &Credential{Detail: got.describe(t.now())}
		put := func(got token) (e *callerror.Error) {
			if !got.proved {
				s.putToken(got.text)
				return nil
			}
			c.asked, e = t.putProved(s, got.text)
			return e
		}
		if e := put(got); e != nil {
			return nil, e
		}
		c.renew = func(ctx context.Context) *callerror.Error {
			fresh, e := t.replace(ctx, g, s, got)
			if e == nil {
				e = put(fresh)
			}
			return e
		}
		return c, nil
	}
}

// putToken puts a token where the integration has it go.
func (s signing) putToken(token string) {
	switch in := s.auth.TokenIn; {
	case in == nil:
		s.Request.SetSecretHeader("Authorization", "Bearer "+token, token)
	case in.Query != "":
		s.Request.SetSecretQuery(in.Query, token)
	default:
		s.Request.SetSecretHeader(in.Header, strings.ReplaceAll(in.Format, "{token}", token), token)
	}
}

// putProved puts a token that is bound to a key on the call, with a proof for each
// request.
func (t *tokens) putProved(s signing, token string) (asked func() bool, e *callerror.Error) {
	s.Request.SetSecretHeader("Authorization", dpopHeader+" "+token, token)
	return t.issuer.provers.prove(s, s.Request, token)
}

// get returns a kept token, else a new one. While the old one lasts, calls go on with
// it and the new one is fetched in the background.
func (t *tokens) get(ctx context.Context, g grant, s signing) (token, *callerror.Error) {
	key, now := cacheKey(s), t.now()
	old, kept := t.kept.get(key)
	switch {
	case kept && now.Before(old.renewAt):
		return old, nil
	case kept && now.Before(old.endsAt):
		old.renewAt = now.Add(renewAgain) // for all callers, and however the request ends
		t.kept.put(key, old)
		t.renewInBackground(ctx, key, g, s)
		return old, nil
	}
	return t.flights.do(ctx, key, func(ctx context.Context) (token, *callerror.Error) {
		if present, ok := t.kept.get(key); ok && t.now().Before(present.renewAt) {
			return present, nil
		}
		return t.fetch(ctx, key, g, s, "")
	})
}

// replace returns another token for one that an upstream refused. A token that was
// issued before the refusal may be refused as well, so it is not used.
func (t *tokens) replace(ctx context.Context, g grant, s signing, refused token) (token, *callerror.Error) {
	key := cacheKey(s)
	t.kept.dropIf(key, func(present token) bool { return present.text == refused.text })
	return t.flights.do(ctx, key+"\x00"+refused.text, func(ctx context.Context) (token, *callerror.Error) {
		if present, ok := t.kept.get(key); ok && present.replaces == refused.text {
			return present, nil
		}
		return t.fetch(ctx, key, g, s, refused.text)
	})
}

// renewInBackground fetches a new token while calls go on with the old one. When the
// token endpoint refuses, the old one is dropped, so that the next call reports why.
func (t *tokens) renewInBackground(ctx context.Context, key string, g grant, s signing) {
	s.Request = s.Request.Clone() // the original is sent meanwhile
	go func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), maxIssueTime)
		defer cancel()
		old, _ := t.kept.get(key)
		_, e := t.flights.do(ctx, key, func(ctx context.Context) (token, *callerror.Error) { return t.fetch(ctx, key, g, s, "") })
		if e != nil && (e.Code == domain.CallAuthFailed || e.Code == domain.CallMisconfigured) {
			t.kept.dropIf(key, func(present token) bool { return present.text == old.text })
		}
	}()
}

// fetch gets a new token and keeps it. It is kept among the secrets of its integration
// too: an upstream may show what the calls of another endpoint carried.
func (t *tokens) fetch(ctx context.Context, key string, g grant, s signing, replaces string) (token, *callerror.Error) {
	got, e := t.issuer.issue(ctx, g, s)
	t.observe.report(s.auth.Type, e)
	if e != nil {
		return token{}, e
	}
	got.replaces = replaces
	t.kept.put(key, got)
	t.remember(s.Integration, got.text)
	return got, nil
}

func (t *tokens) remember(i domain.Integration, text string) {
	key := ownerKey(i)
	earlier, _ := t.issued.get(key)
	if slices.Contains(earlier, text) {
		return
	}
	earlier = earlier[max(0, len(earlier)+1-maxIssued):]
	t.issued.put(key, append(slices.Clone(earlier), text))
}
