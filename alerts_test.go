package integrations_test

import (
	"encoding/json"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"
)

// Queries are evaluated by test/prometheus.

// alertRules is what is checked of deploy/prometheus/alerts.yml.
type alertRules struct {
	Groups []struct {
		Rules []struct {
			Alert, Expr         string
			Labels, Annotations map[string]string
		}
	}
}

func readAlerts(t *testing.T) alertRules {
	t.Helper()
	var all alertRules
	if err := yaml.Unmarshal([]byte(page(t, "deploy/prometheus/alerts.yml")), &all); err != nil {
		t.Fatal(err)
	}
	if len(all.Groups) == 0 || len(all.Groups[0].Rules) < 20 {
		t.Fatal("the alerts are missing")
	}
	return all
}

const runbook = "https://github.com/seed677028b5/integrations/blob/main/docs/runbook.md#"

func TestEachAlertHasItsSectionInTheRunbookAndEachSectionItsAlert(t *testing.T) {
	text := page(t, "docs/runbook.md")
	sections := map[string]string{} // by heading
	for _, part := range strings.Split(text, "\n### ")[1:] {
		name, body, _ := strings.Cut(part, "\n")
		sections[name], _, _ = strings.Cut(body, "\n## ")
	}
	for _, group := range readAlerts(t).Groups {
		for _, rule := range group.Rules {
			if !slices.Contains([]string{"critical", "warning"}, rule.Labels["severity"]) {
				t.Errorf("%s has the severity %q", rule.Alert, rule.Labels["severity"])
			}
			if got, want := rule.Annotations["runbook_url"], runbook+strings.ToLower(rule.Alert); got != want || rule.Annotations["summary"] == "" {
				t.Errorf("%s needs a summary and the runbook_url %s, it has %s", rule.Alert, want, got)
			}
			for _, part := range []string{"**Means:**", "**See:**", "**Do:**"} {
				if strings.Count(sections[rule.Alert], part) != 1 {
					t.Errorf("the section %s of the runbook needs one %s", rule.Alert, part)
				}
			}
			delete(sections, rule.Alert)
		}
	}
	for name := range sections {
		t.Errorf("the runbook describes %s, which is no alert", name)
	}
}

var (
	usedMetric = regexp.MustCompile(`\bintegrations_[a-z0-9_]+\b`)
	ofMetric   = regexp.MustCompile("(?m)^\\| `(integrations_[a-z0-9_]+)` \\|")
	partOf     = regexp.MustCompile(`_(bucket|sum|count)$`) // of a histogram
)

// dashboards returns the files of deploy/grafana with their text.
func dashboards(t *testing.T) map[string]string {
	t.Helper()
	files, err := filepath.Glob("deploy/grafana/*.json")
	if err != nil || len(files) == 0 {
		t.Fatal("there are no dashboards", err)
	}
	all := map[string]string{}
	for _, file := range files {
		all[file] = page(t, file)
	}
	return all
}

func TestAlertsAndDashboardsUseMetricsThatExistAndEachIsOnADashboard(t *testing.T) {
	known := map[string]bool{}
	for _, m := range ofMetric.FindAllStringSubmatch(page(t, "docs/reference/metrics.md"), -1) {
		known[m[1]] = true
	}
	shown := map[string]bool{}
	pages := dashboards(t)
	used := maps.Clone(pages)
	for _, group := range readAlerts(t).Groups {
		for _, rule := range group.Rules {
			used[rule.Alert] = rule.Expr
		}
	}
	for where, text := range used {
		for _, name := range usedMetric.FindAllString(text, -1) {
			whole := partOf.ReplaceAllString(name, "")
			if !known[name] && !known[whole] {
				t.Errorf("%s uses %s, which is no metric", where, name)
			}
			if _, ok := pages[where]; ok {
				shown[name], shown[whole] = true, true
			}
		}
	}
	for name := range known {
		if !shown[name] {
			t.Errorf("%s is on no dashboard", name)
		}
	}
}

func TestDashboardsCanBeImportedTogether(t *testing.T) {
	uids := map[string]string{}
	for file, text := range dashboards(t) {
		var d struct {
			UID, Title string
			Panels     []struct {
				ID          int
				Type, Title string
				Datasource  struct{ UID string }
				Targets     []struct{ Expr string }
			}
		}
		if err := json.Unmarshal([]byte(text), &d); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		if other, twice := uids[d.UID]; twice || d.UID == "" || d.Title == "" {
			t.Errorf("%s needs a title and a uid of its own, it has that of %s", file, other)
		}
		uids[d.UID] = file
		ids := map[int]bool{}
		for _, p := range d.Panels {
			if ids[p.ID] || p.Title == "" || p.Type != "row" && (len(p.Targets) == 0 || p.Datasource.UID != "${datasource}") {
				t.Errorf("%s: the panel %d %q needs an id of its own, a title, a query and the data source of the dashboard", file, p.ID, p.Title)
			}
			ids[p.ID] = true
		}
	}
}
