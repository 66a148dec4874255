// Package connectors calls the endpoints of integrations, probes integrations, and lists
// what upstreams offer. The packages below it have its parts; other packages import this
// one alone.
//
// Its promise: no connection is opened to a destination that the egress policy denies, no
// answer takes more than bounded time and memory, and nothing it returns holds a secret.
package connectors

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/seed677028b5/integrations/admission"
	"github.com/seed677028b5/integrations/connectors/egress"
	"github.com/seed677028b5/integrations/connectors/jsonschema"
	"github.com/seed677028b5/integrations/connectors/program"
	"github.com/seed677028b5/integrations/connectors/signin"
	"github.com/seed677028b5/integrations/connectors/upstream"
	"github.com/seed677028b5/integrations/domain"
)

// Config is where calls may go, and how. The zero value reaches public addresses only.
type Config struct {
	AllowLoopback bool             // may calls reach this machine's loopback? Default: no
	AllowCIDRs    []netip.Prefix   // private networks that calls may reach. Default: none
	DenyAddrs     []netip.AddrPort // our own listeners, never dialled even when loopback is allowed. Default: none
	ProxyURL      string           // http or https proxy that everything goes through. Default: none, whatever the environment has
	CAFile        string           // PEM file of roots trusted beside the system's. Default: none
	Version       string           // of the product, for User-Agent. Default: dev
	Profiles      []Profile        // programs that MCP integrations may have started. Default: none
	Private       []string         // files and folders that no program may read. Default: none
	Gate          *admission.Gate  // what calls and probes may hold in memory together. Default: no bound
	MaxConcurrent int              // calls to one upstream at once, for each workspace. Default: 64
	Pace          Pace             // waits until a request may be sent to a host. Default: at once
	Pins          Pins             // where secrets were first sent. Default: kept in memory
	Now           func() time.Time // the clock of probes, tokens and Retry-After dates. Default: time.Now
}

// Pins keeps where secrets were first sent, for every process and after a restart.
type Pins = signin.Pins

// Pace waits until a request may be sent to a host. It reports false when that takes too long.
type Pace = upstream.Pace

// Validate reports everything that is wrong with c at once.
func (c Config) Validate() error {
	problems := []error{c.egress().Validate()}
	problems = append(problems, program.Validate(c.Profiles, c.Private)...)
	return errors.Join(problems...)
}

// egress returns the policy in c.
func (c Config) egress() egress.Config {
	return egress.Config{AllowLoopback: c.AllowLoopback, AllowCIDRs: c.AllowCIDRs, DenyAddrs: c.DenyAddrs, ProxyURL: c.ProxyURL, CAFile: c.CAFile, Version: c.Version}
}

// A connector calls and probes the APIs of one protocol.
type connector interface {
	// call is Registry.Call for one protocol.
	call(context.Context, domain.Call) (domain.CallResult, error)
	// probe is Registry.Probe for one protocol.
	probe(context.Context, domain.Integration, domain.Keyring) domain.Probe
}

// Registry finds the connector of an integration. It is safe for concurrent use; all its
// connectors share one client.
type Registry struct {
	config     Config
	caller     *caller
	programs   *program.Pool
	connectors map[domain.Protocol]connector
}

// New returns a Registry. An error is a problem of the configuration.
func New(c Config) (*Registry, error) {
	if err := c.Validate(); err != nil {
		return nil, fmt.Errorf("egress: %w", err)
	}
	if c.Now == nil {
		c.Now = time.Now //nolint:forbidigo // the default that Config names
	}
	client, err := egress.New(c.egress())
	if err != nil {
		return nil, fmt.Errorf("egress: %w", err)
	}
	programs, err := program.NewPool(c.Profiles)
	if err != nil {
		return nil, err
	}
	shared := &caller{
		client: client, auth: signin.New(client, c.Pins, c.Now), upstreams: upstream.NewRegistry(c.MaxConcurrent, c.Pace),
		attempts: upstream.Attempts{FirstWait: firstWait, Now: c.Now}, schemas: jsonschema.NewCache(), now: c.Now,
	}
	return &Registry{
		config: c, caller: shared, programs: programs,
		connectors: map[domain.Protocol]connector{
			domain.REST: restConnector{shared, plainJSON},
			domain.FHIR: fhirConnector{restConnector{shared, fhirJSON}},
			domain.MCP:  newMCP(shared, programs),
		},
	}, nil
}

