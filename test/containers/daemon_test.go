// Package containers_test runs the service and its stores in containers, as
// docker-compose.yml has them. It needs a Docker daemon and nothing from a
// registry: an image that can't be pulled is built here. Without a daemon it prints
// that, and tests nothing.
package containers_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/moby/moby/client"
	"github.com/stretchr/testify/require"
	"github.com/testcontainers/testcontainers-go"
	"github.com/testcontainers/testcontainers-go/wait"
)

// root is where the module of the service is.
const root = "../.."

func TestMain(m *testing.M) {
	// The reaper of testcontainers is an image of its own. Every test removes
	// what it made.
	if err := os.Setenv("TESTCONTAINERS_RYUK_DISABLED", "true"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	if err := daemon(); err != nil {
		shout("NOT TESTED: no Docker daemon answers, so nothing runs in containers here.",
			"Its error: "+err.Error(),
			"Start one (dockerd, as root), or set DOCKER_HOST to where it is.")
		os.Exit(0)
	}
	if err := trial(); err != nil {
		shout("NOT TESTED: the Docker daemon that answers can't run a container at all.", "Its error: "+err.Error(),
			"What was tried is this program itself, which has to be built as make containers does: with CGO_ENABLED=0.")
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// trial runs a container of this very program, which finds no daemon in there,
// prints that, and ends.
func trial() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	self, err := os.Executable()
	if err != nil {
		return err
	}
	content, err := os.ReadFile(self)
	if err != nil {
		return err
	}
	from, err := archive("FROM scratch\nCOPY trial /trial\nENTRYPOINT [\"/trial\"]\n", entry{"trial", 0o755, content})
	if err != nil {
		return err
	}
	c, err := testcontainers.Run(ctx, "", testcontainers.WithDockerfile(testcontainers.FromDockerfile{ContextArchive: from}), testcontainers.WithWaitStrategy(wait.ForExit()))
	return errors.Join(err, testcontainers.TerminateContainer(c))
}

// daemon returns why no daemon answers, nil when one does. The ports of one that
// runs on this machine are on this machine: testcontainers would ask a gateway for
// them where the machine itself looks like a container.
func daemon() (err error) {
	defer func() {
		if r := recover(); r != nil { // testcontainers panics where it finds no socket
			err = fmt.Errorf("%v", r)
		}
	}()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	docker, err := testcontainers.NewDockerClientWithOpts(ctx)
	if err != nil {
		return err
	}
	its, err := docker.Info(ctx, client.InfoOptions{})
	if err != nil {
		return err
	}
	const override = "TESTCONTAINERS_HOST_OVERRIDE"
	if ours, err := os.Hostname(); err == nil && its.Info.Name == ours && os.Getenv(override) == "" {
		return os.Setenv(override, "127.0.0.1")
	}
	return nil
}

// shout prints something that nobody may miss.
func shout(lines ...string) {
	bar := strings.Repeat("!", 72)
	fmt.Fprintf(os.Stderr, "%s\n%s\n%s\n", bar, strings.Join(lines, "\n"), bar)
}

// started ends a container with its test, and shows what it logged when the test
// failed.
func started(t *testing.T, c *testcontainers.DockerContainer, err error) *testcontainers.DockerContainer {
	t.Helper()
	testcontainers.CleanupContainer(t, c, testcontainers.StopTimeout(10*time.Second))
	t.Cleanup(func() {
		if t.Failed() && c != nil {
			t.Logf("the end of what %s logged:\n%s", c.Image, tail(c))
		}
	})
	require.NoError(t, err)
	return c
}

func tail(c *testcontainers.DockerContainer) string {
	logs, err := c.Logs(context.Background())
	if err != nil {
		return err.Error()
	}
	defer func() { _ = logs.Close() }()
	text, err := io.ReadAll(logs)
	if err != nil {
		return err.Error()
	}
	return string(text[max(0, len(text)-8000):])
}

// at returns where a port of a container is reached from here. It changes when
// the container is started again.
func at(t *testing.T, c *testcontainers.DockerContainer, port string) string {
	t.Helper()
	endpoint, err := c.PortEndpoint(t.Context(), port, "")
	require.NoError(t, err)
	return endpoint
}
