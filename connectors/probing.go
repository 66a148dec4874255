package connectors

import (
	"context"
	"time"

	"github.com/seed677028b5/integrations/connectors/scrub"
	"github.com/seed677028b5/integrations/domain"
)

// probing gathers what a probe sees.
type probing struct {
	seen     domain.Probe
	auth     *domain.Auth
	scrubber scrub.Scrubber
	start    time.Time
}

func newProbing(at time.Time, a *domain.Auth) *probing {
	return &probing{
		seen: domain.Probe{At: at, AuthResolved: a == nil}, auth: a,
		start: time.Now(), //nolint:forbidigo // a duration is measured, nothing is decided by it
	}
}

// signed notes that out carries its credentials, which nothing may show from here on.
func (p *probing) signed(out *outgoing) {
	p.scrubber = scrub.New(out.secrets...)
	p.seen.AuthResolved = true
	p.step("resolve_auth", signedWith(p.auth, out))
}

// send sends out, and once more with a fresh token when the upstream refuses
// the one it got. It tells what came of it last.
func (p *probing) send(ctx context.Context, out *outgoing, once func() (int, *fault)) *fault {
	status, f := once()
	again, unrenewed := out.renewed(ctx, status)
	if !again {
		return f
	}
	p.scrubber = scrub.New(out.secrets...)
	if unrenewed != nil {
		p.seen.AuthResolved = false
		return unrenewed
	}
	_, f = once()
	return f
}

// step notes a step that succeeded.
func (p *probing) step(name, detail string) {
	p.seen.Steps = append(p.seen.Steps, domain.ProbeStep{Name: name, OK: true, Detail: p.scrubber.Text(detail)})
}

// failed ends the probe in a step that failed. Where this service had no room for
// it, the probe has no status: nothing was seen.
func (p *probing) failed(step string, f *fault) domain.Probe {
	sentence := f.shown(p.scrubber)
	p.seen.Steps = append(p.seen.Steps, domain.ProbeStep{Name: step, Detail: sentence})
	if f.ours {
		return p.end("", sentence)
	}
	return p.end(probeStatus(f.code), sentence)
}

// healthy ends the probe in a step that proved what it was to prove.
func (p *probing) healthy(step, said string) domain.Probe {
	p.step(step, said)
	return p.end(domain.Healthy, p.scrubber.Text(said))
}

func (p *probing) end(status domain.ProbeStatus, said string) domain.Probe {
	p.seen.Status, p.seen.Message, p.seen.Duration = status, said, time.Since(p.start)
	return p.seen
}
