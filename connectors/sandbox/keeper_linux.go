package sandbox

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// The names under which this program runs as something else.
const (
	keeperName = "integrations: keeper of a program"
	enterName  = "integrations: a program that is about to be confined"
	trialName  = "integrations: trial of a sandbox"
)

const (
	patience = 500 * time.Millisecond // for a program to end when it is asked, each time
	glances  = 250 * time.Millisecond // between looks at what a program uses
)

// Become is for the first line of main: where this process was started to keep a
// program, or to turn into one, it does that and does not return.
func Become() {
	switch {
	case os.Args[0] == keeperName:
		keep()
	case os.Args[0] == enterName:
		enter()
	case len(os.Args) == 4 && os.Args[1] == trialName:
		try(os.Args[2], os.Args[3])
	default:
		return
	}
	syscall.Exit(0) // at once: nothing is left to be written
}

// keep starts the program and stays beside it, to end it and all it started:
// when its time is over, when it uses too much, when the service asks for it,
// and when the service is gone.
func keep() {
	runtime.LockOSThread() // the program ends with this thread at the latest
	syscall.CloseOnExec(3)
	syscall.CloseOnExec(4)
	control, report := bufio.NewReader(os.NewFile(3, "control")), os.NewFile(4, "report")
	why := "The process that keeps it got no plan of what to start."
	var p plan
	if line, err := control.ReadBytes('\n'); err == nil && json.Unmarshal(line, &p) == nil {
		why = p.keep(control)
		_ = os.RemoveAll(p.Dir)
	}
	_, _ = report.WriteString(why)
}

func (p plan) keep(control io.Reader) string {
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return "Its orphans can't be kept: " + err.Error() + "."
	}
	pid, err := p.begin()
	if err != nil {
		return "It could not be started: " + err.Error() + "."
	}
	silence()
	cut := make(chan struct{})
	go func() {
		defer close(cut)
		_, _ = io.Copy(io.Discard, control)
	}()
	ended, gone := reap(pid)
	over := time.NewTimer(p.Limits.Wall)
	look := time.NewTicker(glances)
	why := ""
	for why == "" {
		select {
		case why = <-ended:
		case <-over.C:
			why = fmt.Sprintf("It ran longer than %s.", p.Limits.Wall)
		case <-look.C:
			why = p.tooMuch()
		case <-cut: // its stdin is closed as well, the signal to end
			why = "It was ended with its session."
			for _, ask := range []syscall.Signal{0, syscall.SIGTERM} {
				_ = syscall.Kill(-pid, ask)
				select {
				case <-ended:
				case <-time.After(patience):
					continue
				}
				break
			}
		}
	}
	for {
		killAll(pid)
		select {
		case <-gone:
			return why
		case <-time.After(time.Millisecond):
		}
	}
}

// begin starts the process that becomes the program.
func (p plan) begin() (pid int, err error) {
	encoded, err := json.Marshal(p)
	if err != nil {
		return 0, err
	}
	planned, planner, err := os.Pipe()
	if err != nil {
		return 0, err
	}
	failed, fail, err := os.Pipe()
	if err != nil {
		return 0, err
	}
	c := again(enterName, []*os.File{os.Stdin, os.Stdout, os.Stderr, planned, fail})
	c.SysProcAttr.Pdeathsig = syscall.SIGKILL
	if err := c.Start(); err != nil {
		return 0, err
	}
	closeAll([]*os.File{planned, fail})
	if _, err := planner.Write(encoded); err != nil {
		return 0, err
	}
	closeAll([]*os.File{planner})
	if why, _ := io.ReadAll(io.LimitReader(failed, MaxStderr)); len(why) > 0 {
		return 0, errors.New(string(why))
	}
	closeAll([]*os.File{failed})
	return c.Process.Pid, nil
}

// silence lets go of the program's pipes, so that they end with it.
func silence() {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	for fd := range 3 {
		if err != nil || unix.Dup3(int(null.Fd()), fd, 0) != nil {
			_ = syscall.Close(fd)
		}
	}
}

// reap takes in everything that ends: it sends on how the program ended, and closes
// gone when nothing is left.
func reap(pid int) (how <-chan string, gone <-chan struct{}) {
	ended, none := make(chan string, 1), make(chan struct{})
	go func() {
		defer close(none)
		for {
			var status syscall.WaitStatus
			one, err := syscall.Wait4(-1, &status, 0, nil)
			switch {
			case errors.Is(err, syscall.EINTR):
			case err != nil:
				return
			case one == pid:
				ended <- explain(status)
			}
		}
	}()
	return ended, none
}

func explain(status syscall.WaitStatus) string {
	ended := status.Signal()
	if !status.Signaled() { // bubblewrap and shells encode it in the status
		if status.ExitStatus() <= 128 {
			return fmt.Sprintf("It ended with status %d.", status.ExitStatus())
		}
		ended = syscall.Signal(status.ExitStatus() - 128)
	}
	if ended == syscall.SIGXCPU {
		return "It used more CPU time than it may."
	}
	return fmt.Sprintf("It was ended by the signal %s.", ended)
}
