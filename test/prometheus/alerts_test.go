package prometheus

import (
	"bytes"
	"log/slog"
	"maps"
	"net/url"
	"os"
	"reflect"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/template"
	"go.yaml.in/yaml/v3"
)

const folder = "../../deploy/prometheus/"

// unitTests is the part of promtool's format for tests of rules that alerts_test.yml uses.
type unitTests struct {
	RuleFiles          []string       `yaml:"rule_files"`
	EvaluationInterval model.Duration `yaml:"evaluation_interval"`
	Tests              []unitTest     `yaml:"tests"`
}

type unitTest struct {
	Name           string         `yaml:"name"`
	Interval       model.Duration `yaml:"interval"`
	InputSeries    []inputSeries  `yaml:"input_series"`
	AlertRuleTests []alertTest    `yaml:"alert_rule_test"`
}

type inputSeries struct {
	Series string `yaml:"series"`
	Values string `yaml:"values"`
}

type alertTest struct {
	EvalTime  model.Duration `yaml:"eval_time"`
	Alertname string         `yaml:"alertname"`
	ExpAlerts []alert        `yaml:"exp_alerts"`
}

type alert struct {
	Labels      map[string]string `yaml:"exp_labels"`
	Annotations map[string]string `yaml:"exp_annotations"`
}

// rules returns the alerts by name, and fails the test where Prometheus would not load them.
func rules(t *testing.T) map[string]rulefmt.Rule {
	t.Helper()
	groups, problems := rulefmt.ParseFile(folder+"alerts.yml", false, model.UTF8Validation, language, slog.New(slog.DiscardHandler))
	for _, problem := range problems {
		t.Error(problem)
	}
	all := map[string]rulefmt.Rule{}
	for _, group := range groups.Groups {
		for _, rule := range group.Rules {
			if _, twice := all[rule.Alert]; twice || rule.Alert == "" {
				t.Errorf("the alert %q is there twice, or has no name", rule.Alert)
			}
			all[rule.Alert] = rule
		}
	}
	return all
}

func TestEachAlertFiresOnItsFaultAndNotWithoutOne(t *testing.T) {
	text, err := os.ReadFile(folder + "alerts_test.yml")
	if err != nil {
		t.Fatal(err)
	}
	var file unitTests
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	decoder.KnownFields(true)
	if err := decoder.Decode(&file); err != nil {
		t.Fatal(err)
	}
	all := rules(t)
	fires, quiet := map[string]bool{}, map[string]bool{}
	for _, test := range file.Tests {
		t.Run(test.Name, func(t *testing.T) {
			input := load(t, time.Duration(test.Interval), test.InputSeries)
			for _, want := range test.AlertRuleTests {
				rule, known := all[want.Alertname]
				if !known {
					t.Errorf("there is no alert %s", want.Alertname)
					continue
				}
				got := firing(t, rule, input, time.Duration(want.EvalTime), time.Duration(file.EvaluationInterval))
				if !reflect.DeepEqual(got, want.ExpAlerts) {
					t.Errorf("%s after %s: got %v, want %v", want.Alertname, want.EvalTime, got, want.ExpAlerts)
				}
				if len(want.ExpAlerts) > 0 {
					fires[want.Alertname] = true
				} else if want.EvalTime > rule.For && hasAll(t, rule.Expr, input) {
					quiet[want.Alertname] = true
				}
			}
		})
	}
	for name := range all {
		if !fires[name] || !quiet[name] {
			t.Errorf("%s needs a fault that it fires on, and data of all its metrics that it does not", name)
		}
	}
}

// firing returns the alerts of a rule that fire at a time.
func firing(t *testing.T, rule rulefmt.Rule, input series, at, every time.Duration) (all []alert) {
	t.Helper()
	since := map[string]time.Duration{} // by labels, when the expression began to hold
	var last promql.Vector
	for now := time.Duration(0); now <= at; now += every {
		last = query(t, rule.Expr, input, now)
		holds := map[string]time.Duration{}
		for _, one := range last {
			key := one.Metric.String()
			begun, before := since[key]
			if !before {
				begun = now
			}
			holds[key] = begun
		}
		since = holds
	}
	for _, one := range last {
		if at-since[one.Metric.String()] < time.Duration(rule.For) {
			continue
		}
		of := labels.NewBuilder(one.Metric).Del(model.MetricNameLabel).Labels().Map()
		a := alert{Labels: maps.Clone(of), Annotations: map[string]string{}}
		maps.Copy(a.Labels, rule.Labels)
		for name, text := range rule.Annotations {
			a.Annotations[name] = expand(t, text, of, one)
		}
		all = append(all, a)
	}
	return all
}

func query(t *testing.T, expr string, input series, at time.Duration) promql.Vector {
	t.Helper()
	engine := promql.NewEngine(promql.EngineOpts{MaxSamples: 1e6, Timeout: time.Minute, LookbackDelta: 5 * time.Minute, Parser: language})
	defer func() { _ = engine.Close() }()
	q, err := engine.NewInstantQuery(t.Context(), input, nil, expr, time.UnixMilli(at.Milliseconds()))
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	got, err := q.Exec(t.Context()).Vector()
	if err != nil {
		t.Fatalf("%s: %v", expr, err)
	}
	return append(promql.Vector(nil), got...)
}

// expand fills a template as the rule manager does.
func expand(t *testing.T, text string, of map[string]string, one promql.Sample) string {
	t.Helper()
	defs := "{{$labels := .Labels}}{{$value := .Value}}"
	data := template.AlertTemplateData(of, nil, "", one)
	got, err := template.NewTemplateExpander(t.Context(), defs+text, "annotation", data, model.Time(one.T), nil, &url.URL{}, nil).Expand()
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// hasAll reports whether there are series for every selector of an expression.
func hasAll(t *testing.T, expr string, input series) bool {
	t.Helper()
	parsed, err := language.ParseExpr(expr)
	if err != nil {
		t.Fatal(err)
	}
	for _, selector := range parser.ExtractSelectors(parsed) {
		if set := input.Select(t.Context(), false, nil, selector...); !set.Next() {
			return false
		}
	}
	return true
}
