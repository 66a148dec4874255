// Package powercut gives a test a disk whose power it can cut.
//
// Its promise: what a program had not synced when the power went is gone, as far
// as it was in the memory of the file system: data that was not written back,
// and files, names and lengths that were not in its journal. What the file
// system had handed to the disk stays, so a disk that lies about flushes is not
// shown by this.
package powercut

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// Disk is a file system of its own (ext4 on a loop device, 512 MiB that take
// only what is written) at a folder of the test. It goes away with the test,
// which has to have ended every process with files open there by then.
type Disk struct {
	t     testing.TB
	image string
	dir   string
}

// New makes a disk and mounts it. The test is skipped with a message where that
// can't be done: it takes Linux, root, loop devices and mkfs.ext4.
func New(t testing.TB) *Disk {
	t.Helper()
	d := &Disk{t: t, image: filepath.Join(t.TempDir(), "disk.img"), dir: filepath.Join(t.TempDir(), "disk")}
	if err := d.make(); err != nil {
		t.Skip("NOT TESTED: no power can be cut on this machine: " + err.Error() + ". It takes Linux, root, a free loop device and mkfs.ext4.")
	}
	t.Cleanup(func() {
		if err := d.unmount(); err != nil {
			t.Errorf("the disk is left behind, out of sight: %v", errors.Join(err, d.abandon()))
		}
	})
	return d
}

// Sync writes back all that the file system has in memory, as it does by itself
// from time to time.
func (d *Disk) Sync() {
	d.t.Helper()
	if err := d.sync(); err != nil {
		d.t.Fatalf("sync the disk: %v", err)
	}
}

// Cut cuts the power. From then on everything on the disk fails, and nothing
// more gets there.
//
// The processes, children of the test, stand still before the power goes, so that
// none survives to see it fail and report it. They have yet to be killed.
func (d *Disk) Cut(using ...*os.Process) {
	d.t.Helper()
	for _, p := range using {
		if err := freeze(p); err != nil {
			d.t.Fatalf("stop process %d: %v", p.Pid, err)
		}
	}
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

// Dir returns the folder that the disk is mounted at.
func (d *Disk) Dir() string { return d.dir }
