package main

import (
	"encoding/json"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/internal/ferrettest"
)

// readyz returns the status of /readyz, its body, and how long it took.
func (p *process) readyz() (status int, answer string, took time.Duration) {
	p.t.Helper()
	began := time.Now()
	res, err := (&http.Client{Timeout: time.Minute}).Get(p.url + "/readyz")
	require.NoError(p.t, err)
	defer func() { require.NoError(p.t, res.Body.Close()) }()
	body, err := io.ReadAll(res.Body)
	require.NoError(p.t, err)
	require.True(p.t, json.Valid(body), string(body))
	return res.StatusCode, string(body), time.Since(began)
}

// readyzIs waits until /readyz has a status and a text.
func (p *process) readyzIs(status int, what string) {
	p.t.Helper()
	var seen int
	var answer string
	p.t.Cleanup(func() {
		if p.t.Failed() {
			p.t.Logf("/readyz: %d %s", seen, answer)
		}
	})
	require.Eventually(p.t, func() bool {
		var took time.Duration
		seen, answer, took = p.readyz()
		p.t.Logf("/readyz %d %s in %s", seen, answer, took.Round(10*time.Millisecond))
		return seen == status && (what == "" || contains(answer, what))
	}, time.Minute, 100*time.Millisecond)
}

// contains reports whether an answer is the problem with a code.
func contains(answer, what string) bool {
	var problem struct{ Code string }
	return json.Unmarshal([]byte(answer), &problem) == nil && problem.Code == what
}

// The database goes away, comes back empty, and comes back as it was before: each is
// reported, and heals by itself.
func TestReadyzTellsHowTheReadModelInMongoDBStands(t *testing.T) {
	ferret := ferrettest.Spawn(t)
	p := startProcess(t, t.TempDir(), "--mongodb-uri="+ferret.URI, "--read-model-stall=1s")
	p.must(http.StatusCreated, http.MethodPost, all, crm("crm", "t"))
	p.readyzIs(http.StatusOK, "")
	ferret.Kill()
	restore := ferret.Save()
	p.readyzIs(http.StatusServiceUnavailable, "read_store_unavailable")
	ferret.Empty()
	ferret.Start()
	p.readyzIs(http.StatusOK, "")
	p.must(http.StatusCreated, http.MethodPost, all, crm("ehr", "t"))
	p.must(http.StatusOK, http.MethodGet, all+"/ehr", "")
	ferret.Kill()
	restore()
	ferret.Start()
	require.Eventually(t, func() bool {
		status, answer, err := p.do(http.MethodGet, all+"/ehr", "")
		if status == http.StatusNotFound {
			t.Errorf("an existing integration is reported as missing: %s", answer)
		}
		return err == nil && status == http.StatusOK
	}, time.Minute, 50*time.Millisecond)
	p.readyzIs(http.StatusOK, "")
}
