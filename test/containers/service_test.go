package containers_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
	"github.com/stretchr/testify/require"
	"github.com/testcontainers/testcontainers-go"
	"github.com/testcontainers/testcontainers-go/exec"
	nets "github.com/testcontainers/testcontainers-go/network"
	"github.com/testcontainers/testcontainers-go/wait"
)

const all = "/v1/acme/integrations"

// A deployment is the compose file, and an upstream beside it: another service
// of ours, whose /livez asks for no credentials.
type deployment struct {
	t       *testing.T
	nats    *testcontainers.DockerContainer
	service *testcontainers.DockerContainer
	url     string // of the service, until it is started again
	key     string
}

func deploy(t *testing.T) *deployment {
	t.Helper()
	on := newNetwork(t)
	d := &deployment{t: t, nats: startNATS(t, on)}
	startMongo(t, on)
	program, live := ours(t), wait.ForHTTP("/readyz").WithPort("8080/tcp")
	upstream, err := testcontainers.Run(t.Context(), "", program, nets.WithNetwork([]string{"upstream"}, on),
		testcontainers.WithExposedPorts("8080/tcp"), testcontainers.WithWaitStrategyAndDeadline(time.Minute, live))
	started(t, upstream, err)

	c := compose(t)["integrations"]
	c.Environment["INTEGRATIONS_EGRESS_ALLOW_CIDR"] = subnet(t, on)
	d.service, err = testcontainers.Run(t.Context(), "", append(c.like(t, on, "integrations"), ours(t), testcontainers.WithCmd("serve"),
		testcontainers.WithExposedPorts("8080/tcp"), testcontainers.WithWaitStrategyAndDeadline(time.Minute, live))...)
	started(t, d.service, err)
	exit, output := d.tool("keys", "create", "--workspace=acme", "--name=me", "--permission=Workspace.admin", "--json")
	require.Zero(t, exit, output)
	var made struct {
		Key string `json:"key"`
	}
	require.NoError(t, json.Unmarshal([]byte(output), &made), output)
	d.url, d.key = "http://"+at(t, d.service, "8080/tcp"), made.Key
	require.Eventually(t, func() bool { // the service follows what tools do to keys
		status, _, err := d.do(http.MethodGet, all, "")
		return err == nil && status == http.StatusOK
	}, time.Minute, 20*time.Millisecond)
	return d
}

// subnet returns the addresses of a network.
func subnet(t *testing.T, on *testcontainers.DockerNetwork) string {
	t.Helper()
	docker, err := testcontainers.NewDockerClientWithOpts(t.Context())
	require.NoError(t, err)
	found, err := docker.NetworkInspect(t.Context(), on.ID, client.NetworkInspectOptions{})
	require.NoError(t, err)
	require.NotEmpty(t, found.Network.IPAM.Config)
	return found.Network.IPAM.Config[0].Subnet.String()
}

// tool runs a command of the program in the container of the service.
func (d *deployment) tool(args ...string) (exit int, output string) {
	d.t.Helper()
	exit, out, err := d.service.Exec(d.t.Context(), append([]string{"/integrations"}, args...), exec.Multiplexed())
	require.NoError(d.t, err)
	text, err := io.ReadAll(out)
	require.NoError(d.t, err)
	return exit, string(text)
}

// do makes a request. An error means that there was no answer.
func (d *deployment) do(method, path, body string) (status int, answer string, err error) {
	return ask(d.t, method, d.url+path, d.key, body)
}

// must makes a request that has to be answered with a status.
func (d *deployment) must(want int, method, path, body string) string {
	d.t.Helper()
	status, answer, err := d.do(method, path, body)
	require.NoError(d.t, err)
	require.Equal(d.t, want, status, answer)
	return answer
}

