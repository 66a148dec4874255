package connectors

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/seed677028b5/integrations/connectors/scrub"
	"github.com/seed677028b5/integrations/domain"
)

func TestACallSignsInByTheTypeOfItsAuth(t *testing.T) {
	for _, row := range []struct {
		auth         domain.Auth
		header, sent string
		uri          string
	}{
		{domain.Auth{Type: domain.BearerToken}, "Authorization", "Bearer token-1", "/?a=1"},
		{domain.Auth{Type: domain.Basic, Username: "amy"}, "Authorization", "Basic YW15OnRva2VuLTE=", "/?a=1"},
		{domain.Auth{Type: domain.APIKeyHeader, HeaderName: "x-goog-api-key"}, "X-Goog-Api-Key", "token-1", "/?a=1"},
		{domain.Auth{Type: domain.APIKeyHeader, QueryName: "key"}, "", "", "/?a=1&key=token-1"},
	} {
		base, last := recorder(t)
		c := signedBy(calling(base, map[string]any{"a": "1"}, nil), row.auth, "token-1")
		result := succeeds(t, onLoopback(t), c)
		got := last()
		if got.URI != row.uri || row.header != "" && got.Header.Get(row.header) != row.sent {
			t.Errorf("%s went out as %+v", row.auth.Type, got)
		}
		if row.header != "" && result.Request.Headers.Get(row.header) != scrub.Mask {
			t.Errorf("%s is shown as %s", row.auth.Type, result.Request.Headers.Get(row.header))
		}
		if shown := asJSON(t, result); strings.Contains(shown, "token-1") || strings.Contains(shown, "YW15OnRva2VuLTE") {
			t.Errorf("%s shows its secret: %s", row.auth.Type, shown)
		}
	}
}

func TestAShortSecretIsMaskedWhereItIsSent(t *testing.T) {
	base, _ := recorder(t)
	c := signedBy(calling(base, map[string]any{"a": "x1"}, nil), domain.Auth{Type: domain.APIKeyHeader, QueryName: "key"}, "x1")
	if got := succeeds(t, onLoopback(t), c).Request.URL; got != base+"/?a=x1&key=[secret]" {
		t.Errorf("got %s", got)
	}
	c = signedBy(calling(base, nil, nil), domain.Auth{Type: domain.BearerToken}, "x1")
	if got := succeeds(t, onLoopback(t), c).Request.Headers.Get("Authorization"); got != scrub.Mask {
		t.Errorf("got %s", got)
	}
}

func TestAnEndpointsBaseAndAuthWinOverTheIntegrations(t *testing.T) {
	base, last := recorder(t)
	c := signedBy(calling("http://127.0.0.1:1", nil, nil), domain.Auth{Type: domain.BearerToken}, "token-1")
	own := domain.Auth{Type: domain.APIKeyHeader, HeaderName: "X-Own", Secrets: map[string]domain.SecretRef{
		"api_key_value": {ID: "s2", Destinations: []string{domain.Origin(base) + " header x-own"}},
	}}
	c.Endpoint.BaseURL, c.Endpoint.Auth = base, &own
	succeeds(t, onLoopback(t), c)
	if got := last().Header; got.Get("X-Own") != "token-1" || got.Get("Authorization") != "" {
		t.Errorf("got %v", got)
	}
}

func TestASecretGoesNowhereButToTheOriginItWasGivenFor(t *testing.T) {
	base := startUpstream(t, func(http.ResponseWriter, *http.Request) { t.Error("the upstream was called") })
	opened := false
	open := func(context.Context, domain.SecretRef) (domain.Secret, error) {
		opened = true
		return domain.NewSecret(canary), nil
	}
	c := signedBy(calling("http://127.0.0.1:1", nil, nil), domain.Auth{Type: domain.BearerToken}, canary)
	c.Keyring = open
	for _, elsewhere := range []string{base, strings.Replace(base, "http:", "https:", 1), "http://127.0.0.1:11", "http://127.0.0.2:1"} {
		c.Endpoint.BaseURL = elsewhere
		failsWith(t, onLoopback(t), c, domain.CallMisconfigured)
		c.Integration.BaseURL = elsewhere
		if p := onLoopback(t).Probe(t.Context(), c.Integration, open); p.Status != domain.Misconfigured || p.AuthResolved {
			t.Errorf("the probe came to %+v", p)
		}
	}
	if opened {
		t.Error("the secret was opened for another destination")
	}
}

func TestABuiltinsSecretHasNoDestinations(t *testing.T) {
	base, last := recorder(t)
	c := signedBy(calling(base, nil, nil), domain.Auth{Type: domain.BearerToken}, "operator-key")
	c.Integration.Auth.Secrets["bearer_token_value"] = domain.SecretRef{ID: "operator:google-maps"}
	failsWith(t, onLoopback(t), c, domain.CallMisconfigured)
	c.Integration.Builtin = true
	succeeds(t, onLoopback(t), c)
	if got := last().Header.Get("Authorization"); got != "Bearer operator-key" {
		t.Errorf("got %s", got)
	}
}

func TestASecretThatDoesNotOpenIsReportedWithoutItsCause(t *testing.T) {
	for _, row := range []struct {
		err  error
		want string
	}{
		{domain.Wrap(errors.New("root "+canary), domain.Invalid, "secret_missing", "the setting GOOGLE_MAPS_KEY is missing"), "the setting GOOGLE_MAPS_KEY is missing."},
		{errors.New("decrypt " + canary), "The secret could not be opened."},
	} {
		c := signedBy(calling("http://127.0.0.1:1", nil, nil), domain.Auth{Type: domain.BearerToken}, canary)
		c.Keyring = func(context.Context, domain.SecretRef) (domain.Secret, error) { return domain.Secret{}, row.err }
		if got := failsWith(t, onLoopback(t), c, domain.CallMisconfigured); got.Error != row.want || len(got.Attempts) != 0 {
			t.Errorf("got %+v", got)
		}
		p := onLoopback(t).Probe(t.Context(), c.Integration, c.Keyring)
		if p.Status != domain.Misconfigured || p.Message != row.want || p.AuthResolved || len(p.Steps) != 1 || p.Steps[0].OK || p.Steps[0].Name != "resolve_auth" {
			t.Errorf("the probe came to %+v", p)
		}
	}
	unset := calling("http://127.0.0.1:1", nil, nil)
	unset.Integration.Auth = &domain.Auth{Type: domain.Basic}
	failsWith(t, onLoopback(t), unset, domain.CallMisconfigured)
}
