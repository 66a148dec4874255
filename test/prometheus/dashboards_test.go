package prometheus

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// variables are those of Grafana that queries use.
var variables = strings.NewReplacer("$__rate_interval", "5m", "$__range", "1h", "$job", "integrations", "$instance", ".*")

func TestTheQueriesOfTheDashboardsAreValid(t *testing.T) {
	files, err := filepath.Glob("../../deploy/grafana/*.json")
	if err != nil || len(files) == 0 {
		t.Fatal("there are no dashboards", err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var dashboard struct {
			Panels []struct {
				Title   string
				Targets []struct{ Expr string }
			}
		}
		if err := json.Unmarshal(text, &dashboard); err != nil {
			t.Fatal(err)
		}
		for _, panel := range dashboard.Panels {
			for _, target := range panel.Targets {
				if _, err := language.ParseExpr(variables.Replace(target.Expr)); err != nil {
					t.Errorf("%s: %s: %v", filepath.Base(file), panel.Title, err)
				}
			}
		}
	}
}
