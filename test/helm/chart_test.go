package helm_test

import (
	"fmt"
	"maps"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"

	common "helm.sh/helm/v4/pkg/chart/common"
	"helm.sh/helm/v4/pkg/chart/common/util"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
	"helm.sh/helm/v4/pkg/engine"
	apps "k8s.io/api/apps/v1"
	autoscaling "k8s.io/api/autoscaling/v2"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	policy "k8s.io/api/policy/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

const chartFolder = "../../deploy/helm/integrations"

// serviceMonitor is the part of the type of the Prometheus Operator that the chart writes.
type serviceMonitor struct {
	meta.TypeMeta   `json:",inline"`
	meta.ObjectMeta `json:"metadata,omitempty"`
	Spec            struct {
		Selector  meta.LabelSelector `json:"selector"`
		Endpoints []struct {
			Port, Path, Interval string
			Relabelings          []struct{ TargetLabel, Replacement string }
		} `json:"endpoints"`
	} `json:"spec"`
}

// kinds are what the chart may render.
var kinds = map[string]func() any{
	"v1/ConfigMap":                            func() any { return &core.ConfigMap{} },
	"v1/Service":                              func() any { return &core.Service{} },
	"apps/v1/Deployment":                      func() any { return &apps.Deployment{} },
	"apps/v1/StatefulSet":                     func() any { return &apps.StatefulSet{} },
	"autoscaling/v2/HorizontalPodAutoscaler":  func() any { return &autoscaling.HorizontalPodAutoscaler{} },
	"networking.k8s.io/v1/Ingress":            func() any { return &networking.Ingress{} },
	"networking.k8s.io/v1/NetworkPolicy":      func() any { return &networking.NetworkPolicy{} },
	"policy/v1/PodDisruptionBudget":           func() any { return &policy.PodDisruptionBudget{} },
	"monitoring.coreos.com/v1/ServiceMonitor": func() any { return &serviceMonitor{} },
}

// render renders the chart with values, in YAML.
func render(values string) (map[string]string, error) {
	chart, err := loader.Load(chartFolder)
	if err != nil {
		return nil, err
	}
	given, err := common.ReadValues([]byte(values))
	if err != nil {
		return nil, err
	}
	options := common.ReleaseOptions{Name: "clinic", Namespace: "health", IsInstall: true}
	all, err := util.ToRenderValues(chart, given, options, common.DefaultCapabilities) // which validates them by values.schema.json
	if err != nil {
		return nil, err
	}
	return engine.Render(chart, all)
}

// objects renders the chart and decodes each object; a member that its type doesn't have fails the test.
func objects(t *testing.T, values string) map[string]any {
	t.Helper()
	files, err := render(values)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]any{}
	for name, text := range files {
		if strings.HasSuffix(name, ".txt") || strings.HasSuffix(name, ".tpl") {
			continue
		}
		for document := range strings.SplitSeq(text, "\n---\n") {
			var typ struct {
				meta.TypeMeta `json:",inline"`
				Metadata      meta.ObjectMeta `json:"metadata"`
			}
			if err := yaml.Unmarshal([]byte(document), &typ); err != nil {
				t.Fatalf("%s: %v\n%s", name, err, document)
			}
			if typ.Kind == "" {
				continue
			}
			kind := kinds[typ.APIVersion+"/"+typ.Kind]
			if kind == nil {
				t.Fatalf("%s renders %s/%s: add its type to this test", name, typ.APIVersion, typ.Kind)
			}
			object := kind()
			if err := yaml.UnmarshalStrict([]byte(document), object); err != nil {
				t.Fatalf("%s: %v\n%s", name, err, document)
			}
			id := typ.Kind + "/" + typ.Metadata.Name
			if all[id] != nil {
				t.Fatalf("%s is rendered twice", id)
			}
			all[id] = object
		}
	}
	return all
}

func get[T any](t *testing.T, all map[string]any, id string) T {
	t.Helper()
	o, ok := all[id].(T)
	if !ok {
		t.Fatalf("%s is not rendered; there are %s", id, strings.Join(slices.Sorted(maps.Keys(all)), ", "))
	}
	return o
}

// pods returns the templates of all pods, by the object that makes them.
func pods(all map[string]any) map[string]core.PodTemplateSpec {
	templates := map[string]core.PodTemplateSpec{}
	for id, o := range all {
		switch is := o.(type) {
		case *apps.Deployment:
			templates[id] = is.Spec.Template
		case *apps.StatefulSet:
			templates[id] = is.Spec.Template
		}
	}
	return templates
}

