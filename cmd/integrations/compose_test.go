package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v4"

	"github.com/seed677028b5/integrations/internal/flagvalues"
)

// configured returns the options of a server of the compose files, on free
// ports of this machine and a folder of its own.
func configured(t *testing.T, file string) *server.Options {
	t.Helper()
	t.Setenv("NATS_PASSWORD", "s3cret")
	t.Setenv("NATS_OPERATOR_PASSWORD", "0perator")
	t.Setenv("NATS_ROUTE_PASSWORD", "r0ute")
	o, err := server.ProcessConfigFile("../../deploy/" + file)
	require.NoError(t, err)
	require.True(t, o.SyncAlways, "sync_interval: always")
	o.Host, o.Port, o.HTTPHost, o.HTTPPort, o.StoreDir = "127.0.0.1", server.RANDOM_PORT, "127.0.0.1", server.RANDOM_PORT, t.TempDir()
	o.NoSigs, o.NoLog = true, true
	return o
}

func start(t *testing.T, o *server.Options) *server.Server {
	t.Helper()
	srv, err := server.NewServer(o)
	require.NoError(t, err)
	srv.Start()
	t.Cleanup(func() { srv.Shutdown(); srv.WaitForShutdown() })
	return srv
}

// flags are those of the compose file, for servers that run here.
func flags(servers ...*server.Server) []string {
	var at, monitors []string
	for _, s := range servers {
		at = append(at, "nats://integrations:s3cret@"+s.Addr().String())
		monitors = append(monitors, "http://"+s.MonitorAddr().String())
	}
	return []string{"--nats-url=" + strings.Join(at, ","), "--nats-monitor-url=" + strings.Join(monitors, ",")}
}

// exercise does a bit of everything.
func exercise(p *process, name string) {
	p.t.Helper()
	p.must(http.StatusCreated, http.MethodPost, all, crm(name, "t1"))
	p.must(http.StatusOK, http.MethodPut, all+"/"+name, `{"auth": {"bearer_token_value": "t2"}}`)
	p.must(http.StatusOK, http.MethodPost, all+"/"+name+"/test-connection", "")
	p.must(http.StatusOK, http.MethodGet, all+"/health-check", "")
	p.must(http.StatusOK, http.MethodGet, all+"/"+name+"/history", "")
	p.must(http.StatusCreated, http.MethodPost, "/v1/acme/api-keys", `{"name": "ci", "permissions": ["Integration.view"]}`)
	p.must(http.StatusNoContent, http.MethodDelete, all+"/"+name, "")
	p.must(http.StatusOK, http.MethodGet, "/readyz", "")
}

func TestTheServiceRunsOnTheNATSServerOfTheComposeFile(t *testing.T) {
	srv := start(t, configured(t, "nats.conf"))
	require.True(t, srv.ReadyForConnections(time.Minute))
	p := startProcess(t, t.TempDir(), flags(srv)...)
	exercise(p, "crm")

	// Not even the service may end, empty or limit the log.
	nc, err := nats.Connect(srv.Addr().String(), nats.UserInfo("integrations", "s3cret"))
	require.NoError(t, err)
	defer nc.Close()
	js, err := jetstream.New(nc, jetstream.WithDefaultTimeout(300*time.Millisecond))
	require.NoError(t, err)
	log, err := js.Stream(t.Context(), "INTEGRATIONS")
	require.NoError(t, err)
	limited := log.CachedInfo().Config
	limited.MaxMsgs = 1
	_, updated := js.UpdateStream(t.Context(), limited)
	for what, err := range map[string]error{
		"delete": js.DeleteStream(t.Context(), "INTEGRATIONS"), "purge": log.Purge(t.Context()), "delete an event": log.DeleteMsg(t.Context(), 1), "update": updated,
	} {
		require.True(t, errors.Is(err, nats.ErrTimeout) || errors.Is(err, nats.ErrPermissionViolation) || strings.Contains(fmt.Sprint(err), "deadline"), "%s: %v", what, err)
	}
	require.Equal(t, log.CachedInfo().State.Msgs, mustInfo(t, log).State.Msgs)
	_, err = nats.Connect(srv.Addr().String())
	require.ErrorIs(t, err, nats.ErrAuthorization)
}

func mustInfo(t *testing.T, s jetstream.Stream) *jetstream.StreamInfo {
	t.Helper()
	info, err := s.Info(t.Context())
	require.NoError(t, err)
	return info
}

