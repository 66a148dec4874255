package sandbox

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestAProgramCanNotChangeWhatItMayNotReadNorMakeNamespaces(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED: it takes seconds; run without -short")
	}
	private := filepath.Join(t.TempDir(), "root.keyset")
	long := time.Date(2020, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, step := range []error{os.WriteFile(private, []byte("secret"), 0o400), os.Chtimes(private, long, long)} {
		if step != nil {
			t.Fatal(step)
		}
	}
	inEach(t, func(t *testing.T, s Sandbox) {
		for _, script := range []string{
			"chmod 644 " + private, "chmod -R a+r " + filepath.Dir(private), "chown 65534 " + private, "touch -d 2001-01-01 " + private, "setfattr -n user.x -v y " + private,
			"echo x > own && chmod 755 own", "echo x > own && touch -d 2001-01-01 own", "echo x > own && setfattr -n user.x -v y own", "chmod a+r /usr/bin/env", "touch -c -r /usr /usr",
			"unshare --user true", "unshare --user --map-root-user --mount true", "unshare --mount true", "nsenter --mount=/proc/self/ns/mnt true", "nsenter --user=/proc/self/ns/user true", "mount -t tmpfs none .", "umount /proc",
			"chroot . true", "mount --bind / .", "cat " + private, "ls " + filepath.Dir(private), "ls /etc/ssl/private", "cat /etc/shadow",
			"keyctl show @u", "chattr +i own", "ipcmk -M 1000000", "dmesg", "hostname other", "date -s 2001-01-01", "reboot -f",
		} {
			if output, _ := outputOf(t, s, shell("("+script+") >/dev/null 2>&1 && echo done")); strings.Contains(output, "done") {
				t.Errorf("it did: %s", script)
			}
		}
		info, err := os.Stat(private)
		if err != nil || info.Mode().Perm() != 0o400 || !info.ModTime().Equal(long) || info.Sys().(*syscall.Stat_t).Uid != uint32(os.Getuid()) {
			t.Errorf("the file is %v, %v", info, err)
		}
	})
}

func TestWhatAProgramHoldsInFileSystemsInMemoryIsBoundedAndCounts(t *testing.T) {
	var system syscall.Statfs_t
	if syscall.Statfs("/dev/shm", &system) != nil || system.Type != unix.TMPFS_MAGIC {
		t.Skip("NOT TESTED: /dev/shm is no file system in memory here")
	}
	t.Setenv("TMPDIR", "/dev/shm") // where a program's own folder is then
	inEach(t, func(t *testing.T, s Sandbox) {
		c := shell("n=0; while [ $n -lt 60 ]; do head -c 1000000 /dev/zero > f$n; n=$((n+1)); done; sleep 20")
		c.Limits.Memory = 32 << 20
		start := time.Now()
		if _, why := outputOf(t, s, c); !strings.Contains(why, "32 MiB of memory") || time.Since(start) > 15*time.Second {
			t.Errorf("it wrote 60 MB to memory: %s", why)
		}
		if s.kind != bubblewrap {
			return
		}
		c = shell("for f in /tmp/x /dev/shm/x /dev/x /x /usr/x /proc/x; do head -c 900000 /dev/zero > $f && echo $f; done 2>/dev/null; " +
			"for n in 1 2 3 4 5 6 7 8 9; do head -c 1000000 /dev/zero > /tmp/$n || echo full; done 2>/dev/null; sleep 1")
		c.Limits.Memory = 32 << 20
		if output, why := outputOf(t, s, c); !strings.HasPrefix(output, "/tmp/x\n/dev/shm/x\nfull\n") {
			t.Errorf("got %q: %s", output, why)
		}
		c = shell("for d in /tmp /dev/shm; do for n in 1 2 3 4 5 6 7; do head -c 1000000 /dev/zero > $d/$n; done; done; sleep 20")
		c.Limits.Memory = 12 << 20
		if _, why := outputOf(t, s, c); !strings.Contains(why, "12 MiB of memory") {
			t.Errorf("6 MB in two file systems beside a shell: %s", why)
		}
	})
}
