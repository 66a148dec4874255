package connectors

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/seed677028b5/integrations/connectors/scrub"
	"github.com/seed677028b5/integrations/domain"
)

// A grant is one way to get a token.
type grant struct {
	// ask returns the request for a token. It is made anew each time it is
	// sent, since no server takes the same assertion twice.
	ask func(context.Context, *tokens, signing) (*outgoing, *fault)
	// read takes the token out of a successful answer.
	read func(domain.Auth, map[string]any) (minted, *fault)
}

// minted is what a token endpoint gave.
type minted struct {
	text     string
	lifetime time.Duration // 0: good for this one use
}

// token is a token that was got.
type token struct {
	text     string
	endpoint string    // the origin where
	instead  string    // the token that an upstream refused, in whose place it was got
	renewAt  time.Time // a fresh one is asked for from here on
	endsAt   time.Time
}

const (
	longestMint     = 10 * time.Second
	longestLifetime = 24 * time.Hour
	usualLifetime   = 5 * time.Minute // of a token whose endpoint names none
	mostToken       = 16 << 10        // bytes
	mostGiven       = 64 << 10        // bytes of a token endpoint's answer
	maxTokenValues  = 4096            // in a token endpoint's answer
	mostKept        = 4096            // tokens, and pins
)

// tokens gets tokens, and keeps them in memory for as long as they last. One
// request at a time is made for one token.
type tokens struct {
	way     *outbound
	kept    *recent[token]
	pins    *recent[string]   // discovered token endpoints' origins, by who uses them
	issued  *recent[[]string] // the last tokens of each integration, which nothing may show
	flights *flights
}

func newTokens(way *outbound) *tokens {
	return &tokens{way: way, kept: newRecent[token](mostKept), pins: newRecent[string](mostKept), issued: newRecent[[]string](mostKept), flights: newFlights()}
}

// signer returns the signer that signs with a token of g.
func (t *tokens) signer(g grant) signer {
	return func(ctx context.Context, s signing) *fault {
		s.out.secrets = append(s.out.secrets, s.secret.Reveal())
		if s.out.dry {
			s.out.hideHeader("Authorization", "Bearer "+scrub.Mask)
			return nil
		}
		got, f := t.get(ctx, g, s)
		if f != nil {
			return f
		}
		put := func(got token) {
			s.out.hideHeader("Authorization", "Bearer "+got.text, got.text)
			s.out.resolved = got.told(t.way.now())
		}
		put(got)
		s.out.renew = func(ctx context.Context) *fault {
			fresh, f := t.replace(ctx, g, s, got)
			if f == nil {
				put(fresh)
			}
			return f
		}
		return nil
	}
}

// renewed puts a fresh token onto o when the upstream answered 401 to the one it
// carried, once. It reports whether o should be sent again, and the fault that
// keeps it from that.
func (o *outgoing) renewed(ctx context.Context, status int) (bool, *fault) {
	if status != http.StatusUnauthorized || o.renew == nil {
		return false, nil
	}
	renew := o.renew
	o.renew = nil
	return true, renew(ctx)
}

// get returns a token that is kept, else a new one. While an old one lasts nobody
// waits for the new one, and one that can't be had just now is no fault.
func (t *tokens) get(ctx context.Context, g grant, s signing) (token, *fault) {
	key, now := cacheKey(s), t.way.now()
	old, had := t.kept.get(key)
	switch {
	case had && now.Before(old.renewAt):
		return old, nil
	case had && now.Before(old.endsAt):
		old.renewAt = now.Add(renewAgain) // however many ask, and however the request ends
		t.kept.put(key, old)
		t.renewBeside(ctx, key, g, s)
		return old, nil
	}
	return t.flights.join(ctx, key, func(ctx context.Context) (token, *fault) {
		if landed, ok := t.kept.get(key); ok && t.way.now().Before(landed.renewAt) {
			return landed, nil
		}
		return t.fetch(ctx, key, g, s)
	})
}

// replace gets another token in the place of one that an upstream refused. One that
// was got before it was refused may be refused as well, so none of these will do.
func (t *tokens) replace(ctx context.Context, g grant, s signing, refused token) (token, *fault) {
	key := cacheKey(s)
	t.kept.dropIf(key, func(present token) bool { return present.text == refused.text })
	return t.flights.join(ctx, key+"\x00"+refused.text, func(ctx context.Context) (token, *fault) {
		if present, ok := t.kept.get(key); ok && present.instead == refused.text {
			return present, nil
		}
		got, f := t.mint(ctx, g, s)
		if f == nil {
			got.instead = refused.text
			t.kept.put(key, got)
		}
		return got, f
	})
}

