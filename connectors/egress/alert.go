package egress

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"reflect"
)

// alertCertificateRequired is the alert of a server that got no certificate
// (RFC 8446, 6.2).
const alertCertificateRequired = 116

// isAlert reports whether err is a TLS alert of the upstream, one of kinds if any are
// named. With TLS 1.3 the alert comes with the first read of the answer. crypto/tls does
// not export its type.
func isAlert(err error, kinds ...uint64) bool {
	var remote *net.OpError
	if !errors.As(err, &remote) || remote.Op != "remote error" || remote.Err == nil {
		return false
	}
	alert := reflect.ValueOf(remote.Err)
	if alert.Kind() != reflect.Uint8 {
		return false
	}
	for _, kind := range kinds {
		if alert.Uint() == kind {
			return true
		}
	}
	return len(kinds) == 0
}

// explainWanted explains that an upstream asked for a client certificate and broke off.
func explainWanted(given bool) string {
	if given {
		return "The upstream does not accept the client certificate of this integration."
	}
	return "The upstream asks for a client certificate, and this integration has none."
}

// presentCertificate returns the certificate of the client, if it has one, and notes that
// the server asked for it.
func presentCertificate(own *tls.Certificate) func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
	return func(asked *tls.CertificateRequestInfo) (*tls.Certificate, error) {
		if seen, ok := asked.Context().Value(progressKey{}).(*progress); ok {
			seen.wantsCertificate.Store(true)
		}
		if own == nil {
			return &tls.Certificate{}, nil // which sends none
		}
		return own, nil
	}
}

// proxyError is a refusal of the egress proxy, with its status.
type proxyError int

// Error explains the refusal.
func (e proxyError) Error() string {
	answered := fmt.Sprintf("The egress proxy of this service answered %d %s", int(e), http.StatusText(int(e)))
	if e == http.StatusProxyAuthRequired {
		return answered + ": an operator sets its user name and password in --egress-proxy-url."
	}
	return answered + ", so the upstream was not called."
}