func TestTheServiceRunsOnTheNATSClusterOfTheComposeFileAndSurvivesItsLeader(t *testing.T) {
	slow(t)
	var routes []string
	var ports []int
	for range 3 {
		l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
		require.NoError(t, err)
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
		routes = append(routes, "nats://route:r0ute@"+l.Addr().String())
		require.NoError(t, l.Close())
	}
	t.Setenv("NATS_ROUTES", "["+strings.Join(routes, ", ")+"]")
	var servers []*server.Server
	for n, port := range ports {
		t.Setenv("NATS_NAME", fmt.Sprint("nats-", n+1))
		o := configured(t, "nats-cluster.conf")
		o.Cluster.Host, o.Cluster.Port = "127.0.0.1", port
		servers = append(servers, start(t, o))
	}
	for _, s := range servers {
		require.True(t, s.ReadyForConnections(20*time.Second))
	}
	require.Eventually(t, func() bool {
		return slices.ContainsFunc(servers, func(s *server.Server) bool { return s.JetStreamIsLeader() && len(s.JetStreamClusterPeers()) == 3 })
	}, time.Minute, 20*time.Millisecond, "the cluster has a leader")
	p := startProcess(t, t.TempDir(), append(flags(servers...), "--replicas=3")...)
	exercise(p, "crm")
	for n := range 5 {
		p.must(http.StatusCreated, http.MethodPost, all, crm(fmt.Sprint("kept-", n), "t"))
	}
	status, answer := p.readAt("1000")
	require.Equal(t, http.StatusUnprocessableEntity, status, answer)
	require.Contains(t, answer, "position_unknown")

	for _, s := range servers {
		if s.JetStreamIsStreamLeader("$G", "INTEGRATIONS") {
			s.Shutdown()
			break
		}
	}
	require.Eventually(t, func() bool { // a failure is a 503 that heals
		status, answer, err := p.do(http.MethodPost, all, crm("after", "t"))
		require.True(t, err == nil && (status < 300 || status == http.StatusConflict || status == http.StatusServiceUnavailable), "%d %s %v", status, answer, err)
		return status < 300 || status == http.StatusConflict
	}, 60*time.Second, 50*time.Millisecond)
	for n := range 5 {
		p.must(http.StatusOK, http.MethodGet, all+fmt.Sprint("/kept-", n, "/history"), "")
	}
	require.Eventually(t, func() bool {
		status, _, err := p.do(http.MethodGet, "/readyz", "")
		return err == nil && status == http.StatusOK
	}, time.Minute, 50*time.Millisecond)
}

// readAt reads an integration at a position of the log.
func (p *process) readAt(position string) (status int, answer string) {
	p.t.Helper()
	req, err := http.NewRequestWithContext(p.t.Context(), http.MethodGet, p.url+all+"/crm", http.NoBody)
	require.NoError(p.t, err)
	req.Header.Set("Authorization", "Bearer "+p.key)
	req.Header.Set("Event-Position", position)
	res, err := http.DefaultClient.Do(req)
	require.NoError(p.t, err)
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	require.NoError(p.t, err)
	return res.StatusCode, string(body)
}

func TestTheComposeFilesHoldNoSecret(t *testing.T) {
	for _, file := range []string{"docker-compose.yml", "compose.cluster.yml", ".env.example", "deploy/nats.conf", "deploy/nats-cluster.conf", "deploy/mongo-init.js"} {
		text, err := os.ReadFile("../../" + file)
		require.NoError(t, err)
		for line := range strings.Lines(string(text)) {
			name, value, given := strings.Cut(strings.TrimSpace(line), "PASSWORD=")
			require.False(t, given && value != "", "%s: %s has a value", file, name)
			_, value, given = strings.Cut(line, "password: ")
			require.True(t, !given || strings.HasPrefix(strings.TrimSpace(value), "$"), "%s: %s", file, line)
		}
	}
}

// What the image sets is not a setting of the compose file, and neither is a file that
// would have them instead.
var setByTheImage = []string{"INTEGRATIONS_LISTEN", "INTEGRATIONS_DATA", "INTEGRATIONS_CONFIG"}

var value = regexp.MustCompile(`(?m)^ +(?:# )?(INTEGRATIONS_\w+): (\S+)`)

