package connectors

import (
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

func TestADeniedDestinationIsReportedAlwaysAlikeAndNothingConnects(t *testing.T) {
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
	const denied = "The destination is not allowed by the egress policy of this service, or there is no host of that name. An operator allows this machine with --egress-allow-loopback and a private network with --egress-allow-cidr."
	strict := registry(t, Config{})
	errors := map[string]bool{}
	for _, base := range []string{
		"http://" + listener.Addr().String(), strings.Replace("http://"+listener.Addr().String(), "127.0.0.1", "localhost", 1),
		"http://169.254.169.254/latest", "http://metadata.google.internal", "http://[::1]:9", "http://10.0.0.1", "https://[fe80::1%25lo]/",
		"http://no-such-host.invalid", // else the answers would list the names of a network
	} {
		c := signedBy(calling(base, nil, nil), domain.Auth{Type: domain.BearerToken}, canary)
		errors[failsWith(t, strict, c, domain.CallBlockedDestination).Error] = true
		p := strict.Probe(t.Context(), c.Integration, c.Keyring)
		if p.Status != domain.Misconfigured || p.Message != denied {
			t.Errorf("the probe of %s came to %s: %s", base, p.Status, p.Message)
		}
	}
	if len(errors) != 1 || !errors[denied] {
		t.Errorf("denied destinations can be distinguished: %v", errors)
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
		if late.caller.client.Judge(&url.URL{Scheme: "http", Host: addr}) == nil {
			t.Errorf("%s is a listener of ours on every address, and is let through", addr)
		}
	}
	if e := late.caller.client.Judge(&url.URL{Scheme: "http", Host: "127.0.0.1:60009"}); e != nil {
		t.Error("a listener of someone else is denied")
	}
}

func TestAProxyIsUsedOnlyWhenItIsConfigured(t *testing.T) {
	var through atomic.Value
	proxy := startUpstream(t, func(w http.ResponseWriter, r *http.Request) {
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
