package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTheConfigurationSaysWhereEachValueComesFrom(t *testing.T) {
	folder := t.TempDir()
	file, uri := filepath.Join(folder, "integrations.yaml"), filepath.Join(folder, "uri")
	require.NoError(t, os.WriteFile(file, []byte("listen: 127.0.0.1:18443\nroles: [api, projector]\nnats-url: nats://nats.example.com\nprobe-interval: 2m\nrate-read: 5\ngoogle-maps-key: s3cret\ntests-need-invoke: true\n"), 0o600))
	require.NoError(t, os.WriteFile(uri, []byte("mongodb://u:s3cret@db.example.com/x\n"), 0o600))
	t.Setenv("INTEGRATIONS_RATE_READ", "7")
	t.Setenv("INTEGRATIONS_MONGODB_URI_FILE", uri)
	exit, out := tool(t, "config", "--config", file, "--write-wait", "2s")
	require.Zero(t, exit, out)
	for _, line := range []string{
		`listen +127.0.0.1:18443 +configuration file`,
		`roles +api,projector +configuration file`,
		`probe-interval +2m0s +configuration file`,
		`rate-read +7 +INTEGRATIONS_RATE_READ`,
		`write-wait +2s +command line`,
		`rate-write +10000 +default`,
		`tests-need-invoke +true +configuration file`,
		`google-maps-key +\(set\) +configuration file`,
		`mongodb-uri +mongodb://u:xxxxx@db.example.com/x +INTEGRATIONS_MONGODB_URI_FILE`,
		`nats-url +nats://nats.example.com +configuration file`,
	} {
		require.Regexp(t, `(?m)^`+line+`$`, out)
	}
	require.NotContains(t, out, "s3cret")
	exit, out = tool(t, "config", "--json", "--config", file)
	require.Zero(t, exit, out)
	require.Contains(t, out, `{"name":"listen","value":"127.0.0.1:18443","source":"configuration file"}`)
}

func TestWhatTheServiceWouldRefuseIsRefusedWithItsConfigurationShown(t *testing.T) {
	folder := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(folder, name)
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		return path
	}
	for want, args := range map[string][]string{
		"--approval-wait: 1s must be 1m to 24h":      {"--approval-wait", "1s"},
		"--public-url: \"http://a.example/x\"":       {"--public-url", "http://a.example/x"},
		"--tls-cert and --tls-key need each other":   {"--tls-cert", write("cert.pem", "x")},
		"--mcp-stdio-profiles":                       {"--mcp-stdio-profiles", write("profiles.yaml", "profiles: [1]")},
		"/grants/0/workspaces":                       {"--oidc-grants", write("grants.yaml", "issuer: https://a.example\naudience: b\ngrants:\n  - {when: {}, permissions: [Integration.view]}\n")},
		"/issuer: is required":                       {"--oidc-grants", write("none.yaml", "audience: b\ngrants:\n  - {when: {}, workspaces: [a], permissions: [Integration.view]}\n")},
		"--oidc-grants: without it no token permits": {"--oidc-issuer", "https://a.example"},
		"no such file":                               {"--egress-ca-file", filepath.Join(folder, "absent.pem")},
		"absent-cert.pem":                            {"--tls-cert", filepath.Join(folder, "absent-cert.pem"), "--tls-key", write("key.pem", "x")},
	} {
		exit, out := tool(t, append([]string{"config"}, args...)...)
		require.NotZero(t, exit, want)
		require.Contains(t, out, want)
		require.Contains(t, out, "listen ", "it is shown")
	}
}

func TestAConfigurationThatIsWrongIsRefused(t *testing.T) {
	file := filepath.Join(t.TempDir(), "integrations.yaml")
	for text, want := range map[string]string{
		"lisen: 127.0.0.1:1":    `there is no flag "lisen"; did you mean listen?`,
		"config: other.yaml":    `"config" can't be set in a file`,
		"probe-interval: 5":     `--probe-interval: "5" has no unit; write one, such as 5s or 5m`,
		"trusted-proxies: 10.1": `--trusted-proxies: "10.1" is not a network`,
		"forwarded-by: Via":     `--forwarded-by must be one of`,
	} {
		require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
		for _, args := range [][]string{{"serve", "--config", file}, {"config", "--config", file}} {
			exit, out := tool(t, args...)
			require.Equal(t, 80, exit, out)
			require.Contains(t, out, want)
		}
	}
	t.Setenv("INTEGRATIONS_LISTEN", "127.0.0.1:1")
	t.Setenv("INTEGRATIONS_LISTEN_FILE", file)
	exit, out := tool(t, "serve")
	require.Equal(t, 80, exit, out)
	require.Contains(t, out, "both INTEGRATIONS_LISTEN and INTEGRATIONS_LISTEN_FILE are set")
}
