package integrations_test

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

var (
	metricName  = regexp.MustCompile(`\bintegrations_[a-z][a-z_]*[a-z]\b`)
	environment = regexp.MustCompile(`\bINTEGRATIONS_[A-Z_]*[A-Z]\b`)
	flagOfOurs  = regexp.MustCompile("`(--[a-z][a-z-]*[a-z])")
	ourCommand  = regexp.MustCompile(`(?m)^(?:docker compose exec integrations /)?integrations [a-z].*$`)
	anyFlag     = regexp.MustCompile(`--[a-z][a-z-]*[a-z]`)
)

// The metrics, flags and variables that documents name are those of the reference,
// which is made from the code.
func TestDocumentsNameMetricsAndFlagsThatThereAre(t *testing.T) {
	metrics := page(t, "docs/reference/metrics.md")
	commands := page(t, "docs/reference/commands.md")
	if err := walk(func(name string) error {
		if !strings.HasSuffix(name, ".md") || strings.HasPrefix(name, "docs/reference/") {
			return nil
		}
		text := page(t, name)
		for _, metric := range metricName.FindAllString(text, -1) {
			if !strings.Contains(metrics, "`"+metric+"`") && !strings.HasPrefix(metric, "integrations_v") && metric != "integrations_snapshot" && metric != "integrations_client" {
				t.Errorf("%s names the metric %s, which is not there", name, metric)
			}
		}
		for _, variable := range environment.FindAllString(text, -1) {
			if !strings.Contains(commands, "`"+variable+"`") && !strings.Contains(commands, "`"+strings.TrimSuffix(variable, "_FILE")+"`") {
				t.Errorf("%s names the variable %s, which is not there", name, variable)
			}
		}
		var flags []string
		for _, m := range flagOfOurs.FindAllStringSubmatch(text, -1) {
			flags = append(flags, m[1])
		}
		for _, line := range ourCommand.FindAllString(text, -1) {
			line, _, _ = strings.Cut(line, "  #")
			flags = append(flags, anyFlag.FindAllString(line, -1)...)
		}
		for _, flag := range flags {
			if !strings.Contains(commands, "`"+flag+"`") {
				t.Errorf("%s names the flag %s, which is not there", name, flag)
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

var pathOfOurs = regexp.MustCompile("`([a-z][a-z_]*(?:/[a-z0-9_.-]+)+)`")

func TestDocumentsNameFilesThatThereAre(t *testing.T) {
	for _, name := range []string{"README.md", "ARCHITECTURE.md", "CONTRIBUTING.md"} {
		for _, m := range pathOfOurs.FindAllStringSubmatch(page(t, name), -1) {
			top, _, _ := strings.Cut(m[1], "/")
			if _, err := os.Stat(top); err != nil || strings.Contains(m[1], "/.") {
				continue // a module, or what git ignores
			}
			if _, err := os.Stat(m[1]); err != nil {
				t.Errorf("%s names %s, which is not there", name, m[1])
			}
		}
	}
}

func page(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