func TestTheComposeFileListsEverySettingOfTheService(t *testing.T) {
	var line commandLine
	parser, err := kong.New(&line, kong.Name("integrations"), flagvalues.Mappers(), kong.DefaultEnvars("INTEGRATIONS"))
	require.NoError(t, err)
	text, err := os.ReadFile("../../docker-compose.yml")
	require.NoError(t, err)
	listed := map[string]string{}
	for _, setting := range value.FindAllStringSubmatch(string(text), -1) {
		listed[setting[1]] = strings.Trim(setting[2], "'")
	}
	args := []string{"serve"}
	for _, command := range parser.Model.Leaves(true) {
		if command.FullPath() != "integrations serve" {
			continue
		}
		for _, flag := range append(command.Flags, parser.Model.Flags...) {
			if len(flag.Envs) == 0 || slices.Contains(setByTheImage, flag.Envs[0]) {
				continue
			}
			require.Contains(t, listed, flag.Envs[0])
			if setting := listed[flag.Envs[0]]; !strings.Contains(setting, "$") {
				args = append(args, "--"+flag.Name+"="+setting)
			}
			delete(listed, flag.Envs[0])
		}
	}
	delete(listed, "INTEGRATIONS_MONGO_PASSWORD") // of mongo
	require.Empty(t, listed, "no flag of serve has these")
	parsed, err := parser.Parse(args)
	require.NoError(t, err, "the values are examples that can be used")
	require.NoError(t, flagvalues.CheckURLs(parsed.Flags()))
}

// The service may not take snapshots; the operator may.
func TestTheOperatorOfTheComposeFileMakesBackups(t *testing.T) {
	slow(t)
	srv := start(t, configured(t, "nats.conf"))
	require.True(t, srv.ReadyForConnections(time.Minute))
	data := t.TempDir()
	p := startProcess(t, data, flags(srv)...)
	p.must(http.StatusCreated, http.MethodPost, all, crm("crm", "t"))
	file := filepath.Join(t.TempDir(), "backup")
	exit, out := tool(t, append([]string{"backup", file, "--data", data}, flags(srv)...)...)
	require.Equal(t, 1, exit)
	require.Contains(t, out, "permission to take and restore snapshots")
	require.NoFileExists(t, file)
	exit, out = tool(t, "backup", file, "--data", data, "--nats-url=nats://operator:0perator@"+srv.Addr().String())
	require.Zero(t, exit, out)
	require.FileExists(t, file)
}

func TestTheProfileForObservabilityFindsItsFilesAndTheService(t *testing.T) {
	var compose struct {
		Services map[string]struct {
			Profiles []string
			Volumes  []string
		}
		Volumes map[string]any
	}
	read := func(file string, into any) {
		t.Helper()
		text, err := os.ReadFile("../../" + file)
		require.NoError(t, err)
		require.NoError(t, yaml.Unmarshal(text, into))
	}
	read("docker-compose.yml", &compose)
	mounted := map[string]string{}
	for name, service := range compose.Services {
		if !slices.Contains(service.Profiles, "observability") {
			continue
		}
		for _, volume := range service.Volumes {
			from, to, _ := strings.Cut(volume, ":")
			mounted[name+":"+strings.TrimSuffix(to, ":ro")] = from
			if file, ok := strings.CutPrefix(from, "./"); ok {
				require.FileExists(t, "../../"+file)
			} else {
				require.Contains(t, compose.Volumes, from)
			}
		}
	}
	dashboards, err := filepath.Glob("../../deploy/grafana/*.json")
	require.NoError(t, err)
	for _, file := range dashboards {
		require.Equal(t, "./deploy/grafana/"+filepath.Base(file), mounted["grafana:/var/lib/grafana/dashboards/"+filepath.Base(file)])
	}
	var prometheus struct {
		RuleFiles     []string `yaml:"rule_files"`
		ScrapeConfigs []struct {
			JobName       string                       `yaml:"job_name"`
			StaticConfigs []struct{ Targets []string } `yaml:"static_configs"`
		} `yaml:"scrape_configs"`
	}
	read("deploy/prometheus/prometheus.yml", &prometheus)
	require.Equal(t, "./deploy/prometheus/alerts.yml", mounted["prometheus:"+prometheus.RuleFiles[0]])
	require.Equal(t, "integrations", prometheus.ScrapeConfigs[0].JobName)
	host, _, err := net.SplitHostPort(prometheus.ScrapeConfigs[0].StaticConfigs[0].Targets[0])
	require.NoError(t, err)
	require.Contains(t, compose.Services, host)
}
