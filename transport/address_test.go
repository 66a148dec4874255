package transport

import (
	"net/http"
	"net/netip"
	"testing"
)

func TestTheAddressOfACaller(t *testing.T) {
	networks := []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16"), netip.MustParsePrefix("fd00::/8")}
	for name, c := range map[string]struct {
		from, header, want string
		values             []string
	}{
		"a caller who is no proxy can't claim another": {"192.0.2.1:1", XForwardedFor, "192.0.2.1", []string{"8.8.8.8"}},
		"a proxy reports the caller":                   {"10.1.0.1:1", XForwardedFor, "192.0.2.9", []string{"192.0.2.9"}},
		"what the caller sent itself stands before":    {"10.1.0.1:1", XForwardedFor, "192.0.2.9", []string{"8.8.8.8, 192.0.2.9"}},
		"two proxies": {"10.1.0.1:1", XForwardedFor, "192.0.2.9", []string{"8.8.8.8, 192.0.2.9, 10.1.0.2"}},
		"two proxies, each with a header of its own": {"10.1.0.1:1", XForwardedFor, "192.0.2.9", []string{"8.8.8.8", "192.0.2.9", "10.1.0.2"}},
		"a caller within the trusted networks":       {"10.1.0.1:1", XForwardedFor, "10.1.0.7", []string{"10.1.0.7"}},
		"a proxy that reports nobody":                {"10.1.0.1:1", XForwardedFor, "10.1.0.1", nil},
		"a proxy that reports what is no address":    {"10.1.0.1:1", XForwardedFor, "10.1.0.1", []string{"192.0.2.9, unknown"}},
		"with a port":                  {"10.1.0.1:1", XForwardedFor, "192.0.2.9", []string{"192.0.2.9:4711"}},
		"IPv6":                         {"[fd00::1]:1", XForwardedFor, "2001:db8::1", []string{"2001:db8::1"}},
		"IPv6 with a port":             {"[fd00::1]:1", XForwardedFor, "2001:db8::1", []string{"[2001:db8::1]:4711"}},
		"IPv4 in IPv6":                 {"[::ffff:10.1.0.1]:1", XForwardedFor, "192.0.2.9", []string{"::ffff:192.0.2.9"}},
		"an address with a zone":       {"10.1.0.1:1", XForwardedFor, "10.1.0.1", []string{"fe80::1%eth0"}},
		"Forwarded":                    {"10.1.0.1:1", Forwarded, "192.0.2.9", []string{`for=8.8.8.8, for="192.0.2.9:80";proto=https;by=10.1.0.2, For=10.1.0.2`}},
		"Forwarded with IPv6":          {"10.1.0.1:1", Forwarded, "2001:db8::1", []string{`proto=https; for="[2001:db8::1]"`}},
		"Forwarded with a hidden name": {"10.1.0.1:1", Forwarded, "10.1.0.2", []string{`for=_hidden, for=10.1.0.2`}},
		"a header that the proxies don't set is the caller's own": {"10.1.0.1:1", Forwarded, "10.1.0.1", nil},
	} {
		t.Run(name, func(t *testing.T) {
			r := &http.Request{RemoteAddr: c.from, Header: http.Header{XForwardedFor: {"203.0.113.1"}, Forwarded: {"for=203.0.113.2"}}}
			r.Header[c.header] = c.values
			if got := (Proxies{Networks: networks, Header: c.header}).caller(r); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
			if got := (Proxies{}).caller(r); got != stripPort(c.from) {
				t.Errorf("trusting nobody: got %s", got)
			}
		})
	}
}

func stripPort(address string) string { return netip.MustParseAddrPort(address).Addr().String() }
