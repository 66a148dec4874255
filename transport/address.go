package transport

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// Headers in which proxies report addresses.
const (
	XForwardedFor = "X-Forwarded-For"
	Forwarded     = "Forwarded" // RFC 7239
)

// maxProxies bounds how many proxies of one request are looked at.
const maxProxies = 32

// Proxies are the load balancers and reverse proxies whose report of a caller's address
// is believed. The zero value believes nobody.
type Proxies struct {
	Networks []netip.Prefix
	Header   string // the one that they set, XForwardedFor or Forwarded; callers choose what is in the other
}

// caller returns the address of the caller. Each proxy appends the address that it was
// called from, so the header is read from its end, as long as that names trusted proxies;
// what stands before is the caller's to choose.
func (p Proxies) caller(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = r.RemoteAddr
	}
	at, err := netip.ParseAddr(host)
	if err != nil || !p.Trust(at) {
		return host
	}
	for _, element := range slices.Backward(p.elements(r)) {
		reported, ok := forwardedAddress(element)
		if !ok { // hidden, or not understood: the last proxy that is known
			break
		}
		at = reported
		if !p.Trust(at) {
			break
		}
	}
	return at.Unmap().String()
}

// Trust reports whether an address is that of such a proxy.
func (p Proxies) Trust(at netip.Addr) bool {
	at = at.Unmap().WithZone("")
	return slices.ContainsFunc(p.Networks, func(n netip.Prefix) bool { return n.Contains(at) })
}

// elements returns the last addresses that the header names, as they are written.
func (p Proxies) elements(r *http.Request) []string {
	all := strings.Split(strings.Join(r.Header.Values(p.Header), ","), ",")
	all = all[max(0, len(all)-maxProxies):]
	if p.Header == Forwarded {
		for i, element := range all {
			all[i] = forwardedFor(element)
		}
	}
	return all
}

// forwardedFor returns the value of for= in an element of Forwarded, "" if it has none.
func forwardedFor(element string) string {
	for pair := range strings.SplitSeq(element, ";") {
		if name, value, _ := strings.Cut(strings.TrimSpace(pair), "="); strings.EqualFold(name, "for") {
			return strings.Trim(value, `"`)
		}
	}
	return ""
}

// forwardedAddress reads an address as proxies write it: with or without a port, IPv6
// with or without brackets.
func forwardedAddress(text string) (netip.Addr, bool) {
	text = strings.TrimSpace(text)
	if at, err := netip.ParseAddrPort(text); err == nil {
		return at.Addr(), true
	}
	at, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(text, "["), "]"))
	return at, err == nil && at.Zone() == ""
}
