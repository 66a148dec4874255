package sandbox

import "golang.org/x/sys/unix"

// refusedHere are the older names of what is refused.
var refusedHere = []uint32{
	unix.SYS_CHMOD, unix.SYS_CHOWN, unix.SYS_LCHOWN, unix.SYS_UTIME, unix.SYS_UTIMES, unix.SYS_FUTIMESAT, unix.SYS_IOPL, unix.SYS_IOPERM,
	unix.SYS_KEXEC_FILE_LOAD,
}

var watchesHere = []uint32{unix.SYS_INOTIFY_INIT}
