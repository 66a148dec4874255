package main

import (
	"log/slog"
	"net/http"

	"github.com/seed677028b5/integrations/access"
	pages "github.com/seed677028b5/integrations/console"
	"github.com/seed677028b5/integrations/transport"
	"github.com/seed677028b5/integrations/vault"
)

// started is a service that accepts requests.
type started struct {
	url     string
	console *pages.Console // nil: it has none
}

// handler returns what answers requests: the API and the console in front of it, as far as the
// process has them.
func (c serveCommand) handler(api *transport.Server, secrets *vault.Vault, sessions *access.Sessions, publicURL string, log *slog.Logger) (http.Handler, *pages.Console, error) {
	if !c.has(roleAPI) {
		return api.StatusHandler(), nil, nil
	}
	if !c.Console {
		return api.Handler(), nil, nil
	}
	api.Home = pages.Path + "/"
	key, err := secrets.DeriveKey("console")
	if err != nil {
		return nil, nil, err
	}
	front, err := pages.New(pages.Config{
		API: api.Handler(), Key: key, PublicURL: publicURL, Sessions: sessions, SignIn: c.OIDC.signIn(api.Tokens, publicURL, log), Version: release, Now: clock, Log: log,
	})
	if err != nil {
		return nil, nil, err
	}
	return front, front, nil
}
