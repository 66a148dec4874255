package authorizations_test

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/authorizations"
	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/internal/authservertest"
)

// company is an API whose calls are for a company in the path, and whose tokens are each of one
// company. It refuses to be called for one with the token of another.
type company struct {
	*authservertest.Server
	process

	now    atomic.Value // the company of the next tokens
	owners sync.Map     // of tokens
	served atomic.Value // the company of the last call
	mixed  atomic.Int32 // calls for one company with the token of another
}

func newCompany(t *testing.T) *company {
	c := &company{Server: authservertest.New(t)}
	c.now.Store("1")
	answers(c.Server, func(answer object) {
		answer["company"] = c.now.Load()
		c.owners.Store(answer["access_token"], answer["company"])
	})
	c.API = func(w http.ResponseWriter, r *http.Request) bool {
		of, _ := c.owners.Load(strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "))
		if r.URL.Path != "/api/"+of.(string)+"/me" {
			c.mixed.Add(1)
		}
		c.served.Store(of)
		_, _ = w.Write([]byte(`{}`))
		return true
	}
	c.process = processesOf(t, c.Server, 1, object{"capture": object{"company": object{"from": "token", "path": "company"}}},
		at(c.Server.URL+"/api/{account.company}", "/me"))[0]
	c.signIn()
	return c
}

// callWhile calls the API. What happens meanwhile does so once the authorization was read for the
// call, before anything is sent.
func (c *company) callWhile(meanwhile func()) domain.CallResult {
	c.t.Helper()
	var once sync.Once
	i := c.use.Integration
	result, err := c.registry.Call(c.t.Context(), domain.Call{Integration: i, Endpoint: i.Endpoints[0], Keyring: func(ctx context.Context, ref domain.SecretRef) (domain.Secret, error) {
		secret, err := c.keyring(ctx, ref)
		if domain.IsSignedInRef(ref) {
			once.Do(meanwhile)
		}
		return secret, err
	}})
	require.NoError(c.t, err)
	return result
}

func TestACallCarriesTheTokenOfTheAccountThatItIsFor(t *testing.T) {
	t.Parallel()
	asBob := func(c *company) {
		c.now.Store("2")
		c.Account = "bob"
		require.Equal(t, authorizations.Succeeded, c.tryToSignIn(authorizations.Start{ReplaceAccount: true}).State)
	}
	for name, row := range map[string]struct {
		before, meanwhile func(*company)
		served            string
	}{
		"nothing happens": {func(*company) {}, func(*company) {}, "1"},
		"somebody signs in as another account, and the old token is good": {func(*company) {}, asBob, "1"},
		"somebody signs in as another account, and the old token has ended": {func(*company) {}, func(c *company) {
			c.EndAll(false)
			asBob(c)
		}, "2"},
		"the token is renewed for the call, and the account moves with it": {func(c *company) {
			c.now.Store("3")
			c.ahead.Add(int64(2 * time.Hour))
		}, func(*company) {}, "3"},
		"the token is renewed because of a refusal, and the account moves with it": {func(*company) {}, func(c *company) {
			c.now.Store("3")
			c.EndAll(false)
		}, "3"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCompany(t)
			row.before(c)
			result := c.callWhile(func() { row.meanwhile(c) })
			require.Equal(t, 200, result.StatusCode, result.Error)
			require.Zero(t, c.mixed.Load(), "no call is for one account with the token of another")
			require.Equal(t, row.served, c.served.Load())
			require.LessOrEqual(t, len(result.Attempts), 2)
		})
	}
}

// A dry run shows a request without a token, so it fetches none.
func TestADryRunRenewsNoToken(t *testing.T) {
	t.Parallel()
	c := newCompany(t)
	c.ahead.Add(int64(2 * time.Hour))
	i := c.use.Integration
	result, err := c.registry.Call(t.Context(), domain.Call{Integration: i, Endpoint: i.Endpoints[0], DryRun: true, Keyring: c.keyring})
	require.NoError(t, err)
	require.Equal(t, c.Server.URL+"/api/1/me", result.Request.URL)
	require.Zero(t, c.Seen().Refreshes)
}
