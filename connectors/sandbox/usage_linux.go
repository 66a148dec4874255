package sandbox

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// one is a process as /proc describes it.
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

// tooMuch returns the limit that the program is over, all its processes together.
func (p plan) tooMuch() string {
	all, memory := started(), onTmpfs(append([]string{p.Dir}, p.Write...), p.Limits.Memory)
	seen := map[uint64]bool{} // file systems
	for pid, one := range all {
		memory += one.rss
		if p.Kind == bubblewrap {
			memory += usedIn(pid, seen)
		}
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

// usedIn returns how many bytes of memory the file systems of a process's own take,
// each counted once.
func usedIn(pid int, seen map[uint64]bool) int64 {
	var used int64
	for _, folder := range []string{"/tmp", "/dev/shm"} {
		path := "/proc/" + strconv.Itoa(pid) + "/root" + folder
		var stat syscall.Stat_t
		var system syscall.Statfs_t
		if syscall.Stat(path, &stat) != nil || seen[stat.Dev] || syscall.Statfs(path, &system) != nil || system.Type != unix.TMPFS_MAGIC {
			continue
		}
		if host, err := os.Stat(folder); err == nil {
			if own, ok := host.Sys().(*syscall.Stat_t); ok && own.Dev == stat.Dev { // bubblewrap has not made its own yet
				continue
			}
		}
		seen[stat.Dev] = true
		used += int64(system.Blocks-system.Bfree) * system.Bsize //nolint:gosec // of a few MiB
	}
	return used
}

// mostEntries is how many files and folders are looked at, each time.
const mostEntries = 20_000

// onTmpfs returns how many bytes the files in those folders take that lie in
// memory, until they are more than most. More of them than can be looked at are
// too many.
func onTmpfs(folders []string, most int64) int64 {
	var used int64
	entries := 0
	for _, folder := range folders {
		var system syscall.Statfs_t
		if syscall.Statfs(folder, &system) != nil || system.Type != unix.TMPFS_MAGIC {
			continue
		}
		_ = filepath.WalkDir(folder, func(_ string, entry fs.DirEntry, err error) error {
			if err != nil {
				return nil //nolint:nilerr // gone meanwhile
			}
			if info, err := entry.Info(); err == nil {
				if stat, ok := info.Sys().(*syscall.Stat_t); ok {
					used += 512 * stat.Blocks
				}
			}
			if entries++; entries > mostEntries {
				used = most + 1
			}
			if used > most {
				return fs.SkipAll
			}
			return nil
		})
	}
	return used
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
