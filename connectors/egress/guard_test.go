package egress

import (
	"errors"
	"net"
	"net/netip"
	"net/url"
	"testing"
)

// hard lists what no setting opens.
var hard = []string{
	"169.254.169.254", "169.254.0.1", "169.254.170.2", "fe80::1", "fe80::1%eth0", "febf::1", "fd00:ec2::254", "fd20:ce::254", "fd20:ce::254%eth0",
	"100.100.100.200", "168.63.129.16", "192.0.0.192", "224.0.0.1", "239.255.255.250", "ff02::1", "ff02::1%lo", "ff0e::1",
	"0.0.0.0", "0.1.2.3", "::", "::%lo", "255.255.255.255",
	"::ffff:169.254.169.254", "::ffff:100.100.100.200", "::ffff:168.63.129.16", "::ffff:192.0.0.192", "::ffff:0.0.0.0", "::ffff:224.0.0.1",
	"::ffff:169.254.169.254%eth0", "::169.254.169.254", "::ffff:0:a9fe:a9fe",
	"64:ff9b::a9fe:a9fe", "64:ff9b::a83f:8110", "64:ff9b::6464:64c8", "64:ff9b:1::a9fe:a9fe", "64:ff9b:1:a9fe:a9:fe00::",
	"2002:a9fe:a9fe::", "2002:a9fe:a9fe::1", "2002:a83f:8110::1", "2002:6464:64c8::1", "2002:c000:c0::1",
	"2001:0:1234::5601:5601", "2600::5efe:a9fe:a9fe", "2600::200:5efe:a9fe:a9fe",
}

func TestWhatIsNeverDialledStaysClosedWhateverIsAllowed(t *testing.T) {
	everything := []netip.Prefix{
		netip.MustParsePrefix("0.0.0.0/1"), netip.MustParsePrefix("128.0.0.0/1"), netip.MustParsePrefix("::/1"), netip.MustParsePrefix("8000::/1"),
	}
	g := newGuard(Config{AllowLoopback: true, AllowCIDRs: everything})
	for _, addr := range hard {
		destination := netip.AddrPortFrom(netip.MustParseAddr(addr), 80)
		if err := g.judge(destination); !errors.Is(err, ErrDenied) {
			t.Errorf("%s is let through: %v", addr, err)
		}
		network := "tcp4"
		if destination.Addr().Is6() {
			network = "tcp6"
		}
		if err := g.control(network, destination.String(), nil); !errors.Is(err, ErrDenied) {
			t.Errorf("%s is let through when it is dialled: %v", addr, err)
		}
		u := &url.URL{Scheme: "http", Host: net.JoinHostPort(addr, "80")}
		if err := g.judgeURL(u); !errors.Is(err, ErrDenied) {
			t.Errorf("%s is let through as a URL: %v", u, err)
		}
	}
}

func TestOnlyWhatTheOperatorOpenedIsDialled(t *testing.T) {
	private := []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16"), netip.MustParsePrefix("fd12::/16"), netip.MustParsePrefix("64:ff9b::/96")}
	for _, row := range []struct {
		addr                          string
		byDefault, loopback, networks bool
	}{
		{"93.184.215.14", true, true, true},
		{"2606:2800:21f:cb07::1", true, true, true},
		{"::ffff:93.184.215.14", true, true, true},
		{"127.0.0.1", false, true, false},
		{"127.8.9.10", false, true, false},
		{"::1", false, true, false},
		{"::1%lo", false, true, false},
		{"::ffff:127.0.0.1", false, true, false},
		{"10.1.2.3", false, false, true},
		{"::ffff:10.1.2.3", false, false, true},
		{"10.2.0.1", false, false, false},
		{"fd12::1", false, false, true},
		{"fd13::1", false, false, false},
		{"192.168.1.1", false, false, false},
		{"172.16.0.1", false, false, false},
		{"100.64.0.1", false, false, false},
		{"64:ff9b::5db8:d70e", false, false, true}, // a public address behind NAT64
		{"64:ff9b::a01:203", false, false, true},   // 10.1.2.3 behind NAT64
		{"64:ff9b::a02:1", false, false, false},    // 10.2.0.1 behind NAT64
		{"64:ff9b::7f00:1", false, false, false},   // loopback behind NAT64
		{"2002:7f00:1::1", false, false, false},    // loopback by 6to4
		{"2001:db8::1", false, false, false},       // documentation
		{"198.51.100.7", false, false, false},      // documentation
		{"240.0.0.1", false, false, false},         // reserved
	} {
		for name, given := range map[string]struct {
			c    Config
			want bool
		}{
			"by default":                {Config{}, row.byDefault},
			"with loopback allowed":     {Config{AllowLoopback: true}, row.loopback},
			"with its networks allowed": {Config{AllowCIDRs: private}, row.networks},
		} {
			err := newGuard(given.c).judge(netip.AddrPortFrom(netip.MustParseAddr(row.addr), 443))
			if (err == nil) != given.want {
				t.Errorf("%s %s: allowed is %t, want %t", row.addr, name, err == nil, given.want)
			}
		}
	}
}

func TestMetadataNamesAreDeniedBeforeTheyAreResolved(t *testing.T) {
	for _, proxy := range []string{"", "http://127.0.0.1:3128"} {
		g := newGuard(Config{AllowLoopback: true, ProxyURL: proxy})
		for _, host := range []string{
			"metadata", "metadata.google.internal", "METADATA.Google.Internal", "metadata.google.internal.", "instance-data",
			"ｍetadata.google.internal", "metadata。google。internal", "１６９.254.169.254", "169.254.169.254", "[fe80::1%25eth0]", "[::ffff:169.254.169.254]",
		} {
			u, err := url.Parse("http://" + host + ":80/latest")
			if err != nil {
				t.Fatal(err)
			}
			if err := g.judgeURL(u); !errors.Is(err, ErrDenied) {
				t.Errorf("%s is let through (proxy %q)", host, proxy)
			}
		}
	}
}

func TestBehindAProxyTheHostIsJudgedByItsText(t *testing.T) {
	for host, allowed := range map[string]bool{
		"api.example.com": true, "93.184.215.14": true,
		"10.0.0.1": false, "127.0.0.1": false, "localhost": false, "a.localhost": false, "[::1]": false,
		"2130706433": false, "0x7f.1": false, "127.1": false, "0177.0.0.1": false, "169.254.43518": false,
	} {
		u, err := url.Parse("http://" + host + "/")
		if err != nil {
			t.Fatal(err)
		}
		if err := newGuard(Config{ProxyURL: "http://10.9.9.9:3128"}).judgeURL(u); (err == nil) != allowed {
			t.Errorf("%s: allowed is %t, want %t", host, err == nil, allowed)
		}
	}
}
