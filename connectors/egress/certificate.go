package egress

import (
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"slices"
	"sync"
)

// ClientCertificate is a certificate with its private key, which TLS presents to an
// upstream that asks for one (RFC 8705).
type ClientCertificate struct {
	ID string // the same for the same owner, certificate and key only
	tls.Certificate
}

// NewClientCertificate returns a chain of certificates, that of the client first, with its
// private key.
func NewClientCertificate(id string, chain []*x509.Certificate, key crypto.Signer) *ClientCertificate {
	c := &ClientCertificate{ID: id, Certificate: tls.Certificate{PrivateKey: key, Leaf: chain[0]}}
	for _, one := range chain {
		c.Certificate.Certificate = append(c.Certificate.Certificate, one.Raw)
	}
	return c
}

// maxCertified bounds the transports that present a certificate. The one that was used
// first is closed for another.
const maxCertified = 64

// certified holds a transport for each certificate: a connection that was opened with one
// must carry no other's requests.
type certified struct {
	mu         sync.Mutex
	transports []certifiedTransport // the last used one last
}

type certifiedTransport struct {
	id        string
	transport *http.Transport
}

// With returns a client of the same policy that presents a certificate; c itself for nil.
func (c *Client) With(certificate *ClientCertificate) *Client {
	if certificate == nil {
		return c
	}
	other := *c
	other.has, other.transport = true, c.certified.transport(c.transport, certificate)
	return &other
}

func (p *certified) transport(like *http.Transport, certificate *ClientCertificate) *http.Transport {
	p.mu.Lock()
	defer p.mu.Unlock()
	if at := slices.IndexFunc(p.transports, func(t certifiedTransport) bool { return t.id == certificate.ID }); at >= 0 {
		found := p.transports[at]
		p.transports = append(slices.Delete(p.transports, at, at+1), found)
		return found.transport
	}
	if len(p.transports) >= maxCertified {
		p.transports[0].transport.CloseIdleConnections()
		p.transports = slices.Delete(p.transports, 0, 1)
	}
	transport := like.Clone()
	transport.TLSClientConfig.GetClientCertificate = presentCertificate(&certificate.Certificate)
	p.transports = append(p.transports, certifiedTransport{certificate.ID, transport})
	return transport
}
