package connectors

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
	"slices"
	"sync/atomic"
	"syscall"

	"github.com/seed677028b5/integrations/connectors/scrub"
	"github.com/seed677028b5/integrations/domain"
)

// blocked is the one sentence for a destination that the policy denies, and for a
// host name that there is not: were they told apart, the answers would list the
// names of a network that nobody may call.
const blocked = "The destination is not allowed by the egress policy of this service, or there is no host of that name."

// fault is why a call failed: a word for programs, and a sentence of ours that
// quotes neither an answer nor an error of Go's.
type fault struct {
	code     domain.ErrorCode
	sentence string
	unsent   bool // nothing of the request left, so sending it again is safe
	final    bool // sending it again soon can't help
	ours     bool // it says nothing of the upstream: this service had no room

	// own says that the sentence has nothing of an upstream in it that was not
	// scrubbed before, and may have names of the caller's choosing.
	own bool
}

// shown returns the sentence without secrets. What a caller chose stays, since
// what becomes of a guess would tell whether it was right.
func (f *fault) shown(scrubber scrub.Scrubber) string {
	if f.own {
		return f.sentence
	}
	return scrubber.Text(f.sentence)
}

// Error returns the sentence.
func (f *fault) Error() string { return f.sentence }

func misconfigured(format string, args ...any) *fault {
	return &fault{code: domain.CallMisconfigured, sentence: fmt.Sprintf(format, args...), unsent: true, own: true}
}

// progress is how far a request came, as seen by net/http.
type progress struct{ connected, handshakeFailed atomic.Bool }

func (p *progress) watch(ctx context.Context) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(httptrace.GotConnInfo) { p.connected.Store(true) },
		TLSHandshakeDone: func(_ tls.ConnectionState, err error) {
			if err != nil {
				p.handshakeFailed.Store(true)
			}
		},
	})
}

// explain turns the error of a round trip into a fault.
func (p *progress) explain(ctx context.Context, err error) *fault {
	connected := p.connected.Load()
	f := &fault{code: domain.CallUnreachable, unsent: !connected}
	var timeout net.Error
	var unresolved *net.DNSError
	switch {
	case errors.Is(err, errDenied), errors.As(err, &unresolved) && unresolved.IsNotFound:
		f.code, f.sentence = domain.CallBlockedDestination, blocked
	case ctx.Err() != nil:
		f.code, f.sentence = domain.CallTimeout, late(ctx)
	case !connected && isCertificate(err):
		f.code, f.sentence = domain.CallSSLError, explainCertificate(err)
	case errors.Is(err, http.ErrSchemeMismatch):
		f.code, f.sentence = domain.CallSSLError, "The upstream answered a TLS handshake in plain HTTP: check the scheme and the port of the URL."
	case errors.As(err, &timeout) && timeout.Timeout():
		f.code, f.sentence = domain.CallTimeout, "Connecting to the upstream took too long."
	case !connected && p.handshakeFailed.Load():
		f.code, f.sentence = domain.CallSSLError, "The TLS handshake with the upstream failed: it must speak TLS 1.2 or later on this port."
	case !connected:
		f.sentence = explainDial(err)
	case isCut(err):
		f.sentence = "The upstream closed the connection before it had answered."
	default:
		f.code = domain.CallUpstreamError
		f.sentence = fmt.Sprintf("What the upstream answered is not HTTP, or its headers are longer than %d KiB.", maxHeaderBytes>>10)
	}
	return f
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

// late says why ctx is over: in the words of whoever set the limit, if it has
// some.
func late(ctx context.Context) string {
	var limit *fault
	if errors.As(context.Cause(ctx), &limit) {
		return limit.sentence
	}
	if errors.Is(ctx.Err(), context.Canceled) {
		return "The call was cancelled before the upstream had answered."
	}
	return "The upstream did not answer in time."
}

// refusal is the fault of an answer that is not a success, nil for one that is.
func refusal(status int) *fault {
	said := fmt.Sprintf("The upstream answered %d", status)
	if text := http.StatusText(status); text != "" {
		said += " " + text
	}
	switch {
	case status >= 200 && status < 300:
		return nil
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		return &fault{code: domain.CallAuthFailed, sentence: said + ": check the credentials and what they permit."}
	case slices.Contains([]int{301, 302, 303, 307, 308}, status):
		return &fault{code: domain.CallUpstreamError, sentence: said + ": redirects are not followed; configure the final URL."}
	}
	return &fault{code: domain.CallUpstreamError, sentence: said + "."}
}
