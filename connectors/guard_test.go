package connectors

import (
	"errors"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/seed677028b5/integrations/domain"
)

// hard is what no setting opens.
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
		if err := g.judge(destination); !errors.Is(err, errDenied) {
			t.Errorf("%s is let through: %v", addr, err)
		}
		network := "tcp4"
		if destination.Addr().Is6() {
			network = "tcp6"
		}
		if err := g.control(network, destination.String(), nil); !errors.Is(err, errDenied) {
			t.Errorf("%s is let through when it is dialled: %v", addr, err)
		}
		u := &url.URL{Scheme: "http", Host: net.JoinHostPort(addr, "80")}
		if err := g.judgeURL(u); !errors.Is(err, errDenied) {
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
			if err := g.judgeURL(u); !errors.Is(err, errDenied) {
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

func TestADeniedDestinationIsToldAlwaysAlikeAndNothingConnects(t *testing.T) {
	var connections atomic.Int32
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.NotFoundHandler(), ConnState: func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			connections.Add(1)
		}
	}}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close() })
	strict := registry(t, Config{})
	told := map[string]bool{}
	for _, base := range []string{
		"http://" + listener.Addr().String(), strings.Replace("http://"+listener.Addr().String(), "127.0.0.1", "localhost", 1),
		"http://169.254.169.254/latest", "http://metadata.google.internal", "http://[::1]:9", "http://10.0.0.1", "https://[fe80::1%25lo]/",
		"http://no-such-host.invalid", // else the answers would list the names of a network
	} {
		c := signedBy(calling(base, nil, nil), domain.Auth{Type: domain.BearerToken}, canary)
		told[failsWith(t, strict, c, domain.CallBlockedDestination).Error] = true
		p := strict.Probe(t.Context(), c.Integration, c.Keyring)
		if p.Status != domain.Misconfigured || p.Message != blocked {
			t.Errorf("the probe of %s came to %s: %s", base, p.Status, p.Message)
		}
	}
	if len(told) != 1 || !told[blocked] {
		t.Errorf("denied destinations are told apart: %v", told)
	}
	if n := connections.Load(); n != 0 {
		t.Errorf("%d connections were made to a denied destination", n)
	}
}

func TestOurOwnListenersAreNeverDialled(t *testing.T) {
	base := answers(t, 200, `{}`)
	own := netip.MustParseAddrPort(strings.TrimPrefix(base, "http://"))
	failsWith(t, registry(t, Config{AllowLoopback: true, DenyAddrs: []netip.AddrPort{own}}), calling(base, nil, nil), domain.CallBlockedDestination)

	late := onLoopback(t)
	succeeds(t, late, calling(answers(t, 200, `{}`), nil, nil))
	var all sync.WaitGroup
	for port := range uint16(8) {
		all.Go(func() { late.DenyListener(netip.AddrPortFrom(netip.IPv4Unspecified(), 60_000+port)) })
	}
	all.Go(func() { late.DenyListener(netip.AddrPortFrom(netip.IPv6Unspecified(), own.Port())) })
	all.Wait()
	failsWith(t, late, calling(base, nil, nil), domain.CallBlockedDestination)
	for _, addr := range []string{"127.0.0.1:60003", "[::ffff:127.0.0.1]:60003", "127.5.5.5:60007", "[::1]:60000"} {
		if late.guard.judge(netip.MustParseAddrPort(addr)) == nil {
			t.Errorf("%s is a listener of ours on every address, and is let through", addr)
		}
	}
	if err := late.guard.judge(netip.MustParseAddrPort("127.0.0.1:60009")); err != nil {
		t.Error("a listener of someone else is denied")
	}
}

func TestAProxyIsUsedOnlyWhenItIsConfigured(t *testing.T) {
	var through atomic.Value
	proxy := upstream(t, func(w http.ResponseWriter, r *http.Request) {
		through.Store(r.URL.String())
		_, _ = w.Write([]byte(`"from the proxy"`))
	})
	t.Setenv("HTTP_PROXY", proxy)
	base := answers(t, 200, `"direct"`)
	if got := succeeds(t, onLoopback(t), calling(base, nil, nil)); got.FinalResult != "direct" {
		t.Errorf("the environment's proxy answered: %s", got.FinalResult)
	}
	proxied := registry(t, Config{ProxyURL: proxy})
	if got := succeeds(t, proxied, calling("http://api.example.test", nil, nil)); got.FinalResult != "from the proxy" || through.Load() != "http://api.example.test/" {
		t.Errorf("the configured proxy was not used: %s, %v", got.FinalResult, through.Load())
	}
	failsWith(t, proxied, calling(base, nil, nil), domain.CallBlockedDestination)
}

func TestAConfigurationIsRefusedWithAllThatIsWrong(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "roots.pem")
	if err := os.WriteFile(empty, []byte("nothing"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := New(Config{
		AllowCIDRs: []netip.Prefix{{}, netip.MustParsePrefix("0.0.0.0/0")}, DenyAddrs: []netip.AddrPort{{}},
		ProxyURL: "socks5://user:" + canary + "@x", CAFile: empty,
	})
	if err == nil || strings.Count(err.Error(), "\n") != 4 || strings.Contains(err.Error(), canary) {
		t.Errorf("want five problems and no secret, got %v", err)
	}
}

func TestThePolicyIsOneLine(t *testing.T) {
	r := registry(t, Config{AllowLoopback: true, AllowCIDRs: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, ProxyURL: "http://user:pass@127.0.0.1:3128"})
	const want = "egress: public addresses, networks 10.0.0.0/8, loopback; through the proxy http://127.0.0.1:3128; never link-local, metadata services or our own listeners"
	if got := r.Policy(); got != want {
		t.Errorf("got %s", got)
	}
}
