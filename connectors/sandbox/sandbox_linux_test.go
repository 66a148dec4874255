package sandbox

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestMain(m *testing.M) {
	Become()
	os.Exit(m.Run())
}

// inEach runs a test in every sandbox that works on this machine.
func inEach(t *testing.T, test func(*testing.T, Sandbox)) {
	t.Helper()
	working := Working()
	if len(working) == 0 {
		t.Skip("NOT TESTED: no sandbox works on this machine. Install bubblewrap, or run Linux 6.12 or later with Landlock.")
	}
	for _, s := range working {
		t.Run(s.String(), func(t *testing.T) { test(t, s) })
	}
}

// shell is a command of the shell, with limits that no good program reaches.
func shell(script string) Command {
	return Command{Executable: "/bin/sh", Args: []string{"-c", script}, Limits: Limits{
		Memory: 1 << 30, FileSize: 1 << 20, CPU: 20 * time.Second, Wall: time.Minute, OpenFiles: 64, Processes: 8,
	}}
}

func start(t *testing.T, s Sandbox, c Command) *Process {
	t.Helper()
	p, err := s.Start(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.End(); ended(t, p) })
	return p
}

// ended waits until nothing is left of p.
func ended(t *testing.T, p *Process) {
	t.Helper()
	select {
	case <-p.Done():
	case <-time.After(20 * time.Second):
		t.Error("the program has not ended")
	}
}

// outputOf returns the whole output of a program and why it ended.
func outputOf(t *testing.T, s Sandbox, c Command) (output, why string) {
	t.Helper()
	p := start(t, s, c)
	text, err := io.ReadAll(p.Out)
	if err != nil {
		t.Fatal(err)
	}
	ended(t, p)
	return string(text), p.Why()
}

func TestTheFirstSandboxThatWorksIsFound(t *testing.T) {
	inEach(t, func(*testing.T, Sandbox) {})
	found, err := Find()
	if err != nil || found != Working()[0] {
		t.Errorf("found %v, %v", found, err)
	}
}

func TestATrialNoticesASandboxThatDoesNotHold(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	inEach(t, func(t *testing.T, s Sandbox) {
		c := shell("")
		c.Executable, c.Args, c.Read, c.Limits.Memory = self, []string{trialName, secret, "127.0.0.1:1"}, []string{secret}, 1<<42
		if output, _ := outputOf(t, s, c); output != "It lets a program read what it may not." {
			t.Errorf("it printed %q", output)
		}
	})
}

func TestAProgramRunsInAFolderOfItsOwnThatGoesWithIt(t *testing.T) {
	inEach(t, func(t *testing.T, s Sandbox) {
		p := start(t, s, shell("pwd; echo x > file; read line"))
		output := make([]byte, 200)
		n, err := p.Out.Read(output)
		if err != nil {
			t.Fatal(err)
		}
		dir := strings.TrimSpace(string(output[:n]))
		if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
			t.Errorf("its folder %q is %v, %v", dir, info, err)
		}
		p.End()
		ended(t, p)
		if _, err := os.Stat(dir); !os.IsNotExist(err) {
			t.Errorf("its folder is still there: %v", err)
		}
	})
}

func TestWhyAProgramEndedIsReported(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED: it takes seconds; run without -short")
	}
	hurried := shell("sleep 100")
	hurried.Limits.Wall = 300 * time.Millisecond
	busy := shell("while :; do :; done")
	busy.Limits.CPU = time.Second
	gone := shell("")
	gone.Executable = "/usr/bin/there-is-no-such-program"
	inEach(t, func(t *testing.T, s Sandbox) {
		for want, c := range map[string]Command{
			"It ended with status 3.":            shell("exit 3"),
			"It ended with status 0.":            shell("exit 0"),
			"It was ended by the signal ":        shell("kill -KILL $$"),
			"It ran longer than 300ms.":          hurried,
			"It used more CPU time than it may.": busy,
		} {
			if _, why := outputOf(t, s, c); !strings.HasPrefix(why, want) {
				t.Errorf("got %q, want %q", why, want)
			}
		}
		if _, why := outputOf(t, s, gone); strings.HasPrefix(why, "It ended with status 0") || why == "" {
			t.Errorf("a program that is not there: %q", why)
		}
	})
}

