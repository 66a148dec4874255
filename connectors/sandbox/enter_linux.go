package sandbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// What every program may read: programs, libraries, and how names and
// certificates are looked up here. No folder of data, and nothing of /proc.
var (
	systemDirs = []string{
		"/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/etc/ssl/certs", "/etc/pki/tls/certs", "/etc/pki/ca-trust/extracted", "/etc/ca-certificates", "/etc/alternatives", "/etc/ld.so.conf.d",
	}
	systemFiles = []string{
		"/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.preload", "/etc/resolv.conf", "/etc/hosts", "/etc/host.conf", "/etc/nsswitch.conf",
		"/etc/ssl/openssl.cnf", "/etc/pki/tls/openssl.cnf", "/etc/pki/tls/cert.pem", "/etc/gai.conf", "/etc/gitconfig", "/etc/localtime", "/etc/passwd", "/etc/group",
	}
	devices = []string{"/dev/null", "/dev/zero", "/dev/random", "/dev/urandom"}
)

// enter confines this process and turns it into the program. It sends an error to
// the keeper.
func enter() {
	runtime.LockOSThread() // what confines a thread stays with what it becomes
	syscall.CloseOnExec(3)
	syscall.CloseOnExec(4)
	encoded, err := io.ReadAll(os.NewFile(3, "plan"))
	var p plan
	if err == nil {
		err = json.Unmarshal(encoded, &p)
	}
	if err == nil {
		err = p.enter()
	}
	_, _ = os.NewFile(4, "failure").WriteString(err.Error())
	syscall.Exit(126)
}

// enter returns only when it fails.
func (p plan) enter() error {
	if err := os.Chdir(p.Dir); err != nil {
		return err
	}
	syscall.Umask(0o077)
	path, args := p.Executable, append([]string{p.Executable}, p.Args...)
	filter, err := callFilter(p.Network, p.Kind == bubblewrap)
	if err != nil {
		return err
	}
	if p.Kind == bubblewrap {
		fd, err := inFile(filter)
		if err != nil {
			return err
		}
		path, args = p.Bwrap, append([]string{p.Bwrap, "--seccomp", strconv.Itoa(fd)}, p.bwrapArgs()...)
	} else if err := errors.Join(p.confine(), filtered(filter)); err != nil {
		return err
	}
	if err := p.Limits.set(); err != nil {
		return err
	}
	return fmt.Errorf("%s: %w", path, syscall.Exec(path, args, p.Env)) //nolint:gosec // the operator names the executable
}

// confine takes from this process what the program may not have.
func (p plan) confine() error {
	dropPrivileges()
	return lock([]allowed{
		{access: running, paths: systemDirs, missing: true},
		{access: reading, paths: systemFiles, missing: true},
		{access: changing, paths: devices, missing: true},
		{access: running, paths: append([]string{p.Executable}, p.Read...)},
		{access: changing, paths: append([]string{p.Dir}, p.Write...)},
	}, p.Network)
}

// dropPrivileges gives up what the user root has for being root, also for what
// is executed. Any other user has nothing to give up.
func dropPrivileges() {
	const noRoot = 1<<0 | 1<<1 | 1<<2 | 1<<3 // SECBIT_NOROOT, SECBIT_NO_SETUID_FIXUP, and both locked
	_ = unix.Prctl(unix.PR_SET_SECUREBITS, noRoot, 0, 0, 0)
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var none [2]unix.CapUserData
	_ = unix.Capset(&header, &none[0])
}

// inMemory is which part of its memory a program may have in each file system that
// lies in memory.
const inMemory = 4

// Readable returns the files and folders that every program may read.
func Readable() []string { return slices.Concat(systemDirs, systemFiles) }

// bwrapArgs are the arguments of bubblewrap that are equivalent to confine.
func (p plan) bwrapArgs() []string {
	args := []string{"--unshare-all", "--die-with-parent", "--new-session", "--cap-drop", "ALL"}
	if p.Network {
		args = append(args, "--share-net")
	}
	for _, path := range append(systemDirs, systemFiles...) {
		args = append(args, "--ro-bind-try", path, path)
	}
	// What lies in memory has a size, and counts: the keeper looks at it.
	size := strconv.FormatInt(max(p.Limits.Memory/inMemory, 1<<20), 10)
	args = append(args, "--proc", "/proc", "--dev", "/dev", "--size", size, "--tmpfs", "/dev/shm", "--remount-ro", "/dev", "--size", size, "--tmpfs", "/tmp")
	for _, path := range append([]string{p.Executable}, p.Read...) {
		args = append(args, "--ro-bind", path, path)
	}
	for _, path := range append([]string{p.Dir}, p.Write...) {
		args = append(args, "--bind", path, path)
	}
	args = append(args, "--remount-ro", "/", "--chdir", p.Dir, "--", p.Executable)
	return append(args, p.Args...)
}

// asked is how many times the memory that it may use a process may ask for. V8
// asks for 560 MiB and uses 40: the keeper looks at what is used.
const asked = 4

// set sets the limits of this process and of those it starts.
func (l Limits) set() error {
	cpu := int64(l.CPU.Seconds())
	for _, limit := range []struct {
		of         int
		soft, hard int64
	}{
		{unix.RLIMIT_CORE, 0, 0},
		{unix.RLIMIT_CPU, cpu, cpu + 1},
		{unix.RLIMIT_FSIZE, l.FileSize, l.FileSize},
		{unix.RLIMIT_NOFILE, l.OpenFiles, l.OpenFiles},
		{unix.RLIMIT_NPROC, threads(l.Processes), threads(l.Processes)},
		{unix.RLIMIT_DATA, asked * l.Memory, asked * l.Memory},
	} {
		var now syscall.Rlimit
		if err := syscall.Getrlimit(limit.of, &now); err != nil {
			return fmt.Errorf("read a limit: %w", err)
		}
		hard := min(uint64(limit.hard), now.Max)                             //nolint:gosec // no limit is negative
		set := syscall.Rlimit{Cur: min(uint64(limit.soft), hard), Max: hard} //nolint:gosec // the same
		if err := syscall.Setrlimit(limit.of, &set); err != nil {
			return fmt.Errorf("set a limit: %w", err)
		}
	}
	return nil
}

// threads is a ceiling against a flood of processes between two looks of the
// keeper. The kernel counts all threads of a user, so those that there are come
// on top.
func threads(processes int64) int64 {
	const ofEach = 64
	var present int64
	tasks, _ := filepath.Glob("/proc/[0-9]*/task/[0-9]*")
	for _, task := range tasks {
		var stat syscall.Stat_t
		if syscall.Stat(task, &stat) == nil && int(stat.Uid) == os.Getuid() {
			present++
		}
	}
	return present + ofEach*processes
}
