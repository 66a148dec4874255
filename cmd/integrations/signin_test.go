package main

import (
	"encoding/base64"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// What needs a provider that answers is tested in access/oidcauth and transport.
func TestAServiceStartsAndTakesKeysWhileTheIssuerIsDown(t *testing.T) {
	dir := t.TempDir()
	const issuer = "http://127.0.0.1:9" // the discard service, which nothing runs
	grants := filepath.Join(dir, "grants.yaml")
	write := func(text string) {
		require.NoError(t, os.WriteFile(grants, []byte("issuer: "+issuer+"\naudience: integrations\n"+text), 0o600))
	}
	write("grants: [{when: {}, workspaces: [acme], permissions: [Integration.view]}]\n")
	data := filepath.Join(dir, "data")
	p := startProcess(t, data, "--oidc-grants="+grants)

	status, answer, err := p.do(http.MethodGet, "/v1/acme/integrations", "")
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, status, answer)
	encode := func(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }
	key := p.key
	p.key = encode(`{"alg":"ES256","kid":"1","typ":"at+jwt"}`) + "." + encode(`{"iss":"`+issuer+`"}`) + "." + encode("none")
	status, answer, err = p.do(http.MethodGet, "/v1/acme/integrations", "")
	require.NoError(t, err)
	require.Equal(t, http.StatusServiceUnavailable, status, answer)
	require.Contains(t, answer, "issuer_unavailable")
	p.key = key

	exit, out := tool(t, "status", "--data="+data)
	require.NotZero(t, exit, out)
	require.Contains(t, out, "the OpenID provider can't be reached")
	write("grants: [{when: {}, workspaces: [acme], permission: [Integration.view]}]\n")
	require.Eventually(t, func() bool {
		_, out = tool(t, "status", "--data="+data)
		return strings.Contains(out, "the grants of tokens can't be read, the previous ones stay in force: ") && strings.Contains(out, "field permission not found in type oidcauth.grant")
	}, time.Minute, 100*time.Millisecond, "%s", out)
}

func TestFlagsOfTokensNeedTheFileOfGrants(t *testing.T) {
	dir := t.TempDir()
	exit, out := tool(t, "serve", "--data="+dir, "--listen=127.0.0.1:0", "--oidc-issuer=https://login.example.com")
	require.NotZero(t, exit)
	require.Contains(t, out, "--oidc-grants")
	file := filepath.Join(dir, "grants.yaml")
	require.NoError(t, os.WriteFile(file, []byte("grants: [{when: {}, workspaces: [acme], permissions: [Integration.fly]}]\n"), 0o600))
	exit, out = tool(t, "serve", "--data="+dir, "--listen=127.0.0.1:0", "--oidc-grants="+file)
	require.NotZero(t, exit)
	require.Contains(t, out, "/grants/0/permissions/0")
}
