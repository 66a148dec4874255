package containers_test

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/moby/moby/client"
	"github.com/stretchr/testify/require"
	"github.com/testcontainers/testcontainers-go"
)

// pull returns why an image can't be had, nil when it is here. Each is tried for
// once, and given up when nothing comes for 20 s.
func pull(image string) error {
	pulls.Lock()
	defer pulls.Unlock()
	if _, tried := pulls.of[image]; !tried {
		pulls.of[image] = tryPull(image)
		if err := pulls.of[image]; err != nil {
			shout("NOT TESTED on the image "+image+": it can't be pulled. One that is built here stands in for it.", "The error: "+err.Error())
		}
	}
	return pulls.of[image]
}

var pulls = struct {
	sync.Mutex

	of map[string]error
}{of: map[string]error{}}

const quiet = 20 * time.Second

func tryPull(image string) error {
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	docker, err := testcontainers.NewDockerClientWithOpts(ctx)
	if err != nil {
		return err
	}
	if _, err := docker.ImageInspect(ctx, image); err == nil {
		return nil
	}
	idle := time.AfterFunc(quiet, func() { cancel(fmt.Errorf("nothing came for %s", quiet)) })
	defer idle.Stop()
	progress, err := docker.ImagePull(ctx, image, client.ImagePullOptions{})
	if err != nil {
		return err
	}
	for message, err := range progress.JSONMessages(ctx) {
		switch {
		case err != nil:
			return fmt.Errorf("%w (%w)", err, context.Cause(ctx))
		case message.Error != nil:
			return message.Error
		}
		idle.Reset(quiet)
	}
	return nil
}

// build makes a static program of a package and returns its content.
func build(t *testing.T, dir, pkg string, flags ...string) []byte {
	t.Helper()
	out := filepath.Join(t.TempDir(), "program")
	args := append([]string{"build", "-trimpath", "-ldflags=-s -w", "-o", out}, append(flags, pkg)...)
	command := exec.CommandContext(t.Context(), "go", args...)
	command.Dir, command.Env = dir, append(os.Environ(), "CGO_ENABLED=0")
	output, err := command.CombinedOutput()
	require.NoError(t, err, "go %v: %s", args, output)
	content, err := os.ReadFile(out)
	require.NoError(t, err)
	return content
}

// An entry is a file of an image, or a folder when its name ends in a slash.
type entry struct {
	name    string
	mode    int64
	content []byte
}

// image is an image to be built of a Dockerfile and what it copies.
func image(t *testing.T, dockerfile string, entries ...entry) testcontainers.ContainerCustomizer {
	t.Helper()
	from, err := archive(dockerfile, entries...)
	require.NoError(t, err)
	return testcontainers.WithDockerfile(testcontainers.FromDockerfile{ContextArchive: from})
}

// archive returns what an image is built of.
func archive(dockerfile string, entries ...entry) (io.ReadSeeker, error) {
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	for _, e := range append(entries, entry{"Dockerfile", 0o644, []byte(dockerfile)}) {
		header := &tar.Header{Name: e.name, Mode: e.mode, Size: int64(len(e.content)), Typeflag: tar.TypeReg}
		if strings.HasSuffix(e.name, "/") {
			header.Typeflag = tar.TypeDir
		}
		if err := w.WriteHeader(header); err != nil {
			return nil, err
		}
		if _, err := w.Write(e.content); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return bytes.NewReader(archive.Bytes()), nil
}

// ours is the image of the service: the last stage of the Dockerfile, on what its
// first stage makes.
func ours(t *testing.T) testcontainers.ContainerCustomizer {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "Dockerfile"))
	require.NoError(t, err)
	_, last, found := strings.Cut(string(text), "FROM scratch\n")
	require.True(t, found, "the last stage of the Dockerfile")
	return image(t, "FROM scratch\n"+strings.ReplaceAll(last, "--from=build ", ""),
		entry{"etc/ssl/certs/ca-certificates.crt", 0o644, nil}, // nothing here is asked over TLS
		entry{"out/integrations", 0o755, build(t, root, "./cmd/integrations")},
		entry{"out/data/", 0o755, nil},
		entry{"out/tmp/", 0o1777, nil},
	)
}

// natsServer stands in for the image of NATS: the version that the service embeds.
func natsServer(t *testing.T) testcontainers.ContainerCustomizer {
	t.Helper()
	return image(t, "FROM scratch\nCOPY . /\nVOLUME /data\nENTRYPOINT [\"/nats-server\"]\n",
		entry{"nats-server", 0o755, build(t, root, "github.com/nats-io/nats-server/v2")}, entry{"data/", 0o755, nil})
}

// ferretDB stands in for the image of MongoDB: a replica set of one that is
// called as the compose file calls it, and wants the service's user name and
// password.
func ferretDB(t *testing.T) testcontainers.ContainerCustomizer {
	t.Helper()
	// The program refuses to start unless its source has its version.
	found, err := exec.CommandContext(t.Context(), "go", "mod", "download", "-json", "github.com/FerretDB/FerretDB").Output()
	require.NoError(t, err)
	var module struct{ Dir, Version string }
	require.NoError(t, json.Unmarshal(found, &module))
	source := t.TempDir()
	require.NoError(t, os.CopyFS(source, os.DirFS(module.Dir)))
	require.NoError(t, os.Chmod(filepath.Join(source, "build/version"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(source, "build/version/version.txt"), []byte(module.Version), 0o600))
	modfile := filepath.Join(t.TempDir(), "go.mod")
	for from, to := range map[string]string{"go.mod": modfile, "go.sum": strings.TrimSuffix(modfile, "mod") + "sum"} {
		content, err := os.ReadFile(from)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(to, content, 0o600))
	}
	output, err := exec.CommandContext(t.Context(), "go", "mod", "edit", "-replace=github.com/FerretDB/FerretDB="+source, modfile).CombinedOutput()
	require.NoError(t, err, string(output))
	return image(t, `FROM scratch
COPY . /
ENV FERRETDB_TELEMETRY=disable FERRETDB_HANDLER=sqlite FERRETDB_SQLITE_URL=file:/data/ FERRETDB_STATE_DIR= FERRETDB_DEBUG_ADDR=- FERRETDB_LOG_LEVEL=error
ENV FERRETDB_LISTEN_ADDR=mongo:27017 FERRETDB_REPL_SET_NAME=rs0 FERRETDB_TEST_ENABLE_NEW_AUTH=true
ENV FERRETDB_SETUP_DATABASE=admin FERRETDB_SETUP_USERNAME=integrations FERRETDB_SETUP_PASSWORD=`+passwords["MONGO_PASSWORD"]+`
ENTRYPOINT ["/ferretdb"]
`,
		entry{"ferretdb", 0o755, build(t, ".", "github.com/FerretDB/FerretDB/cmd/ferretdb", "-modfile="+modfile)}, entry{"data/", 0o755, nil}, entry{"tmp/", 0o1777, nil})
}
