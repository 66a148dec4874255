package main

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/internal/powercut"
)

// A client whose change was acknowledged may come back with the key it has.
func TestTheFirstStartSurvivesAPowerCut(t *testing.T) {
	disk := powercut.New(t)
	p := startProcess(t, disk.Dir())
	p.must(http.StatusCreated, http.MethodPost, all, crm("crm", "t"))
	disk.Cut(p.cmd.Process)
	p.kill()
	disk.Mount()
	key := p.key
	p = startProcess(t, disk.Dir())
	require.Equal(t, key, p.key, "the operator's key is what it was")
	p.must(http.StatusOK, http.MethodGet, all+"/crm", "")
	exit, out := tool(t, "verify", "--data", p.data)
	require.Zero(t, exit, out)
}
