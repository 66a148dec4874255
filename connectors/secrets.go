package connectors

import (
	"context"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"

	"golang.org/x/net/publicsuffix"

	"github.com/seed677028b5/integrations/domain"
)

// learn hands out the secrets of an integration that the upstream may know, but
// those that are opened for the request itself: it may show what other calls
// carried, as in a log of its requests. A secret that was given for other sites is
// none of these. To look for it would answer the guesses of whoever has their own
// server called. One that is missing can't be shown by anybody.
func (o *outbound) learn(ctx context.Context, i domain.Integration, a *domain.Auth, open domain.Keyring, out *outgoing, but ...string) *fault {
	if out.dry || open == nil { // nothing is sent
		return nil
	}
	asked := sites(a, out)
	var others []domain.SecretRef
	for _, ref := range i.Secrets() {
		if (i.Builtin || out.program != nil || goesTo(ref, asked)) && ref.ID != "" && !slices.Contains(but, ref.ID) && !slices.Contains(out.opened, ref.ID) {
			others = append(others, ref)
		}
	}
	secrets, failures := make([]string, len(others)), make([]error, len(others))
	var opening sync.WaitGroup
	for n, ref := range others {
		opening.Go(func() {
			secret, err := open(ctx, ref)
			secrets[n], failures[n] = secret.Reveal(), err
		})
	}
	opening.Wait()
	for n, err := range failures {
		switch {
		case err == nil:
			out.secrets = append(out.secrets, secrets[n])
		case domain.KindOf(err) != domain.Invalid:
			return unopened(ctx, err)
		}
	}
	issued, _ := o.tokens.issued.get(ownerKey(i))
	out.secrets = append(out.secrets, issued...)
	return nil
}

// sites are those that a request goes to, and the one for its token.
func sites(a *domain.Auth, out *outgoing) []string {
	var all []string
	if out.url != nil {
		all = append(all, site(out.url.String()))
	}
	if a != nil {
		all = append(all, site(a.TokenURL), site(a.ExchangeURL))
	}
	return all
}

// goesTo reports whether a secret, or a token minted with it, goes to one of sites.
func goesTo(ref domain.SecretRef, sites []string) bool {
	return slices.ContainsFunc(ref.Destinations, func(d string) bool {
		origin, _, _ := strings.Cut(d, " ")
		to := site(origin)
		return to != "" && slices.Contains(sites, to)
	})
}

// site is the domain that whoever runs a URL has registered, or its address.
func site(target string) string {
	u, err := url.Parse(target)
	if err != nil {
		return ""
	}
	host := strings.ToLower(strings.TrimSuffix(u.Hostname(), "."))
	if _, err := netip.ParseAddr(host); err == nil {
		return host
	}
	if registered, err := publicsuffix.EffectiveTLDPlusOne(host); err == nil {
		return registered
	}
	return host
}
