package powercut

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"time"

	"golang.org/x/sys/unix"
)

const (
	size = 512 << 20

	// The file system stops as if its power had gone (linux/fs.h, and
	// EXT4_GOING_FLAGS_NOLOGFLUSH): not even its journal is written any more.
	shutdownRequest = 0x8004587d
	withoutJournal  = 2
)

func (d *Disk) make() error {
	if os.Geteuid() != 0 {
		return errors.New("this is not root")
	}
	if err := os.WriteFile(d.image, nil, 0o600); err != nil {
		return err
	}
	if err := os.Truncate(d.image, size); err != nil {
		return err
	}
	if out, err := exec.CommandContext(d.t.Context(), "mkfs.ext4", "-q", "-F", d.image).CombinedOutput(); err != nil {
		return fmt.Errorf("mkfs.ext4: %w %s", err, out)
	}
	if err := os.Mkdir(d.dir, 0o700); err != nil {
		return err
	}
	return d.mount()
}

// mount mounts the image through a free loop device. The device is free again as
// soon as nothing is mounted from it.
func (d *Disk) mount() error {
	image, err := os.OpenFile(d.image, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer image.Close() //nolint:errcheck // the device has it open
	device, err := attach(image)
	if err != nil {
		return err
	}
	defer device.Close() //nolint:errcheck // the mount has it open
	if err := unix.Mount(device.Name(), d.dir, "ext4", unix.MS_NODEV|unix.MS_NOSUID, ""); err != nil {
		return fmt.Errorf("mount %s: %w", device.Name(), err)
	}
	return nil
}

// attach returns a loop device that shows the image.
func attach(image *os.File) (*os.File, error) {
	control, err := os.OpenFile("/dev/loop-control", os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer control.Close() //nolint:errcheck // nothing was written
	config := unix.LoopConfig{Fd: uint32(image.Fd()), Info: unix.LoopInfo64{Flags: unix.LO_FLAGS_AUTOCLEAR}}
	for tries := 0; ; tries++ {
		number, err := unix.IoctlRetInt(int(control.Fd()), unix.LOOP_CTL_GET_FREE)
		if err != nil {
			return nil, fmt.Errorf("find a free loop device: %w", err)
		}
		device, err := os.OpenFile(fmt.Sprintf("/dev/loop%d", number), os.O_RDWR, 0)
		if err != nil {
			return nil, err
		}
		if err = unix.IoctlLoopConfigure(int(device.Fd()), &config); err == nil {
			return device, nil
		}
		_ = device.Close()
		if !errors.Is(err, unix.EBUSY) || tries == 20 { // somebody else took it first
			return nil, fmt.Errorf("set up %s: %w", device.Name(), err)
		}
	}
}

func (d *Disk) sync() error { return d.at(unix.Syncfs) }

func (d *Disk) cut() error {
	return d.at(func(fd int) error { return unix.IoctlSetPointerInt(fd, shutdownRequest, withoutJournal) })
}

// at calls do with the root folder of the disk.
func (d *Disk) at(do func(fd int) error) error {
	root, err := os.Open(d.dir)
	if err != nil {
		return err
	}
	defer root.Close() //nolint:errcheck // nothing was written
	return do(int(root.Fd()))
}

// freeze stops a process, and returns when each of its threads stands still. What
// one of them was writing or syncing is done by then.
func freeze(p *os.Process) error {
	if err := p.Signal(unix.SIGSTOP); err != nil {
		return err
	}
	for {
		if err := unix.Waitid(unix.P_PID, p.Pid, nil, unix.WSTOPPED, nil); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// abandon puts a disk that can't be unmounted out of sight.
func (d *Disk) abandon() error { return unix.Unmount(d.dir, unix.MNT_DETACH) }

// unmount waits until what a process that was just killed had open is closed.
func (d *Disk) unmount() error {
	for until := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		err := unix.Unmount(d.dir, 0)
		switch {
		case err == nil || errors.Is(err, unix.EINVAL): // EINVAL: it is not mounted
			return nil
		case !errors.Is(err, unix.EBUSY) || time.Now().After(until):
			return fmt.Errorf("unmount %s: %w", d.dir, err)
		}
	}
}