func TestTheLimitsOfAProgramAreSet(t *testing.T) {
	inEach(t, func(t *testing.T, s Sandbox) {
		output, _ := outputOf(t, s, shell("ulimit -c; ulimit -n; ulimit -t; ulimit -d; ulimit -f"))
		if want := "0\n64\n20\n4194304\n2048\n"; output != want {
			t.Errorf("got %q, want %q", output, want)
		}
		if output, _ := outputOf(t, s, shell("umask")); output != "0077\n" {
			t.Errorf("got %q", output)
		}
	})
}

func TestAProgramHasNoPrivilegesAndGetsNone(t *testing.T) {
	inEach(t, func(t *testing.T, s Sandbox) {
		marker := markerOfItsOwn()
		start(t, s, shell("exec /bin/sleep "+marker))
		until(t, func() bool { return len(asleep(marker)) > 0 })
		text, err := os.ReadFile(asleep(marker)[0] + "/status")
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{"CapEff:\t0000000000000000\n", "CapPrm:\t0000000000000000\n", "CapAmb:\t0000000000000000\n", "NoNewPrivs:\t1\n", "Seccomp:\t2\n"} {
			if !strings.Contains(string(text), want) {
				t.Errorf("it has not %q: %s", want, text)
			}
		}
	})
}

func TestAProgramHasTheEnvironmentItIsGivenAndNoOther(t *testing.T) {
	t.Setenv("OF_THE_SERVICE", "x")
	c := shell("/usr/bin/env")
	c.Env = []string{"A=1", "B=two words"}
	inEach(t, func(t *testing.T, s Sandbox) {
		output, _ := outputOf(t, s, c)
		for _, line := range strings.Split(strings.TrimSpace(output), "\n") {
			switch name, _, _ := strings.Cut(line, "="); name {
			case "A", "B", "PWD", "OLDPWD", "SHLVL", "_": // the shell adds its own
			default:
				t.Errorf("it has %s", line)
			}
		}
		if !strings.Contains(output, "A=1\n") || !strings.Contains(output, "B=two words\n") {
			t.Errorf("got %q", output)
		}
	})
}

func TestWhatAProgramComplainsOfIsRememberedToABound(t *testing.T) {
	inEach(t, func(t *testing.T, s Sandbox) {
		p := start(t, s, shell("for n in 1 2 3 4 5 6 7 8; do printf '%01000d' 0; done >&2; echo the end >&2"))
		ended(t, p)
		if output := p.Stderr(); len(output) != MaxStderr || !strings.HasSuffix(output, "the end\n") {
			t.Errorf("%d bytes are remembered: %q", len(output), output)
		}
	})
}

func TestAProgramEndsWithItsKeeper(t *testing.T) {
	inEach(t, func(t *testing.T, s Sandbox) {
		marker := markerOfItsOwn()
		p := start(t, s, shell("/bin/sleep "+marker+" & exec /bin/sleep "+marker))
		until(t, func() bool { return len(asleep(marker)) == 2 })
		if err := p.keeper.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		ended(t, p)
		if s.kind == landlocked { // without a namespace, only the program itself is bound to its keeper
			until(t, func() bool { return len(asleep(marker)) < 2 })
			return
		}
		until(t, func() bool { return len(asleep(marker)) == 0 })
	})
}

func TestNoProcessIsLeftUnreaped(t *testing.T) {
	inEach(t, func(t *testing.T, s Sandbox) {
		p := start(t, s, shell("(sleep 100 &) ; sleep 100"))
		p.End()
		ended(t, p)
		if left := started(); len(left) > 0 {
			t.Errorf("left are %v", left)
		}
	})
}

// markerOfItsOwn is some ten seconds, by which a process that sleeps them is found.
func markerOfItsOwn() string { return fmt.Sprintf("10.%09d", time.Now().UnixNano()%1e9) }

// asleep returns the folders in /proc of those who sleep for a time.
func asleep(seconds string) []string {
	lines, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	var found []string
	for _, name := range lines {
		if line, err := os.ReadFile(name); err == nil && string(line) == "/bin/sleep\x00"+seconds+"\x00" {
			found = append(found, filepath.Dir(name))
		}
	}
	return found
}

func until(t *testing.T, so func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !so(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it has not come to it within 20 s")
		}
	}
}
