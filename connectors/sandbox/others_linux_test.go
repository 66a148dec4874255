package sandbox

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestAProgramChangesNoLimitNorPriorityOfAnotherProcess(t *testing.T) {
	other := exec.Command("/bin/sleep", "60")
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = other.Process.Kill(), other.Wait() })
	pid := other.Process.Pid
	state := func() string {
		var limit unix.Rlimit
		var cpus unix.CPUSet
		err := unix.Prlimit(pid, unix.RLIMIT_CORE, nil, &limit)
		nice, err2 := unix.Getpriority(unix.PRIO_PROCESS, pid)
		err3 := unix.SchedGetaffinity(pid, &cpus)
		class, err4 := unix.SchedGetAttr(pid, 0)
		if err != nil || err2 != nil || err3 != nil || err4 != nil {
			t.Fatal(err, err2, err3, err4)
		}
		io, _, _ := unix.Syscall(unix.SYS_IOPRIO_GET, 1, uintptr(pid), 0)
		return fmt.Sprint(limit, nice, cpus, class.Policy, io)
	}
	before := state()
	inEach(t, func(t *testing.T, s Sandbox) {
		for _, script := range []string{
			"prlimit --pid %d --core=7:7", "renice -n 5 -p %d", "taskset -p 1 %d", "chrt --idle -p 0 %d", "chrt --batch -p 0 %d", "ionice -c 3 -p %d",
		} {
			output, _ := outputOf(t, s, shell("("+fmt.Sprintf(script, pid)+") 2>&1"))
			if now := state(); now != before {
				t.Errorf("%s: it was %s, and is %s: %s", script, before, now, strings.TrimSpace(output))
			}
		}
		if output, why := outputOf(t, s, shell("prlimit --core=0 true && taskset 1 true && echo its own")); !strings.Contains(output, "its own") {
			t.Errorf("it can't change its own limits: %q %s", output, why)
		}
	})
}

func TestAProgramDoesNotWatchWhatItMayNotRead(t *testing.T) {
	const watch = `perl -e '$f = syscall(%d, 0); exit if $f < 0; exit if syscall(%d, $f, $ARGV[0], 0xfff) < 0; print "watches"' %s`
	if _, err := exec.LookPath("perl"); err != nil {
		t.Skip("NOT TESTED: there is no perl here to make system calls with")
	}
	private := t.TempDir()
	inEach(t, func(t *testing.T, s Sandbox) {
		if output, why := outputOf(t, s, shell(fmt.Sprintf(watch, unix.SYS_INOTIFY_INIT1, unix.SYS_INOTIFY_ADD_WATCH, private))); output != "" || !strings.Contains(why, "status 0") {
			t.Errorf("got %q: %s", output, why)
		}
	})
}
