package listen

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

// checkEvery is how often the files of a certificate are read at most: at a handshake.
const checkEvery = time.Second

// certificate is read from its files again when they change, so that a renewal needs no
// restart.
type certificate struct {
	certFile, keyFile string
	loaded            func(until time.Time) // may be nil
	log               *slog.Logger

	mu       sync.Mutex
	current  *tls.Certificate
	cert     []byte // what current was made of
	key      []byte
	checked  time.Time
	reported string // the last failure that was logged
}

func newCertificate(certFile, keyFile string, loaded func(until time.Time), log *slog.Logger) (*certificate, error) {
	c := &certificate{certFile: certFile, keyFile: keyFile, loaded: loaded, log: log}
	if err := c.load(); err != nil {
		return nil, err
	}
	return c, nil
}

// get returns the certificate for a handshake. While the files can't be read, it is the
// last one that could.
func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now() //nolint:forbidigo // measures a duration
	if now.Sub(c.checked) < checkEvery {
		return c.current, nil
	}
	c.checked = now
	switch err := c.load(); {
	case err == nil:
		c.reported = ""
	case err.Error() != c.reported:
		c.reported = err.Error()
		c.log.Error("the TLS certificate was not reloaded; the previous one stays in use", slog.Any("err", err), slog.Time("valid_until", c.current.Leaf.NotAfter))
	}
	return c.current, nil
}

// load reads the files, and makes them the current certificate if they have changed.
func (c *certificate) load() error {
	cert, err := os.ReadFile(c.certFile)
	if err != nil {
		return fmt.Errorf("--tls-cert: %w", err)
	}
	key, err := os.ReadFile(c.keyFile)
	if err != nil {
		return fmt.Errorf("--tls-key: %w", err)
	}
	if c.current != nil && bytes.Equal(cert, c.cert) && bytes.Equal(key, c.key) {
		return nil
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return fmt.Errorf("--tls-cert, --tls-key: %w", err)
	}
	c.current, c.cert, c.key = &pair, cert, key
	if c.loaded != nil {
		c.loaded(pair.Leaf.NotAfter)
	}
	c.log.Info("TLS certificate", slog.Any("names", pair.Leaf.DNSNames), slog.Time("valid_until", pair.Leaf.NotAfter))
	return nil
}
