//go:build linux && !amd64

package sandbox

// refusedHere is empty: newer architectures have no older names of system calls.
var refusedHere []uint32
