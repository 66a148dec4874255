package listen

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"log/slog"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// write writes a self-signed certificate with a serial number, and its key.
func write(t *testing.T, certFile, keyFile string, serial int64) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(serial), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for file, block := range map[string]*pem.Block{certFile: {Type: "CERTIFICATE", Bytes: der}, keyFile: {Type: "PRIVATE KEY", Bytes: pkcs8}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestACertificateThatCantBeReadReplacesNone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		certFile, keyFile := filepath.Join(t.TempDir(), "tls.pem"), filepath.Join(t.TempDir(), "tls.key")
		var log bytes.Buffer
		write(t, certFile, keyFile, 1)
		loaded := 0
		c, err := newCertificate(certFile, keyFile, func(until time.Time) {
			loaded++
			if !until.After(time.Now()) {
				t.Errorf("the certificate is valid until %s", until)
			}
		}, slog.New(slog.NewTextHandler(&log, nil)))
		if err != nil {
			t.Fatal(err)
		}
		serves := func(want int64) {
			t.Helper()
			time.Sleep(checkEvery)
			got, err := c.get(nil)
			if err != nil || got.Leaf.SerialNumber.Int64() != want {
				t.Fatalf("serves %v (%v), want %d", got.Leaf.SerialNumber, err, want)
			}
		}
		serves(1)
		write(t, certFile, filepath.Join(t.TempDir(), "elsewhere"), 2) // the key is not there yet
		serves(1)
		serves(1)
		if n := strings.Count(log.String(), "the previous one stays in use"); n != 1 {
			t.Errorf("the failure was logged %d times:\n%s", n, &log)
		}
		if err := os.Remove(certFile); err != nil {
			t.Fatal(err)
		}
		serves(1)
		write(t, certFile, keyFile, 3)
		serves(3)
		write(t, certFile, keyFile, 4)
		if got, _ := c.get(nil); got.Leaf.SerialNumber.Int64() != 3 {
			t.Error("the files are read more often than once a second")
		}
		serves(4)
		if loaded != 3 {
			t.Errorf("%d certificates were reported, want 3", loaded)
		}
	})
}

func TestAServiceWithoutACertificateDoesNotStart(t *testing.T) {
	folder := t.TempDir()
	certFile, keyFile := filepath.Join(folder, "tls.pem"), filepath.Join(folder, "tls.key")
	write(t, certFile, filepath.Join(folder, "other.key"), 1)
	write(t, filepath.Join(folder, "other.pem"), keyFile, 2)
	for want, c := range map[string]Config{
		"--tls-cert: ":            {CertFile: filepath.Join(folder, "none.pem"), KeyFile: keyFile},
		"--tls-key: ":             {CertFile: certFile, KeyFile: filepath.Join(folder, "none.key")},
		"--tls-cert, --tls-key: ": {CertFile: certFile, KeyFile: keyFile},
	} {
		c.Address, c.Log = "127.0.0.1:0", slog.New(slog.DiscardHandler)
		if _, err := c.Listen(t.Context(), nil); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("got %v, want %s…", err, want)
		}
	}
}
