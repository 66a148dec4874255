package connectors

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed677028b5/integrations/connectors/program"
	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/internal/peers"
)

func TestStdioTheReferenceServerIsCalled(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED: it takes seconds; run without -short")
	}
	node, dir := peers.Node(t), peers.Dir(t)
	profile := Profile{
		Name: "everything", Executable: node, Read: []string{dir},
		Arguments: []string{filepath.Join(dir, "node_modules", "@modelcontextprotocol", "server-everything", "dist", "index.js"), "stdio"},
	}
	inEachSandbox(t, profile, func(t *testing.T, r *Registry) {
		asked := func(name string, params map[string]any) domain.Call {
			c := tooling(domain.Stdio, "", name, params)
			c.Integration.MCPURL, c.Integration.MCPCommand = "", "everything"
			return c
		}
		p := r.Probe(t.Context(), asked("", nil).Integration, nil)
		if p.Status != domain.Healthy || !strings.Contains(p.Message, "speaks MCP 20") || !p.AuthResolved || p.HTTPStatus != 0 {
			t.Errorf("the probe came to %+v", p)
		}
		got := succeeds(t, r, asked("echo", map[string]any{"message": "hello"}))
		if got.FinalResult != "Echo: hello" || got.StatusCode != 0 || len(got.Attempts) != 1 {
			t.Errorf("got %+v", got)
		}
		if got.Request.Method != "tools/call" || got.Request.URL != "stdio:everything" || got.Request.Body != `{"message":"hello"}` {
			t.Errorf("the request is shown as %+v", got.Request)
		}
		if _, err := r.Call(t.Context(), asked("get-sum", map[string]any{"a": "two"})); domain.KindOf(err) != domain.Invalid {
			t.Errorf("wrong arguments came to %v", err)
		}
		if got := failsWith(t, r, asked("no-such-tool", nil), domain.CallMisconfigured); !strings.Contains(got.Error, "get-sum") {
			t.Errorf("got %s", got.Error)
		}
		found, err := r.Discover(t.Context(), asked("", nil).Integration, nil, domain.Description{})
		if err != nil || found.Error != "" || !slices.ContainsFunc(found.Offers, func(o domain.Offer) bool { return o.Name == "echo" }) {
			t.Errorf("discovery came to %+v, %v", found, err)
		}
		slow := asked("trigger-long-running-operation", map[string]any{"duration": json.Number("30"), "steps": json.Number("3")})
		slow.Endpoint.InputSchema, slow.Endpoint.TimeoutMS = json.RawMessage(`{"type":"object"}`), 1500
		failsWith(t, r, slow, domain.CallTimeout)
	})
}

