package egress

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"code.dny.dev/ssrf"
	"golang.org/x/net/idna"
)

// ErrDenied is returned for every destination that the egress policy denies. It names
// none, so that answers don't map a network.
var ErrDenied = errors.New("the egress policy denies this destination")

// forbidden lists what no setting opens: where clouds keep the credentials of their
// instances, and what is not a host.
var forbidden = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"),          // this network; 0.0.0.0 is this machine
	netip.MustParsePrefix("169.254.0.0/16"),     // link-local: metadata of AWS, Azure, Google, Oracle and others
	netip.MustParsePrefix("100.100.100.200/32"), // metadata of Alibaba
	netip.MustParsePrefix("168.63.129.16/32"),   // Azure's host
	netip.MustParsePrefix("192.0.0.192/32"),     // metadata of Oracle, older
	netip.MustParsePrefix("224.0.0.0/4"),        // multicast
	netip.MustParsePrefix("255.255.255.255/32"), // broadcast
	netip.MustParsePrefix("fe80::/10"),          // link-local
	netip.MustParsePrefix("fd00:ec2::254/128"),  // metadata of AWS
	netip.MustParsePrefix("fd20:ce::254/128"),   // metadata of Google
	netip.MustParsePrefix("ff00::/8"),           // multicast
	netip.MustParsePrefix("::/128"),             // unspecified
}

// metadataNames are the names of the same services, which are denied before they are
// resolved.
var metadataNames = []string{
	"metadata", "metadata.google.internal", "metadata.goog",
	"instance-data", "instance-data.ec2.internal", "metadata.azure.com", "metadata.azure.internal",
	"metadata.tencentyun.com", "metadata.packet.net", "metadata.platformequinix.com", "metadata.oraclecloud.com", "rancher-metadata",
}

// guard decides what may be dialled. Its first list is our own and is never
// overridden; ssrf comes second, because there an allowed network overrides every
// denied one.
type guard struct {
	loopback  bool
	ranges    *ssrf.Guardian
	proxy     string // host:port; "" for none
	listeners atomic.Pointer[[]netip.AddrPort]
	dialer    net.Dialer
}

func newGuard(c Config) *guard {
	var v4, v6 []netip.Prefix
	for _, prefix := range c.AllowCIDRs {
		if prefix.Addr().Is4() {
			v4 = append(v4, prefix)
		} else {
			v6 = append(v6, prefix)
		}
	}
	g := &guard{
		loopback: c.AllowLoopback,
		ranges:   ssrf.New(ssrf.WithAnyPort(), ssrf.WithAllowedV4Prefixes(v4...), ssrf.WithAllowedV6Prefixes(v6...)),
	}
	if c.ProxyURL != "" {
		u, _ := url.Parse(c.ProxyURL) // Validate has read it
		g.proxy = net.JoinHostPort(u.Hostname(), strconv.Itoa(int(portOf(u))))
	}
	listeners := slices.Clone(c.DenyAddrs)
	g.listeners.Store(&listeners)
	g.dialer = net.Dialer{Timeout: 10 * time.Second, Control: g.control}
	return g
}

// deny adds a listener of ours.
func (g *guard) deny(listener netip.AddrPort) {
	for {
		old := g.listeners.Load()
		grown := append(slices.Clone(*old), listener)
		if g.listeners.CompareAndSwap(old, &grown) {
			return
		}
	}
}

// dial opens every connection.
func (g *guard) dial(ctx context.Context, network, address string) (net.Conn, error) {
	if g.proxy != "" && address != g.proxy {
		return nil, ErrDenied
	}
	return g.dialer.DialContext(ctx, network, address)
}

// control judges the address that is about to be dialled, after its name was
// resolved: a name that resolves differently the second time gains nothing. The
// operator chose the proxy, so only the first list applies to it.
func (g *guard) control(network, address string, _ syscall.RawConn) error {
	destination, err := netip.ParseAddrPort(address)
	if err != nil || network != "tcp4" && network != "tcp6" {
		return ErrDenied
	}
	if g.proxy != "" {
		if isForbidden(plain(destination.Addr())) {
			return ErrDenied
		}
		return nil
	}
	return g.judge(destination)
}

// judge returns ErrDenied when destination, or an IPv4 address that a gateway would
// translate it to, is not allowed.
func (g *guard) judge(destination netip.AddrPort) error {
	if !destination.IsValid() {
		return ErrDenied
	}
	addr := plain(destination.Addr())
	for _, a := range append(embedded(addr), addr) {
		switch {
		case isForbidden(a), g.isOurs(netip.AddrPortFrom(a, destination.Port())):
			return ErrDenied
		case a.IsLoopback():
			if !g.loopback {
				return ErrDenied
			}
		case g.ranges.SafeAddr(a) != nil:
			return ErrDenied
		}
	}
	return nil
}