// Call calls an endpoint. An error of kind Invalid lists what is wrong with the
// parameters, with pointers below /params; any later failure is in the result, so that
// the caller sees how far the call came. An error of kind Unavailable, with the code
// overloaded, means that nothing was sent.
func (r *Registry) Call(ctx context.Context, call domain.Call) (domain.CallResult, error) {
	to, ok := r.connectors[call.Integration.Protocol]
	if !ok {
		return domain.CallResult{}, fmt.Errorf("call endpoint %q: no connector speaks %q", call.Endpoint.Name, call.Integration.Protocol)
	}
	ctx, release := r.config.Gate.Open(ctx)
	defer release()
	soon, cancel := context.WithTimeout(ctx, admission.Patience)
	defer cancel()
	if err := admission.Call(soon); err != nil {
		return domain.CallResult{}, err
	}
	result, err := to.call(ctx, call)
	if err != nil {
		return domain.CallResult{}, err
	}
	return fit(ctx, result), nil
}

// Probe makes one harmless request with the credentials of a real call, and returns
// what was seen. It returns when ctx is done, at the latest.
func (r *Registry) Probe(ctx context.Context, i domain.Integration, k domain.Keyring) domain.Probe {
	c, ok := r.connectors[i.Protocol]
	if !ok {
		return domain.Probe{Status: domain.Misconfigured, Message: "The protocol of this integration is not known here.", At: r.config.Now()}
	}
	ctx, release := r.config.Gate.Open(ctx)
	defer release()
	filled, e := forAccount(ctx, domain.Call{Integration: i, Keyring: k})
	switch p := newProbing(r.caller, i.Auth); {
	case e == nil:
		return c.probe(ctx, filled.Integration, filled.Keyring)
	case e.Code != domain.CallAuthorizationRequired:
		return p.failed("resolve_account", e)
	case domain.HasAccountHost(i.BaseURL):
		return p.healthy("resolve_account", "Nothing was called: the host is one of the account, and it waits for somebody to sign in.")
	}
	return c.probe(ctx, i.WithoutAccount(), k) // for the challenge alone
}

// Close ends the sessions and the programs that calls left for later ones. Calls may still be
// made; they leave nothing.
func (r *Registry) Close() {
	if m, ok := r.connectors[domain.MCP].(mcpConnector); ok {
		m.kept.close()
	}
}

// ObserveTokens sets who is notified of each request to a token endpoint. It must be
// called before the first call.
func (r *Registry) ObserveTokens(observe func(domain.AuthType, domain.CallOutcome)) {
	r.caller.auth.Observe(observe)
}

// Running returns how many programs of profiles are running.
func (r *Registry) Running() int { return r.programs.Running() }

// Pauses returns how often invocations of an upstream were paused, because it kept failing.
func (r *Registry) Pauses() uint64 { return r.caller.upstreams.Pauses() }

// DenyListener makes a listener of ours a destination that is never dialled. A
// listener on an unspecified address is denied on every address of this machine.
func (r *Registry) DenyListener(listener netip.AddrPort) { r.caller.client.DenyListener(listener) }

// Policy describes in one line where calls may go, for the operator.
func (r *Registry) Policy() string {
	policy := "egress: " + r.config.egress().String()
	if p := r.programs; p != nil {
		policy += "; programs by their profiles (" + strings.Join(p.Names(), ", ") + "), in a sandbox of " + p.Sandbox.String()
	}
	return policy + "; never link-local, metadata services or our own listeners"
}
