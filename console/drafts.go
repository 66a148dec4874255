package console

import (
	"crypto/rand"
	"encoding/json"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// draft is an integration that is being connected.
type draft struct {
	By    string // the id of the key that began it
	Begun time.Time

	size atomic.Int64 // what weigh noted

	mu       sync.Mutex
	Into     string // the integration that gets the endpoints; "": a new one
	Protocol string
	URL      string // base_url, or mcp_url
	Source   string // the member of a discovery that describes the API: openapi, openapi_url, curl, …; "": the upstream is asked
	Document string
	Tried    []attempt
	Auth     map[string]string // the settings of the sign-in, without secrets
	secrets  []byte            // sealed
	Hidden   []string          // fields of which a secret is kept
	Name     string
	Display  string
	Offers   map[string]json.RawMessage // endpoints that were offered, by name
	Ticked   []string
}

// attempt is a step of finding out what is at an address.
type attempt struct {
	What string
	OK   bool
	Text string
}

// Found reports whether something was found at the address, or in what was pasted.
func (d *draft) Found() bool {
	return slices.ContainsFunc(d.Tried, func(a attempt) bool { return a.OK })
}

// weigh notes how much memory the draft takes. Its lock is held.
func (d *draft) weigh() {
	n := len(d.Document) + len(d.secrets) + 1024
	for _, raw := range d.Offers {
		n += len(raw)
	}
	d.size.Store(int64(n))
}

// drafts are integrations that are being connected. They hold no secrets; what they hold belongs
// to the key that began them.
type drafts struct {
	mu  sync.Mutex
	all map[string]*draft
}

const (
	maxDrafts     = 200 // of this process
	maxDraftBytes = 64 << 20
	draftFor      = 24 * time.Hour
)

// add keeps a draft.
func (d *drafts) add(one *draft) string {
	one.weigh()
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.all == nil {
		d.all = map[string]*draft{}
	}
	id := rand.Text()
	d.all[id] = one
	d.trim()
	return id
}

// grown makes room after a draft has grown. The draft's own lock may be held.
func (d *drafts) grown() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.trim()
}

// trim drops the oldest drafts where there is no room for all.
func (d *drafts) trim() {
	for {
		total, oldest := int64(0), ""
		for id, one := range d.all {
			if total += one.size.Load(); oldest == "" || one.Begun.Before(d.all[oldest].Begun) {
				oldest = id
			}
		}
		if len(d.all) <= maxDrafts && total <= maxDraftBytes {
			return
		}
		delete(d.all, oldest)
	}
}

// get returns the draft with an id, if that key began it.
func (d *drafts) get(id, key string, now time.Time) (*draft, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	one := d.all[id]
	if one == nil || one.By != key || now.Sub(one.Begun) > draftFor {
		return nil, false
	}
	return one, true
}

func (d *drafts) drop(id string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.all, id)
}