func TestStdioAProgramDoesWhatItsProfileAllowsAndNothingElse(t *testing.T) {
	outside := t.TempDir()
	profile := ownProfile(t)
	profile.Read, profile.Write = []string{filepath.Join(outside, "read")}, []string{filepath.Join(outside, "write")}
	for _, dir := range []string{"read", "write", "data"} {
		if err := os.Mkdir(filepath.Join(outside, dir), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for _, file := range []string{"read/file", "data/root.keyset"} {
		if err := os.WriteFile(filepath.Join(outside, file), []byte("its content"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	port, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = port.Close() }()
	datagrams, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = datagrams.Close() }()
	socket, err := net.Listen("unix", filepath.Join(outside, "read", "socket"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = socket.Close() }()
	inEachSandbox(t, profile, func(t *testing.T, r *Registry) {
		answers := func(tool, on, want string) {
			t.Helper()
			if got := succeeds(t, r, startedBy("tools", "m", tool, on)); got.FinalResult != want {
				t.Errorf("%s %s: got %q", tool, on, got.FinalResult)
			}
		}
		answers("read", filepath.Join(outside, "read", "file"), "read its content")
		answers("write", filepath.Join(outside, "write", "file"), "written")
		answers("write", "of-its-own", "written")
		answers("arguments", "", "marker=m")
		env := succeeds(t, r, startedBy("tools", "m", "environment", "")).FinalResult
		if !strings.Contains(env, "TOKEN=[secret]") || !strings.Contains(env, "PATH=/usr/bin") || strings.Count(env, "=") > 3 {
			t.Errorf("its environment is %s", env)
		}
		for _, forbidden := range [][2]string{
			{"read", filepath.Join(outside, "data", "root.keyset")},
			{"read", filepath.Join(outside, "read", "..", "data", "root.keyset")},
			{"read", fmt.Sprintf("/proc/%d/environ", os.Getpid())},
			{"read", "/etc/shadow"},
			{"write", filepath.Join(outside, "read", "more")},
			{"write", filepath.Join(outside, "data", "more")},
			{"write", "/usr/more"},
			{"signal", fmt.Sprint(os.Getpid())},
			{"dial", "tcp4 " + port.Addr().String()},
			{"dial", "unix " + socket.Addr().String()},
		} {
			if got := call(t, r, startedBy("tools", "m", forbidden[0], forbidden[1])); got.ErrorCode != domain.CallToolError {
				t.Errorf("%v: got %+v", forbidden, got)
			}
		}
		call(t, r, startedBy("tools", "m", "dial", "udp4 "+datagrams.LocalAddr().String()))
		_ = datagrams.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
		if n, _, err := datagrams.ReadFrom(make([]byte, 8)); err == nil {
			t.Errorf("%d bytes came over UDP", n)
		}
	})
}

func TestStdioSecretsOfAProfileAreNotShown(t *testing.T) {
	inEachSandbox(t, ownProfile(t), func(t *testing.T, r *Registry) {
		c := startedBy("exit", "m", "x", "")
		c.Endpoint.Retry.MaxRetries = 1
		got := failsWith(t, r, c, domain.CallUnreachable)
		if !strings.Contains(got.Error, "status 7") || !strings.Contains(got.Error, "no licence for [secret]") || len(got.Attempts) != 2 {
			t.Errorf("got %+v", got)
		}
		if p := r.Probe(t.Context(), startedBy("exit", "m", "x", "").Integration, nil); p.Status != domain.Unreachable || strings.Contains(p.Message, canary) {
			t.Errorf("the probe came to %+v", p)
		}
	})
}

func TestStdioAHostileProgramIsEnded(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED: it takes seconds; run without -short")
	}
	inEachSandbox(t, ownProfile(t), func(t *testing.T, r *Registry) {
		for mode, want := range map[string]struct {
			timeoutMS int
			code      domain.ErrorCode
			message   string
		}{
			"endless-line":      {60_000, domain.CallResponseTooLarge, "1024 KiB"},
			"endless-output":    {60_000, domain.CallResponseTooLarge, "4096 KiB"},
			"endless-complaint": {2500, domain.CallTimeout, "2500"},
			"silence":           {2500, domain.CallTimeout, "waiting for a licence"},
			"garbage":           {60_000, domain.CallUpstreamError, "not MCP"},
		} {
			t.Run(mode, func(t *testing.T) {
				t.Parallel()
				marker := fmt.Sprintf("%s-%d-%d", mode, os.Getpid(), time.Now().UnixNano())
				c := startedBy(mode, marker, "x", "")
				c.Endpoint.TimeoutMS = want.timeoutMS
				start := time.Now()
				if got := failsWith(t, r, c, want.code); !strings.Contains(got.Error, want.message) || time.Since(start) > 20*time.Second {
					t.Errorf("after %s it answered %s", time.Since(start), got.Error)
				}
				for deadline := time.Now().Add(20 * time.Second); running(t, marker); time.Sleep(5 * time.Millisecond) {
					if time.Now().After(deadline) {
						t.Fatal("it runs on")
					}
				}
			})
		}
	})
}

func TestStdioNothingThatAProgramStartedOutlivesItsSession(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED: it takes seconds; run without -short")
	}
	inEachSandbox(t, ownProfile(t), func(t *testing.T, r *Registry) {
		for _, mode := range []string{"tools", "stubborn"} {
			marker := fmt.Sprintf("%s-%d-%d", mode, os.Getpid(), time.Now().UnixNano())
			c := startedBy(mode, marker, "orphan", marker)
			c.Integration.MCPSession = domain.SessionPerCall
			if got := succeeds(t, r, c); got.FinalResult != "left behind" {
				t.Errorf("got %+v", got)
			}
			allEnded(t, r)
			if running(t, marker) {
				t.Errorf("what %s left behind runs on", mode)
			}
		}
	})
}

func TestStdioAProgramThatUsesTooMuchIsEnded(t *testing.T) {
	forking := ownProfile(t)
	forking.Limits.Processes = 8
	inEachSandbox(t, forking, func(t *testing.T, r *Registry) {
		got := failsWith(t, r, startedBy("forking", "m", "x", ""), domain.CallUnreachable)
		if !strings.Contains(got.Error, "more than 8 processes") {
			t.Errorf("got %s", got.Error)
		}
		allEnded(t, r)
		if running(t, "forked-") {
			t.Error("what it started runs on")
		}
	})
}

func TestStdioAProgramThatTakesAllMemoryIsEnded(t *testing.T) {
	hungry := Profile{Name: "own", Executable: "/usr/bin/tail", Arguments: []string{"/dev/zero"}, Limits: ProfileLimits{MemoryMB: 64}}
	inEachSandbox(t, hungry, func(t *testing.T, r *Registry) {
		c := startedBy("", "", "x", "")
		c.Integration.MCPArgs = nil
		// The keeper reports the first, the kernel and then the program the second.
		if got := failsWith(t, r, c, domain.CallUnreachable); !strings.Contains(got.Error, "more than 64 MiB") && !strings.Contains(got.Error, "memory exhausted") {
			t.Errorf("got %s", got.Error)
		}
	})
}

func TestStdioNoMoreProgramsThanThereMayBeAreStarted(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED: it takes seconds; run without -short")
	}
	r := starting(t, ownProfile(t))
	r.programs.Max = 2
	c := startedBy("silence", "m", "x", "")
	c.Endpoint.TimeoutMS = 3000
	var waiting sync.WaitGroup
	for range 2 {
		waiting.Go(func() { _, _ = r.Call(t.Context(), c) })
	}
	for r.programs.Running() < 2 {
		time.Sleep(time.Millisecond)
	}
	if got := failsWith(t, r, c, domain.CallUnreachable); !strings.Contains(got.Error, "2 processes") || len(got.Attempts) != 1 {
		t.Errorf("got %+v", got)
	}
	waiting.Wait()
	allEnded(t, r)
}

func TestStdioAWorkspaceLeavesSlotsToOthersAndAProbeWithoutOneIsNoResult(t *testing.T) {
	r := starting(t, ownProfile(t))
	for range program.MaxOfWorkspace {
		if f := r.programs.Acquire("busy"); f != nil {
			t.Fatal(f)
		}
	}
	c := startedBy("tools", "m", "arguments", "")
	c.Integration.Workspace = "busy"
	if got := failsWith(t, r, c, domain.CallUnreachable); !strings.Contains(got.Error, "This workspace has 8 processes") {
		t.Errorf("got %s", got.Error)
	}
	if p := r.Probe(t.Context(), c.Integration, nil); p.Status != "" || !strings.Contains(p.Message, "try again") {
		t.Errorf("a probe that found no slot came to %+v", p)
	}
	c.Integration.Workspace = "other"
	if p := r.Probe(t.Context(), c.Integration, nil); p.Status != domain.Healthy {
		t.Errorf("a probe of another workspace came to %+v", p)
	}
	for range program.MaxOfWorkspace {
		r.programs.Release("busy")
	}
	c.Integration.Workspace = "busy"
	if p := r.Probe(t.Context(), c.Integration, nil); p.Status != domain.Healthy {
		t.Errorf("a probe with a slot came to %+v", p)
	}
	allEnded(t, r)
}

func TestStdioAProfileIsCheckedAgainAtTheCall(t *testing.T) {
	r := starting(t, ownProfile(t))
	for _, change := range []func(*domain.Integration){
		func(i *domain.Integration) { i.MCPCommand = "gone" },
		func(i *domain.Integration) { i.MCPArgs = []string{"tools"} },
		func(i *domain.Integration) { i.MCPArgs = []string{"Tools", "m"} },
		func(i *domain.Integration) { i.MCPArgs = []string{"tools", "-c"} },
		func(i *domain.Integration) { i.MCPArgs = []string{"tools", "a\nb"} },
		func(i *domain.Integration) { i.MCPArgs = []string{"tools", "m", "more"} },
	} {
		c := startedBy("tools", "m", "arguments", "")
		change(&c.Integration)
		if got := failsWith(t, r, c, domain.CallMisconfigured); !strings.Contains(got.Error, "any more") {
			t.Errorf("got %s", got.Error)
		}
	}
}
