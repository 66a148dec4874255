package connectors

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/seed677028b5/integrations/connectors/callerror"
	"github.com/seed677028b5/integrations/connectors/egress"
	"github.com/seed677028b5/integrations/connectors/scrub"
	"github.com/seed677028b5/integrations/connectors/upstream"
	"github.com/seed677028b5/integrations/domain"
)

// probing gathers what a probe sees.
type probing struct {
	caller   *caller
	seen     domain.Probe
	auth     *domain.Auth
	scrubber scrub.Scrubber
	start    time.Time

	challenged bool // nobody has signed in, so the request goes without a token
}

func newProbing(c *caller, a *domain.Auth) *probing {
	return &probing{
		caller: c, seen: domain.Probe{At: c.now(), AuthResolved: a == nil}, auth: a,
		start: time.Now(), //nolint:forbidigo // a duration is measured, nothing is decided by it
	}
}

// unsigned reports whether a request may go without its token, because nobody has signed
// in: the upstream's challenge is then all that a probe looks for. A subject's tokens are
// never used for it.
func (p *probing) unsigned(e *callerror.Error) bool {
	p.challenged = e.Code == domain.CallAuthorizationRequired
	if p.challenged {
		p.seen.AuthResolved = false
		p.step("resolve_auth", "No token of the workspace itself: "+e.Sentence)
	}
	return p.challenged
}

// isChallenge reports whether a status is what an upstream answers to a request without a
// token.
func (p *probing) isChallenge(status int) bool {
	return p.challenged && (status == http.StatusUnauthorized || status == http.StatusForbidden)
}

// needsSignIn ends the probe of an upstream that waits for somebody to sign in.
func (p *probing) needsSignIn(step string, status int) domain.Probe {
	return p.healthy(step, fmt.Sprintf("The upstream was reached and answered %d: it waits for somebody to sign in.", status))
}

// signed notes that r carries its credentials, which nothing may show from here on.
func (p *probing) signed(r *request) { p.signedWith(r, p.credentials(r)) }

// signedWith is signed with another detail.
func (p *probing) signedWith(r *request, detail string) {
	p.scrubber = r.Request.Scrubber()
	p.seen.AuthResolved = true
	p.step("resolve_auth", detail)
}

func (p *probing) credentials(r *request) string {
	switch {
	case p.auth == nil:
		return "No credentials are configured."
	case r.credential != nil && r.credential.Detail != "":
		return r.credential.Detail
	}
	return fmt.Sprintf("The credentials for %s are ready.", p.auth.Type)
}

// send makes one attempt, and another one where the credential had to be renewed.
func (p *probing) send(ctx context.Context, r *request, attempt func() (int, *callerror.Error)) *callerror.Error {
	_, e := p.caller.attempts.Run(ctx, r.credential, domain.RetryConfig{}, func() upstream.Outcome {
		status, e := attempt()
		return upstream.Outcome{Status: status, Err: e}
	}, upstream.Once)
	p.scrubber = r.Request.Scrubber()
	if r.credential.Failed() {
		p.seen.AuthResolved = false
	}
	return e
}

// head sends r and returns the answer without its body.
func (p *probing) head(ctx context.Context, r *request) (got egress.Answer, e *callerror.Error) {
	e = p.send(ctx, r, func() (_ int, e *callerror.Error) {
		got, e = p.caller.client.Head(ctx, r.Request)
		return got.Status, e
	})
	return got, e
}

// step notes a step that succeeded.
func (p *probing) step(name, detail string) {
	p.seen.Steps = append(p.seen.Steps, domain.ProbeStep{Name: name, OK: true, Detail: p.scrubber.Text(detail)})
}

// failed ends the probe in a step that failed. Where this service had no room for it,
// the probe has no status: nothing was seen.
func (p *probing) failed(step string, e *callerror.Error) domain.Probe {
	sentence := e.Shown(p.scrubber)
	p.seen.Steps = append(p.seen.Steps, domain.ProbeStep{Name: step, Detail: sentence})
	if e.Local {
		return p.end("", sentence)
	}
	return p.end(probeStatus(e.Code), sentence)
}

// healthy ends the probe in its last step.
func (p *probing) healthy(step, message string) domain.Probe {
	p.step(step, message)
	return p.end(domain.Healthy, p.scrubber.Text(message))
}

func (p *probing) end(status domain.ProbeStatus, message string) domain.Probe {
	p.seen.Status, p.seen.Message, p.seen.Duration = status, message, time.Since(p.start)
	return p.seen
}

// unhealthy returns the error of an answer that a probe got, nil for a good one. A 401 is
// good where no credentials are configured: the upstream is there. A redirect is not, since
// no call follows it. A rate limit shows nothing about the credentials.
func unhealthy(got egress.Answer, signed bool, expected int) *callerror.Error {
	e := got.Error()
	switch {
	case e != nil && e.Code == domain.CallAuthFailed && signed:
		return e
	case got.Status >= 500:
		return &callerror.Error{Code: domain.CallUnreachable, Sentence: e.Sentence}
	case got.Status == expected:
		return nil
	case callerror.IsRedirect(got.Status):
		return &callerror.Error{Code: domain.CallMisconfigured, Sentence: e.Sentence}
	case expected != 0 && e != nil && e.Limited:
		return e
	case expected != 0:
		return callerror.Misconfigured("The upstream answered %d, and the health check expects %d.", got.Status, expected)
	}
	return nil
}

// warning returns what a caller should know of an answer with which the upstream was
// reached, but not used: a sentence that follows another, or nothing.
func warning(got egress.Answer, expected int, signed bool) string {
	status, e := got.Status, got.Error()
	switch {
	case status == expected:
		return ""
	case e != nil && e.Limited:
		return " Its rate limit is used up, so nothing is known about the credentials."
	case (status == http.StatusUnauthorized || status == http.StatusForbidden) && !signed:
		return " The upstream was reached and asks for credentials: configure auth."
	case status == http.StatusNotFound || status == http.StatusGone:
		return " The upstream was reached and has nothing at this path: check base_url, or configure a health check."
	}
	return ""
}

// probeStatus returns the status of a probe that failed with code.
func probeStatus(code domain.ErrorCode) domain.ProbeStatus {
	switch code {
	case domain.CallAuthFailed, domain.CallAuthorizationRequired:
		return domain.AuthFailed
	case domain.CallTimeout:
		return domain.Timeout
	case domain.CallSSLError:
		return domain.SSLError
	case domain.CallMisconfigured, domain.CallBlockedDestination:
		return domain.Misconfigured
	case domain.CallUnreachable, domain.CallUpstreamError, domain.CallToolError, domain.CallResponseTooLarge, domain.CallApprovalRequired:
	}
	return domain.Unreachable
}
