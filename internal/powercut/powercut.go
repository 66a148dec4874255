// Package powercut gives a test a disk whose power it can cut.
//
// Its promise: what a program had not synced when the power went is gone, as far
// as it was in the memory of the file system: data that was not written back,
// and files, names and lengths that were not in its journal. What the file
// system had handed to the disk stays, so a disk that lies about flushes is not
// shown by this.
package powercut

import "testing"

// Disk is a file system of its own (ext4 on a loop device, 512 MiB that take
// only what is written) at a folder of the test. It goes away with the test,
// which has to have ended every process with files open there by then.
type Disk struct {
	t     testing.TB
	image string
	dir   string
}

// Dir returns the folder that the disk is mounted at.
func (d *Disk) Dir() string { return d.dir }