const (
	defaults = "{secret: {name: keys}}"
	external = `{secret: {name: keys}, nats: {bundled: false, monitorURLs: ['http://nats:8222']}, mongodb: {bundled: false},
autoscaling: {enabled: false}, roles: {prober: {replicas: 1}}, networkPolicy: {ingressFrom: [{podSelector: {}}], egressPrivate: [10.1.0.0/16], egressExtra: [{ports: [{port: 4222}]}]}}`
	everything = `{secret: {name: keys}, nats: {replicas: 1, storageClass: fast}, mongodb: {storageClass: fast}, imagePullSecrets: [{name: pull}],
image: {digest: 'sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef'},
config: {public-url: 'https://integrations.example.com', trusted-proxies: [10.0.0.0/8], probe-interval: 2m}, env: [{name: OTEL_EXPORTER_OTLP_ENDPOINT, value: 'http://otel:4318'}],
ingress: {enabled: true, className: nginx, tlsSecret: tls, annotations: {a: b}}, serviceMonitor: {enabled: true, labels: {release: prometheus}}, service: {annotations: {a: b}},
podAnnotations: {a: b}, nodeSelector: {a: b}, tolerations: [{key: a, operator: Exists}]}`
)

func TestTheChartRendersObjectsOfKubernetes(t *testing.T) {
	for _, values := range []string{defaults, external, everything} {
		all := objects(t, values)
		for _, role := range []string{"api", "projector", "prober", "webhooks"} {
			d := get[*apps.Deployment](t, all, "Deployment/clinic-integrations-"+role)
			c := d.Spec.Template.Spec.Containers[0]
			if !slices.Contains(c.Args, "--roles="+role) || c.LivenessProbe == nil || c.ReadinessProbe == nil || c.StartupProbe == nil {
				t.Errorf("%s: %+v", role, c)
			}
			get[*networking.NetworkPolicy](t, all, "NetworkPolicy/clinic-integrations-"+role)
		}
		for id, template := range pods(all) {
			checkPod(t, id, template)
		}
		checkReferences(t, all)
	}
}

// checkPod checks what no pod may do.
func checkPod(t *testing.T, id string, template core.PodTemplateSpec) {
	t.Helper()
	s := template.Spec.SecurityContext
	if s == nil || !*s.RunAsNonRoot || *s.RunAsUser == 0 || s.SeccompProfile.Type != core.SeccompProfileTypeRuntimeDefault || *template.Spec.AutomountServiceAccountToken {
		t.Errorf("%s may do too much: %+v", id, s)
	}
	mounts := map[string]bool{}
	for _, v := range template.Spec.Volumes {
		mounts[v.Name] = true
	}
	for _, c := range template.Spec.Containers {
		if *c.SecurityContext.AllowPrivilegeEscalation || !*c.SecurityContext.ReadOnlyRootFilesystem || fmt.Sprint(c.SecurityContext.Capabilities.Drop) != "[ALL]" {
			t.Errorf("%s: its container may do too much", id)
		}
		if c.Resources.Limits.Memory().IsZero() || c.Resources.Requests.Cpu().IsZero() {
			t.Errorf("%s has no limit of memory, or no request of CPU", id)
		}
		for _, m := range c.VolumeMounts {
			if !mounts[m.Name] && !(strings.HasPrefix(id, "StatefulSet/") && m.Name == "data") {
				t.Errorf("%s mounts %s, which is no volume of it", id, m.Name)
			}
		}
		before := map[string]bool{}
		for _, e := range c.Env {
			for _, m := range regexp.MustCompile(`\$\((\w+)\)`).FindAllStringSubmatch(e.Value, -1) {
				if !before[m[1]] {
					t.Errorf("%s: %s uses %s, which is not set before it", id, e.Name, m[1])
				}
			}
			before[e.Name] = true
			if e.ValueFrom == nil && regexp.MustCompile(`PASSWORD|KEY`).MatchString(e.Name) {
				t.Errorf("%s: %s does not come from the Secret", id, e.Name)
			}
		}
	}
}

