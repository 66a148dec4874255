package signin

import (
	"context"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"

	"golang.org/x/net/publicsuffix"

	"github.com/seed677028b5/integrations/connectors/callerror"
	"github.com/seed677028b5/integrations/domain"
)

// addKnownSecrets hands the request the secrets of its integration that the upstream
// may know, except those that are opened for the request itself: it may show what
// other calls carried, as in a log of its requests. A secret that was given for other
// sites is not one of these: to search for it would answer the guesses of anybody who
// has their own server called. One that is missing can't be shown by anybody. The last
// tokens of the integration are among the secrets.
func addKnownSecrets(ctx context.Context, c Call, tokens []string, except ...string) *callerror.Error {
	if c.DryRun || c.Keyring == nil { // nothing is sent
		return nil
	}
	called := sites(c)
	var others []domain.SecretRef
	for _, ref := range c.Integration.SentSecrets() {
		if (c.Integration.Builtin || c.Program || goesTo(ref, called)) && ref.ID != "" && !slices.Contains(except, ref.ID) && !slices.Contains(c.Opened, ref.ID) {
			others = append(others, ref)
		}
	}
	secrets, failures := make([]string, len(others)), make([]error, len(others))
	var opening sync.WaitGroup
	for n, ref := range others {
		opening.Go(func() {
			secret, err := c.Keyring(ctx, ref)
			secrets[n], failures[n] = secret.Reveal(), err
		})
	}
	opening.Wait()
	for n, err := range failures {
		switch {
		case err == nil:
			c.Request.AddSecrets(secrets[n])
		case domain.KindOf(err) != domain.Invalid:
			return unopened(ctx, err)
		}
	}
	c.Request.AddSecrets(tokens...)
	return nil
}

// sites returns the sites that a call goes to, and those of its token.
func sites(c Call) []string {
	var all []string
	if c.Request.URL != nil {
		all = append(all, site(c.Request.URL.String()))
	}
	if c.Auth != nil {
		all = append(all, site(c.Auth.TokenURL), site(c.Auth.ExchangeURL), site(c.Auth.Issuer), site(c.Auth.ResourceTokenURL), site(c.Auth.ResourceIssuer))
	}
	return all
}

// goesTo reports whether a secret, or a token that is issued for it, goes to one of sites.
func goesTo(ref domain.SecretRef, sites []string) bool {
	return slices.ContainsFunc(ref.Destinations, func(d string) bool {
		origin, _, _ := strings.Cut(d, " ")
		to := site(origin)
		return to != "" && slices.ContainsFunc(sites, func(s string) bool { return s == to || domain.SameOrigin("https://"+to, "https://"+s) })
	})
}

// site returns the registered domain of a URL, or its address.
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
