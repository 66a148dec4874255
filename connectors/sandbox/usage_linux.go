package sandbox

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// one is a process as /proc tells it.
type one struct {
	parent int
	rss    int64 // bytes in memory
}

// started returns every process that this one started, and those that they did,
// by the ids of /proc.
func started() map[int]one {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	own, _ := os.Readlink("/proc/self") // another id than ours in a namespace of ours
	self, _ := strconv.Atoi(own)
	all := map[int]one{}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		if seen, ok := readStat(pid); ok {
			all[pid] = seen
		}
	}
	found := map[int]one{}
	for pid, p := range all {
		for at := p.parent; at > 1 || at == self; at = all[at].parent {
			if at == self {
				found[pid] = p
				break
			}
		}
	}
	return found
}

// readStat reads the fields 4 and 24 of a process (proc_pid_stat(5)).
func readStat(pid int) (one, bool) {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return one{}, false
	}
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:])) // from field 3 on
	if len(fields) < 22 {
		return one{}, false
	}
	parent, err := strconv.Atoi(fields[1])
	pages, err2 := strconv.ParseInt(fields[21], 10, 64)
	return one{parent: parent, rss: pages * int64(os.Getpagesize())}, err == nil && err2 == nil
}

// tooMuch says which limit the program is over, all its processes together.
func (p plan) tooMuch() string {
	all, memory := started(), int64(0)
	for _, one := range all {
		memory += one.rss
	}
	most := p.Limits.Processes
	if p.Kind == bubblewrap {
		most += 2 // of its own
	}
	switch {
	case int64(len(all)) > most:
		return fmt.Sprintf("It had more than %d processes.", p.Limits.Processes)
	case memory > p.Limits.Memory:
		return fmt.Sprintf("It used more than %d MiB of memory.", p.Limits.Memory>>20)
	}
	return ""
}

// killAll kills the program's group, and what has left it.
func killAll(group int) {
	if os.Getpid() == 1 { // of a namespace, where there is nothing else
		_ = syscall.Kill(-1, syscall.SIGKILL)
		return
	}
	left := started()
	if len(left) > 0 { // else the group may be someone else's by now
		_ = syscall.Kill(-group, syscall.SIGKILL)
	}
	for pid := range left {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
}
