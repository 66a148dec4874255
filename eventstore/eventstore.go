// Package eventstore keeps the history of every integration in one JetStream stream:
// a subject per integration, a message per event. An event that Append acknowledged
// is on disk, and no two events follow the same one.
package eventstore

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	json "github.com/go-json-experiment/json/v1"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/seed677028b5/integrations/domain"
)

// A DurableFunc reports whether the server syncs to disk before it acknowledges.
type DurableFunc func(context.Context) (bool, error)

// An OthersFunc reports how many connections of other programs the server has accepted since this
// process started, and whether none of them is open. It counts a connection before the connection
// can publish. It also returns a channel that is closed when another one is accepted.
type OthersFunc func() (accepted uint64, none bool, another <-chan struct{})

// Config configures the streams.
type Config struct {
	Replicas      int           // copies of each stream in a cluster; default 1
	AllowLazySync bool          // start even if a power cut could lose acknowledged events; default false
	Durable       DurableFunc   // reports whether the server syncs before it acknowledges; nil: unknown
	Others        OthersFunc    // knows every connection but that of this store; nil: other programs may append at any time
	Node          string        // the name of this process on the canary subject; default "local"
	Timeout       time.Duration // of one request to NATS; default 5 s
}

// Codec returns the codec of the stored events. It decodes them twice as fast as
// encoding/json.
func Codec() domain.Codec {
	return domain.Codec{Unmarshal: func(data []byte, v any) error { return json.Unmarshal(data, v) }}
}

// Store appends to and reads from the streams.
type Store struct {
	nc        *nats.Conn
	js        jetstream.JetStream
	log       jetstream.Stream // INTEGRATIONS
	probes    jetstream.Stream
	claims    jetstream.KeyValue
	leases    jetstream.KeyValue // entries expire unless they are renewed
	positions jetstream.KeyValue // of subscribers
	state     jetstream.KeyValue // the lineage of the log
	lineage   atomic.Pointer[Lineage]
	damage    atomic.Pointer[error] // why changes are refused
	removed   atomic.Pointer[removedPositions]
	holder    atomic.Pointer[string] // the log whose tokens nobody else has, as last read
	highest   highest
	reading   reading
	savedIn   sync.Map // by subscriber, the log of the position saved last
	appends   *group
	appended  appended
	last      lastCommits
	events    keptEvents
	others    OthersFunc // nil: unknown

	storeCalls func(context.Context) error // stores the calls that this process has made; nil: they are
	batchCalls bool                        // the stream of calls accepts batches
	kept       keptCalls
	cache      *messageCache // nil: every reader decodes for itself
	codec      domain.Codec
	persons    Persons       // seals what is stored of persons; nil: it is stored as it is
	requests   chan struct{} // one for each page being read
	canary     string
	required   []string // streams that the service can't run without
	timeout    time.Duration
}

const (
	logName     = "INTEGRATIONS"
	logPrefix   = "integrations."
	probeName   = "PROBES"
	probePrefix = "probes."
	callName    = "CALLS"
	callPrefix  = "calls."
	canaryName  = "CANARY"
	claimBucket = "IDEMPOTENCY"
	leaseBucket = "LEASES"
	readBucket  = "SUBSCRIBERS"
)

func orDefault[T comparable](v, otherwise T) T {
	var zero T
	if v == zero {
		return otherwise
	}
	return v
}

// subject returns the subject of an integration's events.
func subject(prefix string, w domain.Workspace, id domain.ID) string {
	return prefix + string(w) + "." + string(id)
}

// parseSubject is the reverse of subject, and of one that has the key of another aggregate
// below an integration.
func parseSubject(s string) (w domain.Workspace, id domain.ID, key string) {
	parts := strings.Split(s, ".")
	switch len(parts) {
	case 3:
		return domain.Workspace(parts[1]), domain.ID(parts[2]), ""
	case 4:
		return domain.Workspace(parts[1]), domain.ID(parts[2]), parts[3]
	}
	return "", "", ""
}
