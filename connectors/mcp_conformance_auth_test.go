package connectors

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/seed677028b5/integrations/authorizations"
	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/vault"
)

// consents returns authorizations over a NATS of this process, which end with it.
func consents(ctx context.Context, r *Registry) (*authorizations.Authorizations, *vault.Vault, error) {
	dir, err := os.MkdirTemp("", "conformance")
	if err != nil {
		return nil, nil, err
	}
	srv, err := server.NewServer(&server.Options{JetStream: true, StoreDir: dir, DontListen: true, NoSigs: true, NoLog: true})
	if err != nil {
		return nil, nil, err
	}
	go srv.Start()
	if !srv.ReadyForConnections(20 * time.Second) {
		return nil, nil, errors.New("NATS did not start")
	}
	nc, err := nats.Connect("", nats.InProcessServer(srv))
	if err != nil {
		return nil, nil, err
	}
	v, err := vault.Open(ctx, nc, vault.RootKeys{File: filepath.Join(dir, "root.keyset")}, 1)
	if err != nil {
		return nil, nil, err
	}
	a, err := authorizations.Open(ctx, nc, authorizations.Config{Vault: v, Upstream: r, Now: time.Now, NewID: rand.Text, Log: slog.New(slog.DiscardHandler)})
	if err == nil {
		a.SetPublicURL("http://127.0.0.1:8080")
	}
	return a, v, err
}

// signingIn is what a scenario of auth needs.
type signingIn struct {
	authorizations *authorizations.Authorizations
	vault          *vault.Vault
	integration    domain.Integration
}

func (s signingIn) use() authorizations.Use {
	return authorizations.Use{Integration: s.integration, Keyring: s.open}
}

func (s signingIn) open(ctx context.Context, ref domain.SecretRef) (domain.Secret, error) {
	if domain.IsAccessTokenRef(ref) {
		return s.authorizations.Token(ctx, s.use(), ref)
	}
	return s.vault.Open(ctx, s.integration.Owner(), ref)
}

func (s signingIn) find(context.Context, domain.Workspace, domain.ID) (authorizations.Use, error) {
	return s.use(), nil
}

// consent has a person consent who says yes to everything.
func (s signingIn) consent(ctx context.Context) error {
	started, err := s.authorizations.Start(ctx, s.use(), authorizations.Start{By: "conformance"})
	if err != nil {
		return fmt.Errorf("%w: %v", err, started.Steps)
	}
	link := started.URL[strings.LastIndex(started.URL, "/")+1:]
	to, cookie, err := s.authorizations.Continue(ctx, link, "", s.find)
	if err != nil {
		return err
	}
	browser := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := browser.Get(to)
	if err != nil {
		return err
	}
	text, _ := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	back, err := resp.Location()
	if err != nil {
		return fmt.Errorf("the authorization server answered %d: %s", resp.StatusCode, text)
	}
	out, err := s.authorizations.Callback(ctx, back.Query(), func(string) string { return cookie }, s.find)
	if err == nil && out.State != authorizations.Succeeded {
		err = errors.New(out.Sentence)
	}
	return err
}

// maxConsents is how often a person is asked for more.
const maxConsents = 2

// conformAuth calls a tool, and has a person consent whenever that is what is missing.
func conformAuth(ctx context.Context, out io.Writer, r *Registry, s scenario, at string) error {
	a, v, err := consents(ctx, r)
	if err != nil {
		return err
	}
	auth := map[string]any{"type": "oauth2_authorization_code"}
	for name, value := range s.auth {
		auth[name] = value
	}
	var given struct {
		ClientID     string `json:"client_id"`
		ClientSecret string `json:"client_secret"`
	}
	if text := os.Getenv("MCP_CONFORMANCE_CONTEXT"); text != "" {
		if err := json.Unmarshal([]byte(text), &given); err != nil {
			return err
		}
		auth["client_id"], auth["client_secret_value"] = given.ClientID, given.ClientSecret
	}
	d, err := domain.Integration{}.Create("acme", domain.Document{
		"name": "tools", "display_name": "Tools", "protocol": "mcp", "mcp_transport": "http", "mcp_url": at, "auth": auth,
	}, domain.Attempt{At: time.Now(), ID: "a"}, r.Rules())
	if err != nil {
		return err
	}
	signing := signingIn{authorizations: a, vault: v, integration: domain.Evolve(domain.Integration{}, d.Event)}
	for _, secret := range d.Seal {
		if err := v.Seal(ctx, signing.integration.Owner(), secret); err != nil {
			return err
		}
	}
	for range maxConsents {
		if err := signing.consent(ctx); err != nil {
			_, err = fmt.Fprint(out, err)
			return err
		}
		result, err := r.Call(ctx, domain.Call{
			Integration: signing.integration, Endpoint: domain.Endpoint{Name: s.tool}, Params: map[string]any{}, Keyring: signing.open,
		})
		if err != nil {
			return err
		}
		if result.Error == "" {
			_, err = fmt.Fprint(out, result.FinalResult)
			return err
		}
		challenge, _ := url.QueryUnescape(strings.Join(result.ResponseHeaders.Values("Www-Authenticate"), ", "))
		_, scope, more := strings.Cut(challenge, `scope="`)
		scope, _, _ = strings.Cut(scope, `"`)
		if result.StatusCode != http.StatusForbidden || !more {
			_, err = fmt.Fprint(out, result.Error)
			return err
		}
		if err := a.StepUp(ctx, signing.use(), strings.Fields(scope)); err != nil {
			return err
		}
	}
	_, err = fmt.Fprint(out, "A person was asked twice.")
	return err
}
