package sandbox

import (
	"fmt"
	"runtime"
	"slices"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Where the parts of a system call stand (seccomp(2), struct seccomp_data).
const (
	atNumber = 0
	atArch   = 4
	atFirst  = 16 // the low half of its first argument
	atSecond = 24 // and of its second
	argument = 8  // from one argument to the next
)

// refused returns the system calls that a program has no need of and that Landlock has
// no right for: to change what it can't open, to make namespaces of its own, and to
// reach the kernel's own stores. Without privileges most of them fail anyway; a
// program that is the owner of a file needs none.
func refused() []uint32 {
	return append([]uint32{
		unix.SYS_FCHMODAT, unix.SYS_FCHMODAT2, unix.SYS_FCHOWN, unix.SYS_FCHOWNAT, unix.SYS_UTIMENSAT,
		unix.SYS_SETXATTR, unix.SYS_LSETXATTR, unix.SYS_FSETXATTR, unix.SYS_REMOVEXATTR, unix.SYS_LREMOVEXATTR, unix.SYS_FREMOVEXATTR,
		setxattrat, removexattrat, fileSetattr,
		unix.SYS_UNSHARE, unix.SYS_SETNS, unix.SYS_CHROOT, unix.SYS_PIVOT_ROOT, unix.SYS_MOUNT, unix.SYS_UMOUNT2, unix.SYS_MOVE_MOUNT, unix.SYS_OPEN_TREE,
		openTreeAttr, unix.SYS_FSOPEN, unix.SYS_FSCONFIG, unix.SYS_FSMOUNT, unix.SYS_FSPICK, unix.SYS_MOUNT_SETATTR, unix.SYS_OPEN_BY_HANDLE_AT, unix.SYS_NAME_TO_HANDLE_AT,
		unix.SYS_ADD_KEY, unix.SYS_REQUEST_KEY, unix.SYS_KEYCTL, unix.SYS_BPF, unix.SYS_PERF_EVENT_OPEN, unix.SYS_USERFAULTFD, unix.SYS_FANOTIFY_INIT,
		unix.SYS_PTRACE, unix.SYS_PROCESS_VM_READV, unix.SYS_PROCESS_VM_WRITEV, unix.SYS_PIDFD_GETFD, unix.SYS_KCMP,
		unix.SYS_SHMGET, unix.SYS_SEMGET, unix.SYS_MSGGET, unix.SYS_MQ_OPEN, // they outlive the process that creates them
		unix.SYS_IO_URING_SETUP, // it opens sockets as well
		unix.SYS_SWAPON, unix.SYS_SWAPOFF, unix.SYS_REBOOT, unix.SYS_KEXEC_LOAD, unix.SYS_INIT_MODULE, unix.SYS_FINIT_MODULE, unix.SYS_DELETE_MODULE,
		unix.SYS_ACCT, unix.SYS_QUOTACTL, unix.SYS_QUOTACTL_FD, unix.SYS_SETHOSTNAME, unix.SYS_SETDOMAINNAME, unix.SYS_SYSLOG, unix.SYS_SETTIMEOFDAY, unix.SYS_CLOCK_SETTIME,
	}, refusedHere...)
}

// ignored are those that return success and do nothing: Node calls fchmod on
// each file that it copies, and fails where that is refused.
var ignored = []uint32{unix.SYS_FCHMOD}

// absent are those that look as if the kernel had not got them, so that a program
// does without: memory that no limit sees, and a clone whose flags no filter sees.
var absent = []uint32{unix.SYS_MEMFD_CREATE, unix.SYS_MEMFD_SECRET, unix.SYS_CLONE3}

// watches are absent where paths are not hidden: Landlock lets a program watch a folder
// that it can't read, and see the name and the time of every change in it.
func watches() []uint32 { return append([]uint32{unix.SYS_INOTIFY_INIT1}, watchesHere...) }

// A limited system call is allowed with these values of its first arguments only.
type limited struct {
	call   uint32
	values []uint32
}

// ofItself are the calls that change the limits and the priority of a process: those of the
// calling one only (0), since Landlock lets a program change those of every process of its
// user, such as this service.
var ofItself = []limited{
	{unix.SYS_PRLIMIT64, []uint32{0}},
	{unix.SYS_SCHED_SETAFFINITY, []uint32{0}},
	{unix.SYS_SCHED_SETSCHEDULER, []uint32{0}},
	{unix.SYS_SCHED_SETPARAM, []uint32{0}},
	{unix.SYS_SCHED_SETATTR, []uint32{0}},
	{unix.SYS_SETPRIORITY, []uint32{unix.PRIO_PROCESS, 0}},
	{unix.SYS_IOPRIO_SET, []uint32{ofProcess, 0}},
}

const ofProcess = 1 // IOPRIO_WHO_PROCESS

// System calls that are newer than the library's list. They have one number
// everywhere.
const (
	setxattrat    = 463
	removexattrat = 466
	openTreeAttr  = 467
	fileSetattr   = 469
)

// namespaces are the flags of clone that make one.
const namespaces = unix.CLONE_NEWUSER | unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWNET | unix.CLONE_NEWIPC | unix.CLONE_NEWUTS | unix.CLONE_NEWCGROUP

// The requests of ioctl that change a file that is open for reading only, or type
// into a terminal.
var refusedRequests = []uint32{unix.FS_IOC_SETFLAGS, fsSetXattr, unix.TIOCSTI, tiocLinux}

const (
	fsSetXattr = 0x401c5820 // FS_IOC_FSSETXATTR
	tiocLinux  = 0x541c     // TIOCLINUX
)

// callFilter has the kernel refuse the system calls that paths and Landlock
// don't cover, and the sockets: all of them where there is to be no network, else
// all but those of the internet, since a socket of Unix leads to other programs of
// this machine. In a sandbox that hides no paths a program can't watch them either.
func callFilter(network, hides bool) ([]unix.SockFilter, error) {
	arch, known := map[string]uint32{"amd64": unix.AUDIT_ARCH_X86_64, "arm64": unix.AUDIT_ARCH_AARCH64}[runtime.GOARCH]
	if !known {
		return nil, fmt.Errorf("no filter of system calls is known for %s", runtime.GOARCH)
	}
	load := func(at uint32) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: at}
	}
	unlike := func(k uint32, skip uint8) unix.SockFilter { // skips that number of instructions where it is something else
		return unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: k, Jf: skip}
	}
	give := func(what uint32) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: what}
	}
	allow := give(unix.SECCOMP_RET_ALLOW)
	refuse := give(unix.SECCOMP_RET_ERRNO | uint32(unix.EACCES))
	filter := []unix.SockFilter{
		load(atArch),
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: arch, Jt: 1},
		give(unix.SECCOMP_RET_KILL_PROCESS),
		load(atNumber),
		{Code: unix.BPF_JMP | unix.BPF_JGE | unix.BPF_K, K: 1 << 30, Jf: 1}, // the numbers of x32, which mean the same
		refuse,
	}
	for _, call := range refused() {
		filter = append(filter, unlike(call, 1), give(unix.SECCOMP_RET_ERRNO|uint32(unix.EPERM)))
	}
	for _, call := range ignored {
		filter = append(filter, unlike(call, 1), give(unix.SECCOMP_RET_ERRNO))
	}
	missing := absent
	if !hides {
		missing = slices.Concat(absent, watches())
	}
	for _, call := range missing {
		filter = append(filter, unlike(call, 1), give(unix.SECCOMP_RET_ERRNO|uint32(unix.ENOSYS)))
	}
	for _, l := range ofItself {
		left := uint8(2 * len(l.values)) //nolint:gosec // a few
		filter = append(filter, unlike(l.call, left+2))
		for n, value := range l.values {
			left -= 2
			filter = append(filter, load(atFirst+argument*uint32(n)), unlike(value, left+1))
		}
		filter = append(filter, allow, give(unix.SECCOMP_RET_ERRNO|uint32(unix.EPERM)))
	}
	filter = append(filter, unlike(unix.SYS_CLONE, 4), load(atFirst),
		unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JSET | unix.BPF_K, K: namespaces, Jf: 1}, give(unix.SECCOMP_RET_ERRNO|uint32(unix.EPERM)), allow)
	filter = append(filter, unlike(unix.SYS_IOCTL, uint8(2*len(refusedRequests)+2)), load(atSecond)) //nolint:gosec // a few
	for _, request := range refusedRequests {
		filter = append(filter, unlike(request, 1), give(unix.SECCOMP_RET_ERRNO|uint32(unix.EPERM)))
	}
	filter = append(filter, allow)
	filter = append(filter, unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: unix.SYS_SOCKET, Jt: 1}, allow)
	if network {
		filter = append(filter, load(atFirst))
		for _, family := range []uint32{unix.AF_INET, unix.AF_INET6, unix.AF_NETLINK} {
			filter = append(filter, unlike(family, 1), allow)
		}
	}
	return append(filter, refuse), nil
}

// filtered applies the filter to this thread and what it becomes. It has given
// up new privileges before.
func filtered(filter []unix.SockFilter) error {
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}                                                            //nolint:gosec // it has a few hundred lines
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
