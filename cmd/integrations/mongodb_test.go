package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/internal/ferrettest"
)

// certificate returns the files of a certificate for 127.0.0.1 that vouches for
// itself, and of its key.
func certificate(t *testing.T) (certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	signed, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	dir := t.TempDir()
	certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	require.NoError(t, os.WriteFile(certFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: signed}), 0o600))
	require.NoError(t, os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), 0o600))
	return certFile, keyFile
}

func TestTheReadModelIsReachedOverTLS(t *testing.T) {
	slow(t)
	t.Parallel()
	cert, key := certificate(t)
	uri := ferrettest.ListenTLS(t, cert, key)
	p := startProcess(t, t.TempDir(), "--mongodb-uri="+uri+"&tlsCAFile="+url.QueryEscape(cert))
	p.must(http.StatusCreated, http.MethodPost, all, crm("crm", "t"))
	p.must(http.StatusOK, http.MethodGet, all+"/crm", "")

	other, _ := certificate(t)
	for what, flag := range map[string]string{
		"another authority": uri + "&tlsCAFile=" + url.QueryEscape(other),
		"the system's":      uri,
		"no TLS":            strings.ReplaceAll(uri, "tls=true", "tls=false"),
	} {
		exit, out := tool(t, "serve", "--listen=127.0.0.1:0", "--data", t.TempDir(), "--mongodb-uri="+flag)
		require.Equal(t, 1, exit, what)
		if what != "no TLS" {
			require.Contains(t, out, "certificate", what)
		}
	}
	exit, out := tool(t, "serve", "--listen=127.0.0.1:0", "--data", t.TempDir(), "--mongodb-uri="+uri+"&tlsCAFile=/nowhere/ca.pem")
	require.Equal(t, 1, exit)
	require.Contains(t, out, "/nowhere/ca.pem")
}

// What is wrong with a connection string is reported without its password.
func TestThePasswordOfTheReadModelIsNotTold(t *testing.T) {
	host := strings.TrimSuffix(strings.TrimPrefix(ferrettest.Listen(t), "mongodb://"), "/")
	for what, uri := range map[string]string{
		"refused":          "mongodb://integrations:hunter2@" + host + "/",
		"nobody there":     "mongodb://integrations:hunter2@127.0.0.1:1/?serverSelectionTimeoutMS=200",
		"no port":          "mongodb://integrations:hunter2@127.0.0.1:x/",
		"an odd option":    "mongodb://integrations:hunter2@" + host + "/?w=-1",
		"an odd mechanism": "mongodb://integrations:hunter2@" + host + "/?authMechanism=HUNTER",
		"not escaped":      "mongodb://integrations:hunter2/hunter2@" + host + "/",
		"another scheme":   "postgres://integrations:hunter2@" + host + "/",
		"no host":          "mongodb://integrations:hunter2@/",
		"escaped wrongly":  "mongodb://integrations:hunter2%zz@" + host + "/",
	} {
		exit, out := tool(t, "--log-level=debug", "serve", "--listen=127.0.0.1:0", "--data", t.TempDir(), "--mongodb-uri="+uri)
		require.Equal(t, 1, exit, "%s: %s", what, out)
		require.Contains(t, out, "integrations: ", what)
		require.NotContains(t, out, "hunter2", what)
	}
}
