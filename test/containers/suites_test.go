package containers_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/testcontainers/testcontainers-go"
)

const accounts = 16 // of the NATS server, for each package that is tested

// The tests of the event store, of the read store and of the whole API, as they
// are, on servers in containers instead of those in the test process.
func TestTheSuitesPassOnContainers(t *testing.T) {
	t.Parallel()
	var failed sync.Map // by package: what its tests printed
	t.Cleanup(func() {  // after the logs of the containers, where it is found
		failed.Range(func(pkg, output any) bool {
			t.Logf("go test %s:\n%s", pkg, output)
			return true
		})
	})
	on := newNetwork(t)
	mongo, admin := startMongo(t, on)
	packages := []string{"./transport", "./projections/mongo", "./eventstore"}
	nats := startNATS(t, on, testcontainers.WithCmd("--config", "/accounts.conf"),
		testcontainers.WithFiles(testcontainers.ContainerFile{HostFilePath: accountsFile(t, accounts*len(packages)), ContainerFilePath: "/accounts.conf", FileMode: 0o644}))
	t.Run("all", func(t *testing.T) {
		for n, pkg := range packages {
			t.Run(strings.TrimPrefix(pkg, "./"), func(t *testing.T) {
				t.Parallel()
				var urls []string
				for a := n * accounts; a < (n+1)*accounts; a++ {
					urls = append(urls, fmt.Sprintf("nats://t%d:t%d@%s", a, a, at(t, nats, "4222/tcp")))
				}
				command := exec.CommandContext(t.Context(), "go", "test", "-trimpath", "-count=1", "-parallel=8", "-timeout=15m", "-skip=^TestStoreOnFerretDB$", pkg)
				command.Dir, command.Env = root, append(os.Environ(), "NATS_URLS="+strings.Join(urls, ","),
					"MONGODB_URI=mongodb://"+admin+"@"+at(t, mongo, "27017/tcp")+"/?directConnection=true&authSource=admin&timeoutMS=60000") // what stands in for MongoDB looks at every document
				output, err := command.CombinedOutput()
				if err != nil {
					failed.Store(pkg, string(output))
				}
				require.NoError(t, err)
				t.Logf("%s", output)
			})
		}
	})
	var seen struct {
		Connections int `json:"total_connections"`
	}
	require.NoError(t, json.Unmarshal([]byte(get(t, "http://"+at(t, nats, "8222/tcp")+"/varz")), &seen))
	require.Greater(t, seen.Connections, 100, "the tests ran on the server in the container")
}

// accountsFile configures a server with accounts t0, t1 and so on, each with its
// name as password.
func accountsFile(t *testing.T, count int) string {
	t.Helper()
	text := new(strings.Builder)
	text.WriteString("port: 4222\nhttp: 8222\njetstream { store_dir: /data, sync_interval: always }\naccounts {\n")
	for n := range count {
		fmt.Fprintf(text, "  T%d: { jetstream: enabled, users: [{ user: t%d, password: t%d }] }\n", n, n, n)
	}
	text.WriteString("}\n")
	name := filepath.Join(t.TempDir(), "accounts.conf")
	require.NoError(t, os.WriteFile(name, []byte(text.String()), 0o600))
	return name
}

func get(t *testing.T, url string) string {
	t.Helper()
	status, answer, err := ask(t, http.MethodGet, url, "", "")
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, status, answer)
	return answer
}
