package domain

import (
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"strings"
)

// ReadCertificates reads PEM certificates, that of the client first.
func ReadCertificates(text string) ([]*x509.Certificate, bool) {
	var chain []*x509.Certificate
	rest := []byte(strings.TrimSpace(text))
	for len(rest) > 0 {
		block, more := pem.Decode(rest)
		if block == nil || block.Type != "CERTIFICATE" || len(chain) == 10 {
			return nil, false
		}
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, false
		}
		chain, rest = append(chain, certificate), more
	}
	return chain, len(chain) > 0
}

// certificateChain is the rule for PEM certificates. A private key among them would be
// shown.
func certificateChain(s string) (string, string) {
	if _, ok := ReadCertificates(s); !ok {
		return "certificate_invalid", "must be certificates in PEM, at most 10, that of the client first, and nothing else: the private key is a secret of its own"
	}
	return "", ""
}

// keyOfCertificate is the rule that a string is the private key of a certificate.
func keyOfCertificate(certificate string) rule {
	return func(s string) (string, string) {
		key, err := ReadSigningKey("", s)
		if err != nil {
			return "private_key_invalid", err.Error()
		}
		chain, ok := ReadCertificates(certificate)
		if !ok {
			return "", "" // the certificate has a problem of its own
		}
		public, comparable := chain[0].PublicKey.(interface{ Equal(crypto.PublicKey) bool })
		if !comparable || !public.Equal(key.Public()) {
			return "private_key_invalid", "is not the private key of the certificate"
		}
		return "", ""
	}
}
