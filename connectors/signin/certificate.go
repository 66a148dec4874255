package signin

import (
	"crypto/sha256"
	"encoding/json"

	"github.com/seed677028b5/integrations/connectors/callerror"
	"github.com/seed677028b5/integrations/connectors/egress"
	"github.com/seed677028b5/integrations/domain"
)

// present has the call, and the request for its token, present the client certificate of
// the auth, if it has one.
func (s *signing) present() *callerror.Error {
	if s.auth.ClientCertificate == "" {
		return nil
	}
	chain, ok := domain.ReadCertificates(s.auth.ClientCertificate)
	if !ok {
		return callerror.Misconfigured("The client_certificate can't be read.")
	}
	text := s.secrets[domain.ClientKeyField].Reveal()
	key, err := domain.ReadSigningKey("", text)
	if err != nil {
		return callerror.Misconfigured("The private key of client_certificate %v.", err)
	}
	identity, _ := json.Marshal([]any{s.Integration.Owner(), s.auth.ClientCertificate, text}) // of texts and a number, which always encode
	sum := sha256.Sum256(identity)
	s.certificate = egress.NewClientCertificate(string(sum[:]), chain, key.Signer)
	s.Request.ClientCertificate = s.certificate
	return nil
}
