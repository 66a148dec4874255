package egress

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"
	"syscall"

	"github.com/seed677028b5/integrations/connectors/callerror"
	"github.com/seed677028b5/integrations/domain"
)

// denied is the one sentence for a destination that the policy denies, and for a
// host name that does not exist: with two, the answers would list the names of a
// network that nobody may call.
const denied = "The destination is not allowed by the egress policy of this service, or there is no host of that name. An operator allows this machine with --egress-allow-loopback and a private network with --egress-allow-cidr."

// progress is how far net/http has come with a request.
type progress struct {
	connected, handshakeFailed atomic.Bool
	wantsCertificate           atomic.Bool // the upstream asked for a client certificate
	hasCertificate             bool        // the request has one
}

// progressKey is the key of a request's progress in its context.
type progressKey struct{}

func (p *progress) watch(ctx context.Context) context.Context {
	ctx = context.WithValue(ctx, progressKey{}, p)
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(httptrace.GotConnInfo) { p.connected.Store(true) },
		TLSHandshakeDone: func(_ tls.ConnectionState, err error) {
			if err != nil {
				p.handshakeFailed.Store(true)
			}
		},
	})
}

// explain returns the call error of a round trip that ended with err.
func (p *progress) explain(ctx context.Context, err error) *callerror.Error {
	connected := p.connected.Load()
	e := &callerror.Error{Code: domain.CallUnreachable, Unsent: !connected, Cause: err}
	var timeout net.Error
	var unresolved *net.DNSError
	var refused proxyError
	switch {
	case errors.Is(err, ErrDenied), errors.As(err, &unresolved) && unresolved.IsNotFound:
		e.Code, e.Sentence = domain.CallBlockedDestination, denied
	case ctx.Err() != nil:
		e.Code, e.Sentence = domain.CallTimeout, callerror.Timeout(ctx).Sentence
	case isAlert(err, alertCertificateRequired), p.wantsCertificate.Load() && isAlert(err):
		e.Code, e.Sentence, e.Unsent = domain.CallSSLError, explainWanted(p.hasCertificate), true
	case p.wantsCertificate.Load() && isCut(err): // a reset may overtake the alert
		e.Code, e.Sentence = domain.CallSSLError, "The upstream closed the connection before it had answered. "+explainWanted(p.hasCertificate)
	case errors.As(err, &refused):
		return &callerror.Error{Code: domain.CallUnreachable, Sentence: refused.Error(), Unsent: true, Final: true, Cause: err}
	case isAlert(err):
		e.Code, e.Sentence = domain.CallSSLError, "The upstream ended the TLS handshake with an alert: it does not accept how this service speaks TLS."
	case !connected && isCertificate(err):
		e.Code, e.Sentence = domain.CallSSLError, explainCertificate(err)
	case errors.Is(err, http.ErrSchemeMismatch):
		e.Code, e.Sentence = domain.CallSSLError, "The upstream answered a TLS handshake in plain HTTP: check the scheme and the port of the URL."
	case errors.As(err, &timeout) && timeout.Timeout():
		e.Code, e.Sentence = domain.CallTimeout, "Connecting to the upstream took too long."
	case !connected && p.handshakeFailed.Load():
		e.Code, e.Sentence = domain.CallSSLError, "The TLS handshake with the upstream failed: it must speak TLS 1.2 or later on this port."
	case !connected:
		e.Sentence = explainDial(err)
	case isCut(err):
		e.Sentence = "The upstream closed the connection before it had answered."
	default:
		e.Code = domain.CallUpstreamError
		e.Sentence = fmt.Sprintf("What the upstream answered is not HTTP, or its headers are longer than %d KiB.", maxHeaderBytes>>10)
	}
	return e
}

func explainDial(err error) string {
	var unresolved *net.DNSError
	switch {
	case errors.As(err, &unresolved):
		return "The host name could not be resolved."
	case errors.Is(err, syscall.ECONNREFUSED):
		return "The upstream refused the connection: nothing listens on that port."
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return "There is no route to the upstream."
	}
	return "No connection to the upstream could be made."
}

func isCertificate(err error) bool {
	var verification *tls.CertificateVerificationError
	return errors.As(err, &verification)
}

func explainCertificate(err error) string {
	var (
		unknown  x509.UnknownAuthorityError
		hostname x509.HostnameError
		invalid  x509.CertificateInvalidError
	)
	switch {
	case errors.As(err, &unknown):
		return "The upstream's certificate is signed by an authority that is not trusted here."
	case errors.As(err, &hostname):
		return "The upstream's certificate is not for the host that was called."
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "The upstream's certificate has expired or is not valid yet."
	}
	return "The upstream's certificate is not valid."
}

// isCut reports whether a connection ended in the middle.
func isCut(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) || errors.Is(err, net.ErrClosed)
}
