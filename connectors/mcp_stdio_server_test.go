package connectors

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/seed677028b5/integrations/connectors/sandbox"
	"github.com/seed677028b5/integrations/domain"
)

// asServer is the first argument that makes the test binary an MCP server.
const asServer = "an-mcp-server-of-the-tests"

// serveAs is an MCP server on stdin and stdout that behaves in some way.
func serveAs(mode string, args []string) {
	switch mode {
	case "endless-line":
		_, _ = os.Stdout.WriteString(`{"jsonrpc":"`)
		for {
			_, _ = os.Stdout.WriteString(strings.Repeat("x", 4096))
		}
	case "endless-output":
		for {
			_, _ = os.Stdout.WriteString(`{"jsonrpc":"2.0","method":"notifications/message","params":{"data":"` + strings.Repeat("x", 4096) + "\"}}\n")
		}
	case "endless-complaint":
		for {
			_, _ = os.Stderr.WriteString(strings.Repeat("x", 4096))
		}
	case "silence":
		_, _ = os.Stderr.WriteString("waiting for a licence\n")
		_, _ = io.Copy(io.Discard, os.Stdin)
	case "exit":
		_, _ = os.Stderr.WriteString("no licence for " + os.Getenv("TOKEN") + "\n")
		syscall.Exit(7)
	case "garbage":
		_, _ = os.Stdout.WriteString("Welcome to this server!\n")
		_, _ = io.Copy(io.Discard, os.Stdin)
	case "stubborn":
		signal.Ignore(syscall.SIGTERM, syscall.SIGHUP, syscall.SIGINT)
		serveTools()
		time.Sleep(time.Hour)
	case "forking":
		for n := range 40 {
			startOrphan(fmt.Sprint("forked-", n))
		}
		time.Sleep(time.Hour)
	case "orphan":
		signal.Ignore(syscall.SIGTERM, syscall.SIGHUP, syscall.SIGINT)
		time.Sleep(time.Hour)
	case "tools":
		serveTools(args...)
	}
}

// startOrphan starts a process that leaves this one's group and session, and
// keeps its stdout.
func startOrphan(marker string) {
	self, _ := os.Executable()
	c := exec.CommandContext(context.Background(), self, asServer, "orphan", marker)
	c.Stdout, c.Stderr, c.SysProcAttr = os.Stdout, os.Stderr, &syscall.SysProcAttr{Setsid: true}
	if err := c.Start(); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
}

// serveTools offers tools that try what a program may want to do.
func serveTools(marker ...string) {
	server := sdk.NewServer(&sdk.Implementation{Name: "own", Version: "1"}, nil)
	offer := func(name string, do func(string) (string, error)) {
		type on struct {
			On string `json:"on,omitempty"`
		}
		sdk.AddTool(server, &sdk.Tool{Name: name}, func(_ context.Context, _ *sdk.CallToolRequest, in on) (*sdk.CallToolResult, any, error) {
			text, err := do(in.On)
			if err != nil {
				return nil, nil, err
			}
			return &sdk.CallToolResult{Content: []sdk.Content{&sdk.TextContent{Text: text}}}, nil, nil
		})
	}
	offer("environment", func(string) (string, error) { return "got " + strings.Join(os.Environ(), ","), nil })
	offer("arguments", func(string) (string, error) { return strings.Join(marker, "|"), nil })
	offer("read", func(path string) (string, error) {
		text, err := os.ReadFile(path)
		return "read " + string(text), err
	})
	offer("write", func(path string) (string, error) { return "written", os.WriteFile(path, []byte("x"), 0o600) })
	offer("folder", func(string) (string, error) { return os.Getwd() })
	offer("signal", func(pid string) (string, error) {
		n, _ := strconv.Atoi(pid)
		return "sent", syscall.Kill(n, 0)
	})
	offer("dial", func(address string) (string, error) {
		network, address, _ := strings.Cut(address, " ")
		conn, err := (&net.Dialer{Timeout: time.Second}).Dial(network, address)
		if err == nil && network == "udp" {
			_, err = conn.Write([]byte("x"))
		}
		return "reached", err
	})
	offer("orphan", func(marker string) (string, error) {
		startOrphan(marker)
		return "left behind", nil
	})
	offer("limits", func(string) (string, error) {
		text, err := os.ReadFile("/proc/self/limits")
		return string(text), err
	})
	calls := 0
	offer("count", func(string) (string, error) { calls++; return strconv.Itoa(calls), nil })
	offer("end", func(string) (string, error) { syscall.Exit(3); return "", nil })
	offer("slow", func(string) (string, error) {
		time.Sleep(time.Hour)
		return "", nil
	})
	_ = server.Run(context.Background(), &sdk.StdioTransport{})
}

// ownProfile is the profile of the test binary as a server.
func ownProfile(t *testing.T) Profile {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if self, err = filepath.EvalSymlinks(self); err != nil {
		t.Fatal(err)
	}
	return Profile{
		Name: "own", Executable: self, Arguments: []string{asServer, "{mode}", "marker={marker}"},
		Slots:       []ProfileSlot{{Name: "mode", Pattern: "[a-z-]+"}, {Name: "marker", Pattern: ".*"}},
		Environment: []string{"TOKEN=" + canary, "PATH=/usr/bin"},
		Limits:      ProfileLimits{MemoryMB: 1 << 20}, // the race detector reserves what there is
	}
}

// starting returns a Registry that starts the programs of a profile.
func starting(t *testing.T, profile Profile) *Registry {
	t.Helper()
	if _, err := sandbox.Find(); err != nil {
		t.Skip("NOT TESTED: " + err.Error())
	}
	return registry(t, Config{Profiles: []Profile{profile}})
}

// inEachSandbox runs a test in every sandbox that works on this machine, with
// the test binary as a server.
func inEachSandbox(t *testing.T, profile Profile, test func(*testing.T, *Registry)) {
	t.Helper()
	working := sandbox.Working()
	if len(working) == 0 {
		t.Skip("NOT TESTED: no sandbox works on this machine. Install bubblewrap, or run Linux 6.12 or later with Landlock.")
	}
	for _, box := range working {
		t.Run(box.String(), func(t *testing.T) {
			r := starting(t, profile)
			r.programs.Sandbox = box
			hasten(r)
			t.Cleanup(func() { allEnded(t, r) })
			test(t, r)
		})
	}
}

// allEnded waits until nothing is left of the programs of r.
func allEnded(t *testing.T, r *Registry) {
	t.Helper()
	r.Close()
	for deadline := time.Now().Add(20 * time.Second); r.programs.Running() > 0; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d programs have not ended", r.programs.Running())
		}
	}
}

// running reports whether a process of this machine has marker in its arguments.
func running(t *testing.T, marker string) bool {
	t.Helper()
	lines, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range lines {
		if line, err := os.ReadFile(name); err == nil && strings.Contains(string(line), marker) {
			return true
		}
	}
	return false
}

// started is a call of a tool of the program that a profile describes.
func startedBy(mode, marker, tool, on string) domain.Call {
	c := tooling(domain.Stdio, "", tool, map[string]any{"on": on})
	c.Integration.MCPURL, c.Integration.MCPCommand, c.Integration.MCPArgs = "", "own", []string{mode, marker}
	c.Endpoint.InputSchema = json.RawMessage(`{"type":"object"}`)
	return c
}
