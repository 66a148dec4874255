// Package transparency proves that a log of events is complete and unchanged: it hashes
// stored messages into a Merkle tree (RFC 6962), signs checkpoints of the tree (C2SP
// tlog-checkpoint), and verifies exports against checkpoints.
//
// Its one promise: a verifier that holds an earlier checkpoint, and nothing else of the
// service, finds every change, loss and reordering up to it. It does no I/O of its own.
package transparency

import "golang.org/x/mod/sumdb/tlog"

// A Hash is a hash of a Merkle tree: SHA-256, as in RFC 6962.
type Hash = tlog.Hash

// Log is the name of a log that has a tree.
type Log string

// The logs. A position in one of them is the index of its leaf plus 1.
const (
	Integrations Log = "integrations" // changes of integrations and authorizations
	Approvals    Log = "approvals"    // calls that somebody decides on
	Calls        Log = "calls"        // calls of upstreams
	Access       Log = "access"       // denied requests and the use of keys
)

// Logs lists them all.
func Logs() []Log { return []Log{Integrations, Approvals, Calls, Access} }

// Expires reports whether messages of the log are deleted after a time. Their hashes stay in
// the tree.
func (l Log) Expires() bool { return l == Calls || l == Access }
