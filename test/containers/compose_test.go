package containers_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/docker/go-units"
	"github.com/moby/moby/api/types/container"
	"github.com/stretchr/testify/require"
	"github.com/testcontainers/testcontainers-go"
	nets "github.com/testcontainers/testcontainers-go/network"
	"github.com/testcontainers/testcontainers-go/wait"
	"go.yaml.in/yaml/v4"
)

// passwords are what the file .env would hold.
var passwords = map[string]string{
	"NATS_PASSWORD": "s3cretNats", "NATS_OPERATOR_PASSWORD": "s3cretOperator", "MONGO_PASSWORD": "s3cretMongo", "MONGO_ROOT_PASSWORD": "s3cretRoot", "MONGO_REPLICA_KEY": "s3cretReplica",
}

// composed is a service of the compose file.
type composed struct {
	Image       string            `yaml:"image"`
	Entrypoint  []string          `yaml:"entrypoint"`
	Command     []string          `yaml:"command"`
	Environment map[string]string `yaml:"environment"`
	Volumes     []string          `yaml:"volumes"`
	ReadOnly    bool              `yaml:"read_only"`
	Tmpfs       []string          `yaml:"tmpfs"`
	CapDrop     []string          `yaml:"cap_drop"`
	SecurityOpt []string          `yaml:"security_opt"`
	Healthcheck struct {
		Test              []string `yaml:"test"`
		Interval, Timeout time.Duration
		StartPeriod       time.Duration `yaml:"start_period"`
		Retries           int           `yaml:"retries"`
	} `yaml:"healthcheck"`
	Deploy struct {
		Resources struct {
			Limits struct {
				Memory string `yaml:"memory"`
			} `yaml:"limits"`
		} `yaml:"resources"`
	} `yaml:"deploy"`
}

var variable = regexp.MustCompile(`\$\$|\$\{(\w+)[^}]*\}`)

// compose reads the services of docker-compose.yml, with passwords for its
// variables.
func compose(t *testing.T) map[string]composed {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "docker-compose.yml"))
	require.NoError(t, err)
	filled := variable.ReplaceAllStringFunc(string(text), func(found string) string {
		if found == "$$" {
			return "$"
		}
		return passwords[variable.FindStringSubmatch(found)[1]]
	})
	var file struct {
		Services map[string]composed `yaml:"services"`
	}
	require.NoError(t, yaml.Unmarshal([]byte(filled), &file))
	return file.Services
}

// like are the settings of a service, whatever its image is, on a network under a
// name.
func (c composed) like(t *testing.T, on *testcontainers.DockerNetwork, name string) []testcontainers.ContainerCustomizer {
	t.Helper()
	limit, err := units.RAMInBytes(c.Deploy.Resources.Limits.Memory)
	require.NoError(t, err)
	var files []testcontainers.ContainerFile
	for _, volume := range c.Volumes {
		if from, to, _ := strings.Cut(volume, ":"); strings.HasPrefix(from, "./") {
			files = append(files, testcontainers.ContainerFile{
				HostFilePath: filepath.Join(root, from), ContainerFilePath: strings.TrimSuffix(to, ":ro"), FileMode: 0o644,
			})
		}
	}
	return []testcontainers.ContainerCustomizer{
		nets.WithNetwork([]string{name}, on), testcontainers.WithEnv(c.Environment), testcontainers.WithFiles(files...), testcontainers.WithCmd(c.Command...),
		testcontainers.WithHostConfigModifier(func(h *container.HostConfig) {
			h.ReadonlyRootfs, h.CapDrop, h.SecurityOpt, h.Memory = c.ReadOnly, c.CapDrop, c.SecurityOpt, limit
			for _, mount := range c.Tmpfs {
				to, options, _ := strings.Cut(mount, ":")
				h.Tmpfs = map[string]string{to: options}
			}
		}),
	}
}

// pulled is the service on its own image, once its health check passes.
func (c composed) pulled(ports ...string) []testcontainers.ContainerCustomizer {
	return []testcontainers.ContainerCustomizer{
		testcontainers.WithImage(c.Image), testcontainers.WithExposedPorts(ports...),
		testcontainers.WithConfigModifier(func(config *container.Config) {
			config.Entrypoint = c.Entrypoint
			config.Healthcheck = &container.HealthConfig{
				Test: c.Healthcheck.Test, Interval: c.Healthcheck.Interval, Timeout: c.Healthcheck.Timeout,
				StartPeriod: c.Healthcheck.StartPeriod, Retries: c.Healthcheck.Retries,
			}
		}),
		testcontainers.WithWaitStrategyAndDeadline(3*time.Minute, wait.ForHealthCheck()),
	}
}

// startNATS starts the NATS server of the compose file.
func startNATS(t *testing.T, on *testcontainers.DockerNetwork, more ...testcontainers.ContainerCustomizer) *testcontainers.DockerContainer {
	t.Helper()
	c := compose(t)["nats"]
	settings := c.like(t, on, "nats")
	if pull(c.Image) == nil {
		settings = append(settings, c.pulled("4222/tcp", "8222/tcp")...)
	} else {
		settings = append(settings, natsServer(t), testcontainers.WithExposedPorts("4222/tcp", "8222/tcp"),
			testcontainers.WithWaitStrategyAndDeadline(time.Minute, wait.ForHTTP("/healthz").WithPort("8222/tcp")))
	}
	server, err := testcontainers.Run(t.Context(), "", append(settings, more...)...)
	return started(t, server, err)
}

// startMongo starts the MongoDB of the compose file, and returns it with the user
// that may make databases.
func startMongo(t *testing.T, on *testcontainers.DockerNetwork) (server *testcontainers.DockerContainer, admin string) {
	t.Helper()
	c := compose(t)["mongo"]
	var settings []testcontainers.ContainerCustomizer
	if pull(c.Image) == nil {
		settings, admin = append(c.like(t, on, "mongo"), c.pulled("27017/tcp")...), "root:"+passwords["MONGO_ROOT_PASSWORD"]
	} else {
		c.Environment = nil
		c.Volumes = nil
		settings = append(c.like(t, on, "mongo"), ferretDB(t), testcontainers.WithExposedPorts("27017/tcp"), testcontainers.WithTmpfs(map[string]string{"/data": ""}),
			testcontainers.WithWaitStrategyAndDeadline(time.Minute, wait.ForListeningPort("27017/tcp").SkipInternalCheck()))
		admin = "integrations:" + passwords["MONGO_PASSWORD"]
	}
	server, err := testcontainers.Run(t.Context(), "", settings...)
	return started(t, server, err), admin
}

// newNetwork returns a network that goes away with the test.
func newNetwork(t *testing.T) *testcontainers.DockerNetwork {
	t.Helper()
	on, err := nets.New(t.Context())
	testcontainers.CleanupNetwork(t, on)
	require.NoError(t, err)
	return on
}