// checkReferences checks that what selects or names something finds it.
func checkReferences(t *testing.T, all map[string]any) {
	t.Helper()
	finds := func(id string, selector map[string]string) {
		t.Helper()
		for _, template := range pods(all) {
			if has(template.Labels, selector) {
				return
			}
		}
		t.Errorf("%s selects no pod: %v", id, selector)
	}
	for id, o := range all {
		switch is := o.(type) {
		case *core.Service:
			finds(id, is.Spec.Selector)
		case *policy.PodDisruptionBudget:
			finds(id, is.Spec.Selector.MatchLabels)
		case *networking.NetworkPolicy:
			finds(id, is.Spec.PodSelector.MatchLabels)
			for _, rule := range is.Spec.Egress {
				for _, to := range rule.To {
					if to.PodSelector != nil {
						finds(id, to.PodSelector.MatchLabels)
					}
				}
			}
		case *autoscaling.HorizontalPodAutoscaler:
			if d := get[*apps.Deployment](t, all, "Deployment/"+is.Spec.ScaleTargetRef.Name); d.Spec.Replicas != nil {
				t.Errorf("%s and the Deployment both set the number of replicas", id)
			}
		case *apps.StatefulSet:
			get[*core.Service](t, all, "Service/"+is.Spec.ServiceName)
		case *networking.Ingress:
			get[*core.Service](t, all, "Service/"+is.Spec.Rules[0].HTTP.Paths[0].Backend.Service.Name)
		case *serviceMonitor:
			for name, o := range all {
				if s, ok := o.(*core.Service); ok && has(s.Labels, is.Spec.Selector.MatchLabels) && s.Spec.Ports[0].Name != "http" {
					continue // a store
				} else if ok && !has(s.Labels, is.Spec.Selector.MatchLabels) {
					t.Errorf("%s doesn't find %s", id, name)
				}
			}
		}
	}
}

func has(labels, wanted map[string]string) bool {
	for k, v := range wanted {
		if labels[k] != v {
			return false
		}
	}
	return true
}

func TestWhatAProcessGetsIsWhatTheServiceHas(t *testing.T) {
	reference, err := os.ReadFile("../../docs/reference/commands.md")
	if err != nil {
		t.Fatal(err)
	}
	known := func(flag string) {
		t.Helper()
		if !strings.Contains(string(reference), "`--"+flag) && !strings.Contains(string(reference), "--"+flag+"`") {
			t.Errorf("the service has no flag --%s", flag)
		}
	}
	all := objects(t, everything)
	for _, arg := range get[*apps.Deployment](t, all, "Deployment/clinic-integrations-api").Spec.Template.Spec.Containers[0].Args {
		if flag, ok := strings.CutPrefix(arg, "--"); ok {
			flag, _, _ = strings.Cut(flag, "=")
			known(flag)
		}
	}
	var config map[string]any
	if err := yaml.Unmarshal([]byte(get[*core.ConfigMap](t, all, "ConfigMap/clinic-integrations").Data["integrations.yaml"]), &config); err != nil {
		t.Fatal(err)
	}
	for name := range config {
		known(name)
	}
	if config["probe-interval"] != "2m" || config["wait-for-stores"] != true || fmt.Sprint(config["nats-monitor-url"]) != "[http://clinic-integrations-nats-0.clinic-integrations-nats:8222]" {
		t.Errorf("%v", config)
	}
}

func TestOnlyThoseWhoCallUpstreamsReachThem(t *testing.T) {
	all := objects(t, external)
	for role, may := range map[string]bool{"api": true, "prober": true, "webhooks": true, "projector": false} {
		reaches := false
		for _, rule := range get[*networking.NetworkPolicy](t, all, "NetworkPolicy/clinic-integrations-"+role).Spec.Egress {
			for _, to := range rule.To {
				reaches = reaches || to.IPBlock != nil && to.IPBlock.CIDR == "0.0.0.0/0"
				if to.IPBlock != nil && to.IPBlock.CIDR == "0.0.0.0/0" && !slices.Contains(to.IPBlock.Except, "169.254.0.0/16") {
					t.Errorf("%s reaches the metadata service", role)
				}
			}
		}
		if reaches != may {
			t.Errorf("%s reaches public addresses: %v", role, reaches)
		}
	}
	if all["PodDisruptionBudget/clinic-integrations-prober"] != nil {
		t.Error("a budget for one replica would block every eviction")
	}
}

func TestWrongValuesAreRefused(t *testing.T) {
	for _, values := range []string{
		"{}", "{secret: {name: ''}}", "{secret: {name: keys}, replicas: 3}", "{secret: {name: keys}, nats: {replicas: 2}}",
		"{secret: {name: keys}, config: {root-keyset: x}}", "{secret: {name: keys}, config: {publicURL: x}}", "{secret: {name: keys}, roles: {worker: {}}}",
	} {
		if _, err := render(values); err == nil {
			t.Errorf("%s is not refused", values)
		}
	}
}

func TestTheStoresAreConfiguredAsOutsideKubernetes(t *testing.T) {
	for own, other := range map[string]string{"nats.conf": "nats.conf", "mongo-init.js": "mongo-init.js"} {
		a, err := os.ReadFile(path.Join(chartFolder, own))
		if err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile("../../deploy/" + other)
		if err != nil {
			t.Fatal(err)
		}
		_, wanted, _ := strings.Cut(string(b), "\n")
		_, have, _ := strings.Cut(string(a), "\n")
		if have != wanted {
			t.Errorf("%s differs from deploy/%s", own, other)
		}
	}
}
