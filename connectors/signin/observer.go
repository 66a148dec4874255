package signin

import (
	"github.com/seed677028b5/integrations/connectors/callerror"
	"github.com/seed677028b5/integrations/domain"
)

// TokenObserver is notified of each request to a token endpoint, its attempts included,
// with the way to sign in and what came of it.
type TokenObserver func(domain.AuthType, domain.CallOutcome)

// Observe sets the observer. It must be called before the first request.
func (a *Authenticator) Observe(o TokenObserver) { a.tokens.observe = o }

// report notifies the observer of a request that ended with e; nil: with a token.
func (o TokenObserver) report(how domain.AuthType, e *callerror.Error) {
	switch {
	case o == nil:
	case e == nil:
		o(how, domain.CallOK)
	default:
		o(how, domain.CallOutcome(e.Code))
	}
}

// reportConsent is report for an answer about a person's consent, whose code may be any
// text of the token endpoint.
func (o TokenObserver) reportConsent(how domain.AuthType, outcome domain.TokenOutcome) {
	if o == nil {
		return
	}
	switch outcome {
	case domain.TokenGranted:
		o(how, domain.CallOK)
	case domain.TokenRefused:
		o(how, domain.CallOutcome(domain.CallAuthFailed))
	case domain.TokenBusy:
		o(how, domain.CallOutcome(domain.CallUpstreamError))
	case domain.TokenNotSent, domain.TokenAnswerLost:
		o(how, domain.CallOutcome(domain.CallUnreachable))
	}
}