func ask(t *testing.T, method, url, key, body string) (status int, answer string, err error) {
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	req.Header.Set("Content-Type", "application/json")
	if key != "" {
		req.Header.Set("Authorization", "Bearer "+key)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	return res.StatusCode, string(text), err
}

func integration(name, url string) string {
	return fmt.Sprintf(`{"name": %q, "display_name": %q, "base_url": %q, "auth": {"bearer_token_value": "t0ken"},
		"health_check": {"method": "GET", "path": "/livez"}}`, name, name, url)
}

func TestTheServiceRunsInContainersAsTheComposeFileSays(t *testing.T) {
	t.Parallel()
	d := deploy(t)
	d.must(http.StatusCreated, http.MethodPost, all, integration("peer", "http://upstream:8080"))
	require.Contains(t, d.must(http.StatusOK, http.MethodGet, all+"?search=peer", ""), `"total":1`)
	require.Contains(t, d.must(http.StatusOK, http.MethodPost, all+"/peer/test-connection", ""), `"status":"healthy"`)

	// Its own stores are no upstreams, whatever is allowed.
	for _, own := range []string{"http://nats:8222", "http://mongo:27017"} {
		name := strings.FieldsFunc(own, func(r rune) bool { return r == ':' || r == '/' })[1]
		d.must(http.StatusCreated, http.MethodPost, all, integration(name, own))
		require.Contains(t, d.must(http.StatusOK, http.MethodPost, all+"/"+name+"/test-connection", ""), "not allowed by the egress policy")
	}

	now, err := d.service.Inspect(t.Context())
	require.NoError(t, err)
	require.Equal(t, "65532:65532", now.Config.User)
	require.True(t, now.HostConfig.ReadonlyRootfs)
	require.Equal(t, []string{"ALL"}, now.HostConfig.CapDrop)
	require.Contains(t, now.HostConfig.SecurityOpt, "no-new-privileges:true")
	require.Eventually(t, func() bool { // as the image asks it
		state, err := d.service.State(t.Context())
		return err == nil && state.Health != nil && state.Health.Status == container.Healthy
	}, time.Minute, 200*time.Millisecond)

	// Without NATS changes are refused, and lists go on; with it all heals by itself.
	atOnce := time.Second
	require.NoError(t, d.nats.Stop(t.Context(), &atOnce))
	d.must(http.StatusServiceUnavailable, http.MethodPost, all, integration("away", "http://upstream:8080"))
	d.must(http.StatusOK, http.MethodGet, all, "")
	require.NoError(t, d.nats.Start(t.Context()))
	d.creates("healed")

	// What was acknowledged before the service is killed is there after it.
	made := d.createUntilKilled()
	require.NotEmpty(t, made)
	require.NoError(t, d.service.Start(t.Context()))
	d.url = "http://" + at(t, d.service, "8080/tcp")
	for _, name := range append(made, "peer", "healed") {
		d.must(http.StatusOK, http.MethodGet, all+"/"+name, "")
		d.must(http.StatusOK, http.MethodGet, all+"/"+name+"/history", "")
	}
	require.Contains(t, d.must(http.StatusOK, http.MethodPost, all+"/peer/test-connection", ""), `"status":"healthy"`, "its secret opens")
	exit, output := d.tool("verify")
	require.Zero(t, exit, output)
	exit, output = d.tool("verify", "--mongodb-uri=mongodb://integrations:wr0ng@mongo:27017/?replicaSet=rs0&authSource=admin")
	require.NotZero(t, exit)
	require.Contains(t, output, "auth", "the password is wrong")
	require.NotContains(t, output, "wr0ng")

	patient := 20 * time.Second // stop_grace_period
	require.NoError(t, d.service.Stop(t.Context(), &patient))
	state, err := d.service.State(t.Context())
	require.NoError(t, err)
	require.Zero(t, state.ExitCode)
	require.False(t, state.OOMKilled)
}

// creates waits until an integration can be created.
func (d *deployment) creates(name string) {
	d.t.Helper()
	require.Eventually(d.t, func() bool {
		status, answer, err := d.do(http.MethodPost, all, integration(name, "http://upstream:8080"))
		require.True(d.t, err == nil && (status == http.StatusCreated || status == http.StatusConflict || status == http.StatusServiceUnavailable), "%d %s %v", status, answer, err)
		return status != http.StatusServiceUnavailable
	}, time.Minute, 100*time.Millisecond)
}

// createUntilKilled kills the service while it creates integrations, and returns
// the names of those that it acknowledged.
func (d *deployment) createUntilKilled() (made []string) {
	d.t.Helper()
	docker, err := testcontainers.NewDockerClientWithOpts(d.t.Context())
	require.NoError(d.t, err)
	killed := make(chan error, 1)
	for n := 0; ; n++ {
		name := fmt.Sprint("made-", n)
		status, answer, err := d.do(http.MethodPost, all, integration(name, "http://upstream:8080"))
		if err != nil {
			require.NoError(d.t, <-killed, "there was no answer: %v", err)
			return made
		}
		require.Equal(d.t, http.StatusCreated, status, answer)
		made = append(made, name)
		if n == 20 {
			go func() {
				_, err := docker.ContainerKill(d.t.Context(), d.service.GetContainerID(), client.ContainerKillOptions{Signal: "KILL"})
				killed <- err
			}()
		}
	}
}
