package connectors

import (
	"cmp"
	"context"
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/seed677028b5/integrations/connectors/mcp"
	"github.com/seed677028b5/integrations/domain"
)

const (
	maxKept          = 1024             // servers that something is kept of
	maxKeptSessions  = 256              // idle sessions, over all servers
	maxKeptOfOne     = 8                // idle sessions of one server
	maxWarm          = 16               // idle programs, over all workspaces
	maxWarmOf        = 4                // of one workspace, which may run 8
	maxWarmOfOne     = 2                // of one integration
	keptIdle         = time.Minute      // that a session or a program is kept for without use
	agreementRemains = 10 * time.Minute // then a server is asked anew
)

// keptSessions has what calls of MCP servers leave for later ones: what was agreed on,
// sessions that servers opened, and programs. Each belongs to one version of one
// integration, to one subject and to one set of credentials: nobody else gets it. What has
// state is used by one call at a time.
type keptSessions struct {
	now func() time.Time

	mu      sync.Mutex
	servers map[string]*keptServer // by keptKey
	sweep   *time.Timer            // nil: nothing is kept
	closed  bool
}

// keptServer is what is kept of one server.
type keptServer struct {
	owner     domain.Owner
	version   uint64
	agreement *mcp.Agreement // without a session; nil: none
	agreedAt  time.Time
	usedAt    time.Time
	idle      []keptSession // the one that was used last is the last
}

// keptSession is a session, or a program, that no call uses.
type keptSession struct {
	agreement *mcp.Agreement
	server    mcp.Server   // how to end it
	running   *mcp.Running // nil: it is no program
	since     time.Time
	endsAt    time.Time // zero: when it is idle for too long
}

func newKeptSessions(now func() time.Time) *keptSessions {
	return &keptSessions{now: now, servers: map[string]*keptServer{}}
}

// keptKey identifies those that may share a session. An endpoint with headers or credentials
// of its own shares with itself only.
func keptKey(r *request, e domain.Endpoint, subject string) string {
	i, own := r.Integration, ""
	if e.Auth != nil || len(e.Headers) > 0 {
		own = e.Name
	}
	exchange := sha256.New()
	if i.Consents() { // a person may sign in as somebody else
		credentials := r.Request.Credentials()
		_, _ = exchange.Write(credentials[:])
	}
	for _, name := range slices.Sorted(maps.Keys(r.Exchange)) {
		_, _ = fmt.Fprintf(exchange, "%q=%q;", name, r.Exchange[name])
	}
	return fmt.Sprintf("%q %q %d %d %q %q %q %x", i.Workspace, i.ID, i.Incarnation, i.Version, r.Request.URL, own, subject, exchange.Sum(nil))
}

// take returns what a call with a key may resume, the zero value where there is nothing. It
// has until the deadline of the call.
func (k *keptSessions) take(key string, deadline time.Time) keptSession {
	k.mu.Lock()
	defer k.mu.Unlock()
	s := k.servers[key]
	if s == nil {
		return keptSession{}
	}
	s.usedAt = k.now()
	for len(s.idle) > 0 {
		last := s.idle[len(s.idle)-1]
		s.idle = s.idle[:len(s.idle)-1]
		if last.running == nil || last.running.Idle() && deadline.Before(last.endsAt) {
			return last
		}
		last.end()
	}
	if s.agreement != nil && k.now().Sub(s.agreedAt) < agreementRemains {
		return keptSession{agreement: s.agreement}
	}
	return keptSession{}
}

// put keeps what a call leaves, for an integration with a mode.
func (k *keptSessions) put(key string, i domain.Integration, left keptSession) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.closed {
		left.end()
		return
	}
	now := k.now()
	s := k.servers[key]
	if s == nil {
		k.dropOthers(i)
		s = &keptServer{owner: i.Owner(), version: i.Version}
		k.servers[key] = s
	}
	s.usedAt, left.since = now, now
	if left.running == nil && !left.agreement.HasState() {
		s.agreement, s.agreedAt = left.agreement, now
	} else {
		s.idle = append(s.idle, left)
	}
	k.bound(s, i.Workspace)
	if k.sweep == nil {
		k.sweep = time.AfterFunc(keptIdle, k.expire)
	}
}

// forget drops what was agreed on with a server that no longer knows it.
func (k *keptSessions) forget(key string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if s := k.servers[key]; s != nil {
		s.agreement = nil
		k.endAll(s)
	}
}

