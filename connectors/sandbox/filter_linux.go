package sandbox

import (
	"fmt"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Where the parts of a system call stand (seccomp(2), struct seccomp_data).
const (
	atNumber = 0
	atArch   = 4
	atFirst  = 16 // the low half of its first argument
)

// socketFilter has the kernel refuse the sockets that paths and Landlock say
// nothing of: all of them where there is to be no network, else all but those of
// the internet, since a socket of Unix leads to other programs of this machine.
func socketFilter(network bool) ([]unix.SockFilter, error) {
	arch, known := map[string]uint32{"amd64": unix.AUDIT_ARCH_X86_64, "arm64": unix.AUDIT_ARCH_AARCH64}[runtime.GOARCH]
	if !known {
		return nil, fmt.Errorf("no filter of system calls is known for %s", runtime.GOARCH)
	}
	load := func(at uint32) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: at}
	}
	unlike := func(k uint32) unix.SockFilter { // skips one where it is something else
		return unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: k, Jf: 1}
	}
	give := func(what uint32) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: what}
	}
	refuse := give(unix.SECCOMP_RET_ERRNO | uint32(unix.EACCES))
	filter := []unix.SockFilter{
		load(atArch),
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: arch, Jt: 1},
		give(unix.SECCOMP_RET_KILL_PROCESS),
		load(atNumber),
		{Code: unix.BPF_JMP | unix.BPF_JGE | unix.BPF_K, K: 1 << 30, Jf: 1}, // the numbers of x32, which mean the same
		refuse,
		unlike(unix.SYS_IO_URING_SETUP), refuse, // it opens sockets as well
		unlike(unix.SYS_PTRACE), refuse,
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: unix.SYS_SOCKET, Jt: 1},
		give(unix.SECCOMP_RET_ALLOW),
	}
	if network {
		filter = append(filter, load(atFirst))
		for _, family := range []uint32{unix.AF_INET, unix.AF_INET6, unix.AF_NETLINK} {
			filter = append(filter, unlike(family), give(unix.SECCOMP_RET_ALLOW))
		}
	}
	return append(filter, refuse), nil
}

// filtered applies the filter to this thread and what it becomes. It has given
// up new privileges before.
func filtered(filter []unix.SockFilter) error {
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}                                                            //nolint:gosec // it has some twenty lines
	if _, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, 0, uintptr(unsafe.Pointer(&program))); errno != 0 { //nolint:gosec // the call takes a pointer
		return fmt.Errorf("filter system calls: %w", errno)
	}
	return nil
}

// inFile returns the filter as a file that bubblewrap reads.
func inFile(filter []unix.SockFilter) (int, error) {
	fd, err := unix.MemfdCreate("filter", 0) // open in what this process becomes
	if err != nil {
		return 0, fmt.Errorf("hold the filter of system calls: %w", err)
	}
	text := unsafe.Slice((*byte)(unsafe.Pointer(&filter[0])), len(filter)*int(unsafe.Sizeof(filter[0]))) //nolint:gosec // the kernel's own form of it
	if _, err := unix.Pwrite(fd, text, 0); err != nil {
		return 0, fmt.Errorf("hold the filter of system calls: %w", err)
	}
	return fd, nil
}
