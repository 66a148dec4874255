package main

import (
	"context"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"

	"github.com/seed677028b5/integrations/internal/natsconn"
)

// nodeName returns the name of this machine as a token of a NATS subject.
func nodeName() string {
	name, err := os.Hostname()
	if err != nil {
		return ""
	}
	return strings.Map(func(r rune) rune {
		if r == '.' || r == '*' || r == '>' || r <= ' ' {
			return '-'
		}
		return r
	}, name)
}

// listeners returns the addresses of this process, of its stores and of what else it reports to,
// which no integration may call. The servers behind a mongodb+srv URI are not known here.
func listeners(ctx context.Context, l net.Listener, conn *natsconn.Conn, stores []string) []netip.AddrPort {
	var own []netip.AddrPort
	if tcp, ok := l.Addr().(*net.TCPAddr); ok {
		own = append(own, tcp.AddrPort())
	}
	for _, hostPort := range append(conn.HostPorts(), stores...) {
		host, port, err := net.SplitHostPort(hostPort)
		if err != nil {
			continue
		}
		number, err := strconv.ParseUint(port, 10, 16)
		if err != nil {
			continue
		}
		addrs, _ := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
		for _, addr := range addrs {
			own = append(own, netip.AddrPortFrom(addr.Unmap(), uint16(number)))
		}
	}
	return own
}

// mongoHostPorts returns the addresses in a MongoDB URI.
func mongoHostPorts(uri string) []string {
	_, rest, _ := strings.Cut(uri, "://")
	rest, _, _ = strings.Cut(rest, "/")
	if at := strings.LastIndexByte(rest, '@'); at >= 0 {
		rest = rest[at+1:]
	}
	var all []string
	for server := range strings.SplitSeq(rest, ",") {
		if _, _, err := net.SplitHostPort(server); err != nil {
			server = net.JoinHostPort(strings.Trim(server, "[]"), "27017")
		}
		all = append(all, server)
	}
	return all
}
