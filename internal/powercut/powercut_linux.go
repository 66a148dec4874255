package powercut

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
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

// New makes a disk and mounts it. The test is skipped, and says so, where that
// can't be done: it takes root, loop devices and mkfs.ext4.
func New(t testing.TB) *Disk {
	t.Helper()
	d := &Disk{t: t, image: filepath.Join(t.TempDir(), "disk.img"), dir: filepath.Join(t.TempDir(), "disk")}
	if err := d.make(); err != nil {
		t.Skip("NOT TESTED: no power can be cut on this machine: " + err.Error() + ". It takes root, a free loop device and mkfs.ext4.")
	}
	t.Cleanup(func() {
		if err := d.unmount(); err != nil {
			t.Errorf("%v; the disk is left behind, out of sight", errors.Join(err, unix.Unmount(d.dir, unix.MNT_DETACH)))
		}
	})
	return d
}

// Cut cuts the power. From then on everything on the disk fails, and nothing
// more gets there. The processes that use it have yet to be ended.
func (d *Disk) Cut() {
	d.t.Helper()
	if err := d.cut(); err != nil {
		d.t.Fatalf("cut the power: %v", err)
	}
}

// Mount brings the disk back as it is after a cut: the file system replays its
// journal. Every process that used it has to have ended.
func (d *Disk) Mount() {
	d.t.Helper()
	if err := errors.Join(d.unmount(), d.mount()); err != nil {
		d.t.Fatalf("bring the disk back: %v", err)
	}
}

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

func (d *Disk) cut() error {
	root, err := os.Open(d.dir)
	if err != nil {
		return err
	}
	defer root.Close() //nolint:errcheck // nothing was written
	return unix.IoctlSetPointerInt(int(root.Fd()), shutdownRequest, withoutJournal)
}

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