// renewAgain is when a renewal is tried again whose token endpoint did not answer.
const renewAgain = longestMint + time.Second

// renewBeside gets a new token while calls go on with the old one. When the token
// endpoint refuses, the old one is dropped, so that the next call finds out why.
func (t *tokens) renewBeside(ctx context.Context, key string, g grant, s signing) {
	own := *s.out // the request goes on its way meanwhile
	own.secrets, own.opened, own.exchange = slices.Clone(own.secrets), slices.Clone(own.opened), own.exchange.Clone()
	s.out = &own
	go func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), longestMint)
		defer cancel()
		old, _ := t.kept.get(key)
		_, f := t.flights.join(ctx, key, func(ctx context.Context) (token, *fault) { return t.fetch(ctx, key, g, s) })
		if f != nil && (f.code == domain.CallAuthFailed || f.code == domain.CallMisconfigured) {
			t.kept.dropIf(key, func(present token) bool { return present.text == old.text })
		}
	}()
}

// fetch gets a new token and keeps it.
func (t *tokens) fetch(ctx context.Context, key string, g grant, s signing) (token, *fault) {
	got, f := t.mint(ctx, g, s)
	if f == nil {
		t.kept.put(key, got)
	}
	return got, f
}

// mint asks for a token, once more when the connection broke: that tells
// nothing of the credentials, and a second token does no harm.
func (t *tokens) mint(ctx context.Context, g grant, s signing) (token, *fault) {
	got, endpoint, f := t.ask(ctx, g, s)
	if f != nil && f.code == domain.CallUnreachable && !f.unsent {
		got, endpoint, f = t.ask(ctx, g, s)
	}
	if f != nil {
		return token{}, f
	}
	t.pin(s, endpoint)
	t.remember(s, got.text)
	now := t.way.now()
	lasts := min(got.lifetime, longestLifetime)
	return token{
		text: got.text, endpoint: domain.Origin(endpoint.String()),
		renewAt: now.Add(lasts - min(lasts/5, time.Minute)), endsAt: now.Add(lasts),
	}, nil
}

// maxIssued is how many tokens of an integration are looked for in what its
// upstreams say.
const maxIssued = 16

// remember keeps a token among the secrets of its integration: an upstream may
// show what another endpoint's calls carried.
func (t *tokens) remember(s signing, text string) {
	key := ownerKey(s.integration)
	before, _ := t.issued.get(key)
	if slices.Contains(before, text) {
		return
	}
	before = before[max(0, len(before)+1-maxIssued):]
	t.issued.put(key, append(slices.Clone(before), text))
}

func ownerKey(i domain.Integration) string {
	key, _ := json.Marshal(i.Owner()) // of texts and a number, which always encode
	return string(key)
}

// told says how a token was had, without saying the token. How long it lasts is
// said coarsely: a caller chooses which number of the answer is taken for that.
func (t token) told(now time.Time) string {
	left := t.endsAt.Sub(now)
	lasts := "a day or more"
	for _, step := range []struct {
		below time.Duration
		text  string
	}{{0, "for one use only"}, {5 * time.Minute, "less than 5 minutes"}, {time.Hour, "less than an hour"}, {longestLifetime, "less than a day"}} {
		if left <= step.below {
			lasts = step.text
			break
		}
	}
	return fmt.Sprintf("The token endpoint at %s gave a token that lasts %s.", t.endpoint, lasts)
}

// cacheKey says what a token was got for: nothing else is signed with it. It
// shows none of that.
func cacheKey(s signing) string {
	ref := s.auth.Secret()
	a := s.auth
	a.Secrets = nil
	whole, _ := json.Marshal(struct { // of texts and numbers, which always encode
		Owner    domain.Owner
		Ref      string
		Version  uint64
		Value    string
		Auth     domain.Auth
		Base     string
		Exchange http.Header
	}{s.integration.Owner(), ref.ID, ref.Version, s.secret.Reveal(), a, baseOf(s), s.out.exchange})
	sum := sha256.Sum256(whole)
	return string(sum[:])
}

// baseOf returns the base URL that s is signed for.
func baseOf(s signing) string {
	for _, base := range []string{s.out.base, s.integration.BaseURL, s.integration.MCPURL} {
		if base != "" {
			return strings.TrimRight(base, "/")
		}
	}
	return ""
}
