package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pires/go-proxyproto"
	"github.com/stretchr/testify/require"
)

// writeCertificate writes a self-signed certificate with a serial number, and its key.
func writeCertificate(t *testing.T, folder string, serial int64) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "integrations"}, DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(folder, "tls.pem"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(folder, "tls.key"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}), 0o600))
}

// client returns one that trusts any certificate. Each of its connections is new.
func client(dial func() (net.Conn, error)) *http.Client {
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: true}
	if dial != nil {
		transport.Dial = func(string, string) (net.Conn, error) { return dial() } //nolint:staticcheck // it needs no context
	}
	return &http.Client{Transport: transport}
}

func TestACertificateIsReplacedWithoutARestart(t *testing.T) {
	slow(t)
	folder := t.TempDir()
	writeCertificate(t, folder, 1)
	p := startProcess(t, t.TempDir(), "--tls-cert="+filepath.Join(folder, "tls.pem"), "--tls-key="+filepath.Join(folder, "tls.key"))
	require.True(t, strings.HasPrefix(p.url, "https://"), p.url)
	ask := func() (serial int64, protocol string) {
		c := client(nil)
		defer c.CloseIdleConnections()
		res, err := c.Get(p.url + "/livez")
		require.NoError(t, err)
		defer func() { _ = res.Body.Close() }()
		require.Equal(t, http.StatusOK, res.StatusCode)
		return res.TLS.PeerCertificates[0].SerialNumber.Int64(), res.Proto
	}
	serial, protocol := ask()
	require.EqualValues(t, 1, serial)
	require.Equal(t, "HTTP/2.0", protocol)

	writeCertificate(t, folder, 2)
	require.Eventually(t, func() bool { serial, _ := ask(); return serial == 2 }, time.Minute, 50*time.Millisecond)

	exit, out := tool(t, "healthcheck", "--url", p.url)
	require.Equal(t, 1, exit, out)
	exit, out = tool(t, "healthcheck", "--url", p.url, "--insecure")
	require.Zero(t, exit, out)
	require.Zero(t, p.stop())
}

// addressOf creates an integration through a client, and returns the address that its
// history names.
func (p *process) addressOf(c *http.Client, at, name string, header http.Header) string {
	p.t.Helper()
	ask := func(method, path, body string, want int, answer any) {
		req, err := http.NewRequestWithContext(p.t.Context(), method, at+path, strings.NewReader(body))
		require.NoError(p.t, err)
		req.Header = header.Clone()
		req.Header.Set("Authorization", "Bearer "+p.key)
		req.Header.Set("Content-Type", "application/json")
		res, err := c.Do(req)
		require.NoError(p.t, err)
		defer func() { _ = res.Body.Close() }()
		text, err := io.ReadAll(res.Body)
		require.NoError(p.t, err)
		require.Equal(p.t, want, res.StatusCode, string(text))
		require.NoError(p.t, json.Unmarshal(text, answer))
	}
	var made struct{ ID string }
	ask(http.MethodPost, all, crm(name, "t"), http.StatusCreated, &made)
	var history struct {
		Items []struct {
			Address string `json:"address"`
		} `json:"items"`
	}
	ask(http.MethodGet, all+"/"+made.ID+"/history", "", http.StatusOK, &history)
	require.NotEmpty(p.t, history.Items)
	return history.Items[0].Address
}

func TestTheHistoryNamesTheCallerBehindTwoProxies(t *testing.T) {
	slow(t)
	p := startProcess(t, t.TempDir(), "--trusted-proxies=127.0.0.1/32,192.0.2.0/24")
	service, err := url.Parse(p.url)
	require.NoError(t, err)
	inner := httptest.NewServer(httputil.NewSingleHostReverseProxy(service))
	defer inner.Close()
	innerURL, err := url.Parse(inner.URL)
	require.NoError(t, err)
	outer := httptest.NewServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(innerURL)
		r.Out.Header["X-Forwarded-For"] = append(r.In.Header["X-Forwarded-For"], "198.51.100.7") // as if it had been called from there
	}})
	defer outer.Close()
	require.Equal(t, "198.51.100.7", p.addressOf(http.DefaultClient, outer.URL, "behind-two", http.Header{"X-Forwarded-For": {"8.8.8.8"}}), "and not the forged one")

	exit, out := tool(t, "serve", "--proxy-protocol", "--data", t.TempDir())
	require.Equal(t, 1, exit)
	require.Contains(t, out, "--proxy-protocol needs --trusted-proxies")
}

func TestAForgedAddressIsNotBelieved(t *testing.T) {
	slow(t)
	p := startProcess(t, t.TempDir(), "--trusted-proxies=192.0.2.0/24", "--proxy-protocol")
	require.Equal(t, "127.0.0.1", p.addressOf(http.DefaultClient, p.url, "forged", http.Header{"X-Forwarded-For": {"8.8.8.8"}, "Forwarded": {"for=8.8.8.8"}}))
	_, err := client(p.viaProxyProtocol()).Get(p.url + "/readyz") //nolint:bodyclose // there is no response
	require.Error(t, err, "a connection that names a caller from nobody who may is closed")
}

func TestTheProxyProtocolNamesTheCaller(t *testing.T) {
	slow(t)
	p := startProcess(t, t.TempDir(), "--trusted-proxies=127.0.0.0/8", "--proxy-protocol")
	require.Equal(t, "203.0.113.9", p.addressOf(client(p.viaProxyProtocol()), p.url, "named", http.Header{}))
	_, err := http.Get(p.url + "/readyz") //nolint:bodyclose // there is no response
	require.Error(t, err, "a proxy that names no caller is refused")
}

// viaProxyProtocol connects as a load balancer does for a caller at 203.0.113.9.
func (p *process) viaProxyProtocol() func() (net.Conn, error) {
	at, err := url.Parse(p.url)
	require.NoError(p.t, err)
	return func() (net.Conn, error) {
		conn, err := net.Dial("tcp", at.Host)
		if err != nil {
			return nil, err
		}
		header := proxyproto.HeaderProxyFromAddrs(2, &net.TCPAddr{IP: net.IPv4(203, 0, 113, 9), Port: 4711}, conn.RemoteAddr())
		_, err = header.WriteTo(conn)
		return conn, err
	}
}

func TestProfilesAreServedOnLoopbackOnly(t *testing.T) {
	slow(t)
	exit, out := tool(t, "serve", "--debug-listen=0.0.0.0:0", "--data", t.TempDir())
	require.Equal(t, 1, exit)
	require.Contains(t, out, "must be an address of loopback")

	at := startProcessUntil(t, t.TempDir(), "profiles of this process", "--debug-listen=127.0.0.1:0").url
	res, err := http.Get(at + "goroutine?debug=1")
	require.NoError(t, err)
	defer func() { _ = res.Body.Close() }()
	require.Equal(t, http.StatusOK, res.StatusCode)
	body, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	require.Contains(t, string(body), "goroutine profile")
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, at, http.NoBody)
	require.NoError(t, err)
	req.Host = "attacker.example"
	refused, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer func() { _ = refused.Body.Close() }()
	require.Equal(t, http.StatusMisdirectedRequest, refused.StatusCode)
}
