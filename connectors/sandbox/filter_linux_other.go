//go:build linux && !amd64

package sandbox

// These are empty: newer architectures have no older names of system calls.
var refusedHere, watchesHere []uint32