// judgeURL judges a URL before its name is resolved. With a proxy this is all, since
// the proxy resolves names.
func (g *guard) judgeURL(u *url.URL) error {
	host := strings.ToLower(strings.TrimRight(u.Hostname(), "."))
	if strings.ContainsFunc(host, func(r rune) bool { return r >= 0x80 }) {
		ascii, err := idna.Lookup.ToASCII(host)
		if err != nil {
			return ErrDenied
		}
		host = strings.TrimRight(ascii, ".")
	}
	if addr, err := netip.ParseAddr(host); err == nil {
		return g.judge(netip.AddrPortFrom(addr, portOf(u)))
	}
	if host == "" || slices.Contains(metadataNames, host) {
		return ErrDenied
	}
	if g.proxy == "" {
		return nil
	}
	if isLocalName := host == "localhost" || strings.HasSuffix(host, ".localhost"); isLocalName && !g.loopback || isNumeric(host) {
		return ErrDenied
	}
	return nil
}

func isForbidden(addr netip.Addr) bool {
	return slices.ContainsFunc(forbidden, func(p netip.Prefix) bool { return p.Contains(addr) })
}

// isOurs reports whether a listener of ours answers at destination.
func (g *guard) isOurs(destination netip.AddrPort) bool {
	return slices.ContainsFunc(*g.listeners.Load(), func(l netip.AddrPort) bool {
		if l.Port() != destination.Port() {
			return false
		}
		if here := plain(l.Addr()); !here.IsUnspecified() {
			return here == destination.Addr()
		}
		return destination.Addr().IsLoopback() || isThisMachine(destination.Addr())
	})
}

// isThisMachine reports whether addr is one of an interface of this machine. When the
// interfaces are unknown, it is.
func isThisMachine(addr netip.Addr) bool {
	interfaces, err := net.InterfaceAddrs()
	if err != nil {
		return true
	}
	return slices.ContainsFunc(interfaces, func(a net.Addr) bool {
		prefix, err := netip.ParsePrefix(a.String())
		return err == nil && plain(prefix.Addr()) == addr
	})
}

// plain removes what does not change where an address leads: the zone, with which no
// prefix contains it, and the IPv6 form of an IPv4 address.
func plain(addr netip.Addr) netip.Addr { return addr.WithZone("").Unmap() }

// embedded returns the IPv4 addresses that translators and tunnels read in an
// IPv6 address.
func embedded(addr netip.Addr) []netip.Addr {
	if !addr.Is6() || addr.IsLoopback() || addr.IsUnspecified() {
		return nil
	}
	b := addr.As16()
	v4 := func(p, q, r, s byte) netip.Addr { return netip.AddrFrom4([4]byte{p, q, r, s}) }
	last := v4(b[12], b[13], b[14], b[15])
	var found []netip.Addr
	for prefix, embeds := range map[string]netip.Addr{
		"::/96":           last,                                               // IPv4-compatible (RFC 4291, 2.5.5.1)
		"::ffff:0:0:0/96": last,                                               // IPv4-translated (RFC 2765)
		"64:ff9b::/96":    last,                                               // NAT64 (RFC 6052)
		"64:ff9b:1::/48":  last,                                               // NAT64 of one's own, /96 (RFC 8215)
		"2002::/16":       v4(b[2], b[3], b[4], b[5]),                         // 6to4 (RFC 3056)
		"2001::/32":       v4(b[12]^0xff, b[13]^0xff, b[14]^0xff, b[15]^0xff), // Teredo (RFC 4380), the client
	} {
		if netip.MustParsePrefix(prefix).Contains(addr) {
			found = append(found, embeds)
		}
	}
	if netip.MustParsePrefix("64:ff9b:1::/48").Contains(addr) {
		found = append(found, v4(b[6], b[7], b[9], b[10])) // the same with a /48 (RFC 6052, 2.2)
	}
	if b[8]&^2 == 0 && b[9] == 0 && b[10] == 0x5e && b[11] == 0xfe {
		found = append(found, last) // ISATAP (RFC 5214)
	}
	return found
}

// isNumeric reports whether some resolvers read a host as an IPv4 address, such as
// 2130706433 or 0x7f.1: its last label is a number.
func isNumeric(host string) bool {
	label := host[strings.LastIndexByte(host, '.')+1:]
	_, err := strconv.ParseUint(label, 0, 64)
	return err == nil || label != "" && strings.Trim(label, "0123456789") == ""
}

func portOf(u *url.URL) uint16 {
	if port, err := strconv.ParseUint(u.Port(), 10, 16); err == nil {
		return uint16(port)
	}
	if u.Scheme == "https" {
		return 443
	}
	return 80
}
