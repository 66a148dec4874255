package transport

import (
	"crypto/rand"
	"encoding/hex"
)

// newTraceParent begins a trace, for a request that belongs to none (W3C Trace Context, 3.2).
// It is not sampled: nothing here reports it.
func newTraceParent() string {
	var ids [24]byte
	_, _ = rand.Read(ids[:]) // never fails
	return "00-" + hex.EncodeToString(ids[:16]) + "-" + hex.EncodeToString(ids[16:]) + "-00"
}
