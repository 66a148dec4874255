package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// folder writes files for apply.
func folder(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	return dir
}

const crmFile = `integrations:
- name: crm
  display_name: CRM
  base_url: https://crm.example.com
  auth: {type: api_key_header, header_name: X-Token, api_key_value: "${KEY_OF_CRM}"}
`

// output is written by one goroutine and read by another.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

func TestAFolderIsAppliedOnceAndAgainWhenSomethingDiffers(t *testing.T) {
	slow(t)
	t.Setenv("KEY_OF_CRM", "s3cret")
	p := startProcess(t, t.TempDir(), "--probe-interval=0s")
	dir := folder(t, map[string]string{"acme.yaml": crmFile, "globex.yml": strings.ReplaceAll(crmFile, "crm", "shop")})
	run := func(args ...string) (int, string) {
		return tool(t, append([]string{"apply", "-f", dir, "--data", p.data}, args...)...)
	}
	exit, out := run("--dry-run")
	require.Zero(t, exit, out)
	require.Contains(t, out, "workspace acme\ncreate  crm")
	require.Contains(t, out, "nothing was written; run again without --dry-run to apply the plan\n")
	p.must(404, "GET", all+"/crm", "")
	exit, out = run()
	require.Zero(t, exit, out)
	for _, path := range []string{all + "/crm", "/v1/globex/integrations/shop"} { // the service follows the log
		require.Eventually(t, func() bool { status, _, err := p.do("GET", path, ""); return err == nil && status == 200 }, time.Minute, 10*time.Millisecond, path)
	}
	exit, out = run("--json")
	require.Zero(t, exit, out)
	require.Equal(t, 2, strings.Count(out, `"action":"keep"`), "what matches is not changed: %s", out)
	require.NotContains(t, out, "s3cret")

	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var shown output
	ended := make(chan int, 1)
	go func() {
		ended <- execute(ctx, []string{"apply", "-f", dir, "--data", p.data, "--watch", "--every=1s"}, &shown, &shown)
	}()
	until := func(text string) {
		t.Helper()
		require.Eventually(t, func() bool { return strings.Contains(shown.String(), text) }, time.Minute, 10*time.Millisecond)
	}
	p.must(200, "PUT", all+"/crm", `{"display_name": "By hand"}`) // before or after its first round
	until(`"By hand" -> "CRM"`)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "acme.yaml"), []byte(strings.ReplaceAll(crmFile, "display_name: CRM", "display_name: Customers")), 0o600))
	until(`"CRM" -> "Customers"`)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "acme.yaml"), []byte("integrations: ["), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "globex.yml"), []byte("integrations: []"), 0o600))
	until("applying a folder failed; trying again")
	stop()
	require.Zero(t, <-ended)
	p.must(200, "GET", "/v1/globex/integrations/shop", "")

	exit, out = run("--delete-others")
	require.Equal(t, 1, exit, "a file that can't be read is an error")
	require.Contains(t, out, "delete  shop", "and doesn't stop the others")
	require.Eventually(t, func() bool {
		status, _, err := p.do("GET", "/v1/globex/integrations/shop", "")
		return err == nil && status == 404
	}, time.Minute, 10*time.Millisecond)
	exit, out = tool(t, "apply", "-f", t.TempDir(), "--data", p.data)
	require.Equal(t, 1, exit)
	require.Contains(t, out, "has no files")
}
