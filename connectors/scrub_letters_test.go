package connectors

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/seed677028b5/integrations/domain"
)

func TestASecretIsNotLookedForWhereItNeverGoes(t *testing.T) {
	const guesses = "other-secret-1 other-secret-2"
	theirs := upstream(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(guesses)) })
	c := signedBy(calling(strings.Replace(theirs, "127.0.0.1", "localhost", 1), nil, nil), domain.Auth{Type: domain.BearerToken}, "own-secret")
	c.Integration.Endpoints = []domain.Endpoint{{Name: "elsewhere", Auth: &domain.Auth{Type: domain.BearerToken, Secrets: map[string]domain.SecretRef{
		"bearer_token_value": {ID: "elsewhere", Destinations: []string{"https://api.example.com header Authorization"}},
	}}}}
	c.Keyring = func(_ context.Context, ref domain.SecretRef) (domain.Secret, error) {
		return domain.NewSecret(map[string]string{"s1": "own-secret", "elsewhere": "other-secret-1"}[ref.ID]), nil
	}
	if got := succeeds(t, onLoopback(t), c).FinalResult; got != guesses {
		t.Errorf("who runs a server sees which guess is a secret of another: %s", got)
	}
}

func TestASiteIsWhatWasRegistered(t *testing.T) {
	for target, want := range map[string]string{
		"https://api.example.co.uk/v1": "example.co.uk", "https://AUTH.example.co.uk.:8443": "example.co.uk", "http://10.0.0.1:80": "10.0.0.1",
		"http://[::1]:80": "::1", "http://localhost:1": "localhost", "https://one.github.io": "one.github.io", "": "", "://": "",
	} {
		if got := site(target); got != want {
			t.Errorf("the site of %q is %q, want %q", target, got, want)
		}
	}
}
