package simulation

import (
	"encoding/binary"
	"hash/fnv"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/seed677028b5/integrations/internal/natsmodel"
)

// network decides on messages. What becomes of a message follows from the seed, from where
// it goes, and from how many went there before, not from what else is sent: so a run
// without some of its steps is much like the one with them.
type network struct {
	seed uint64

	mu    sync.Mutex
	sent  map[string]uint64
	lossy time.Time // until when messages are lost
	slow  time.Time // until when they take long
}

// chance returns numbers for the next thing of a name.
func (n *network) chance(kind, of, to string) *rand.Rand {
	name := kind + " " + of + " " + to
	n.mu.Lock()
	n.sent[name]++
	count := n.sent[name]
	n.mu.Unlock()
	return chance(n.seed, name, count)
}

// chance returns numbers that follow from a seed, a name and a count.
func chance(seed uint64, name string, count uint64) *rand.Rand {
	h := fnv.New64a()
	_, _ = h.Write([]byte(name))
	_, _ = h.Write(binary.LittleEndian.AppendUint64(nil, count))
	return rand.New(rand.NewPCG(seed, h.Sum64()))
}

func (n *network) Request(client, subject string) natsmodel.Fate {
	return n.fate(n.chance("request", client, subject), 6)
}

func (n *network) Reply(client, subject string) natsmodel.Fate {
	r := n.chance("reply", client, subject)
	if strings.HasPrefix(subject, "$JS.CONSUMER.") { // is lost with the connection only
		return n.fate(r, 0)
	}
	return n.fate(r, 18)
}

// fate decides on a message of which some of a hundred are lost while messages are.
func (n *network) fate(r *rand.Rand, lost int) natsmodel.Fate {
	now := time.Now()
	n.mu.Lock()
	lossy, slow := now.Before(n.lossy), now.Before(n.slow)
	n.mu.Unlock()
	f := natsmodel.Fate{After: 50*time.Microsecond + time.Duration(r.Int64N(int64(time.Millisecond)))}
	if r.IntN(20) == 0 {
		f.After += time.Duration(r.Int64N(int64(20 * time.Millisecond)))
	}
	if slow && r.IntN(3) == 0 {
		f.After += time.Duration(r.Int64N(int64(900 * time.Millisecond)))
	}
	f.Lost = lossy && r.IntN(100) < lost
	return f
}

func (n *network) Behind(client, stream string) bool {
	return n.chance("behind", client, stream).IntN(3) > 0
}

// disturb makes messages get lost or take long, until a moment.
func (n *network) disturb(k Kind, until time.Time) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if k == Lossy {
		n.lossy = until
	} else {
		n.slow = until
	}
}

// calm ends all that.
func (n *network) calm() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.lossy, n.slow = time.Time{}, time.Time{}
}