// dropOthers ends what is kept of other versions of an integration.
func (k *keptSessions) dropOthers(i domain.Integration) {
	for key, s := range k.servers {
		if s.owner == i.Owner() && s.version != i.Version {
			k.endAll(s)
			delete(k.servers, key)
		}
	}
}

// bound ends what is more than may be kept, what was used longest ago first.
func (k *keptSessions) bound(s *keptServer, w domain.Workspace) {
	isProgram := func(one keptSession) bool { return one.running != nil }
	limit := maxKeptOfOne
	if slices.ContainsFunc(s.idle, isProgram) {
		limit = maxWarmOfOne
	}
	for len(s.idle) > limit {
		s.idle[0].end()
		s.idle = s.idle[1:]
	}
	k.endOver(maxWarmOf, func(o *keptServer, one keptSession) bool { return isProgram(one) && o.owner.Workspace == w })
	k.endOver(maxWarm, func(_ *keptServer, one keptSession) bool { return isProgram(one) })
	k.endOver(maxKeptSessions, func(*keptServer, keptSession) bool { return true })
	for len(k.servers) > maxKept {
		key, oldest := "", (*keptServer)(nil)
		for at, o := range k.servers {
			if oldest == nil || o.usedAt.Before(oldest.usedAt) {
				key, oldest = at, o
			}
		}
		k.endAll(oldest)
		delete(k.servers, key)
	}
}

// endOver ends idle sessions of some until there are no more than a limit.
func (k *keptSessions) endOver(limit int, which func(*keptServer, keptSession) bool) {
	n := 0
	for _, s := range k.servers {
		for _, one := range s.idle {
			if which(s, one) {
				n++
			}
		}
	}
	for ; n > limit; n-- {
		k.endOldest(which)
	}
}

// endOldest ends the idle session of some that was used longest ago, and reports whether
// there was one.
func (k *keptSessions) endOldest(which func(*keptServer, keptSession) bool) bool {
	var of *keptServer
	at := -1
	for _, s := range k.servers {
		for n, one := range s.idle {
			if which(s, one) && (of == nil || one.since.Before(of.idle[at].since)) {
				of, at = s, n
			}
		}
	}
	if of == nil {
		return false
	}
	of.idle[at].end()
	of.idle = slices.Delete(of.idle, at, at+1)
	return true
}

// makeRoom ends an idle program, of a workspace if it has one, so that another can start. It
// reports whether there was one.
func (k *keptSessions) makeRoom(w domain.Workspace) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.endOldest(func(s *keptServer, one keptSession) bool { return one.running != nil && s.owner.Workspace == w }) ||
		k.endOldest(func(_ *keptServer, one keptSession) bool { return one.running != nil })
}

// expire ends what is idle for too long.
func (k *keptSessions) expire() {
	k.mu.Lock()
	defer k.mu.Unlock()
	now := k.now()
	for key, s := range k.servers {
		s.idle = slices.DeleteFunc(s.idle, func(one keptSession) bool {
			over := now.Sub(one.since) >= keptIdle || one.running != nil && !one.running.Idle()
			if over {
				one.end()
			}
			return over
		})
		if len(s.idle) == 0 && (s.agreement == nil || now.Sub(s.agreedAt) >= agreementRemains) {
			delete(k.servers, key)
		}
	}
	k.sweep = nil
	if len(k.servers) > 0 && !k.closed {
		k.sweep = time.AfterFunc(keptIdle/4, k.expire)
	}
}

// close ends everything that is kept, and keeps nothing any more.
func (k *keptSessions) close() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.closed = true
	if k.sweep != nil {
		k.sweep.Stop()
	}
	for _, s := range k.servers {
		k.endAll(s)
	}
	clear(k.servers)
}

func (*keptSessions) endAll(s *keptServer) {
	for _, one := range s.idle {
		one.end()
	}
	s.idle = nil
}

// end ends a session, and returns at once.
func (s keptSession) end() {
	switch {
	case s.running != nil:
		s.running.End()
	case s.agreement != nil && s.agreement.HasState():
		go s.agreement.End(context.Background(), s.server)
	}
}

// of returns what of a session with an integration is kept.
func (s keptSession) of(i domain.Integration) keptSession {
	mode := cmp.Or(i.MCPSession, domain.SessionAuto)
	switch {
	case s.agreement == nil || mode == domain.SessionPerCall || i.MCPTransport == domain.SSE:
		return keptSession{}
	case s.running == nil && s.agreement.HasState() && mode == domain.SessionAuto:
		return keptSession{agreement: s.agreement.Version()}
	}
	return s
}
