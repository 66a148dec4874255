package demo_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/cmd/integrations/demo"
)

// TestTheDemoGoesAsItShould of the command runs all steps on the service.
func TestADemoEndsAtTheFirstWrongAnswer(t *testing.T) {
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusInternalServerError)
		_, _ = w.Write([]byte(`{}`))
	}))
	defer service.Close()
	folder := ""
	var out strings.Builder
	err := demo.Run(t.Context(), &out, func(ctx context.Context, dir string) (demo.Service, error) {
		folder = dir
		ended := make(chan error, 1)
		context.AfterFunc(ctx, func() { ended <- nil })
		return demo.Service{URL: service.URL, Ended: ended}, os.WriteFile(filepath.Join(dir, "operator.key"), []byte("key\n"), 0o600)
	}, demo.Options{All: true})
	require.ErrorContains(t, err, "step 1, ")
	require.ErrorContains(t, err, "the status is 500, expected 201")
	require.Contains(t, out.String(), "── 1. Create an integration.")
	require.NotContains(t, out.String(), "── 2.")
	require.NoDirExists(t, folder)
}

func TestADemoNeedsAService(t *testing.T) {
	broken := errors.New("no service")
	err := demo.Run(t.Context(), &strings.Builder{}, func(context.Context, string) (demo.Service, error) { return demo.Service{}, broken }, demo.Options{Exit: true})
	require.ErrorIs(t, err, broken)
}
