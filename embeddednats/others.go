package embeddednats

import (
	"crypto/subtle"
	"net"
	"slices"
	"sync"

	"github.com/nats-io/nats-server/v2/server"
)

// password is the password of the one user.
type password string

// authentication lets in who has the password, and counts the connections of other programs.
type authentication struct {
	password password
	others   *others
}

// Check implements server.Authentication. A client can publish nothing before it returns.
func (a authentication) Check(c server.ClientAuthentication) bool {
	given := c.GetOpts()
	if given.Username != user || subtle.ConstantTimeCompare([]byte(given.Password), []byte(a.password)) != 1 {
		return false
	}
	if _, network := c.RemoteAddress().(*net.TCPAddr); network {
		a.others.add(c)
	}
	return true
}

// others counts the connections that come over the network: those of other programs, such as a tool
// that is attached to a running service. Connections inside the process are not among them.
type others struct {
	mu       sync.Mutex
	accepted uint64
	open     []server.ClientAuthentication
	another  chan struct{} // is closed when another one is accepted; nil: nobody waits for that
}

func (o *others) add(c server.ClientAuthentication) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.accepted++
	o.open = append(o.open, c)
	if o.another != nil {
		close(o.another)
		o.another = nil
	}
}

// Others returns how many connections of other programs the server has accepted since the process
// started, whether none of them is open any more, and a channel that is closed when another one is
// accepted. It is an eventstore.OthersFunc.
func (s *Server) Others() (accepted uint64, none bool, another <-chan struct{}) {
	o := &s.others
	o.mu.Lock()
	defer o.mu.Unlock()
	o.open = slices.DeleteFunc(o.open, func(c server.ClientAuthentication) bool { return c.RemoteAddress() == nil }) // it is closed
	if o.another == nil {
		o.another = make(chan struct{})
	}
	return o.accepted, len(o.open) == 0, o.another
}
