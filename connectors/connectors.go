// Package connectors is everything that leaves the building: it calls the
// endpoints of integrations, and probes integrations.
//
// Its promise: no connection is opened to a destination that the egress policy
// denies, no answer takes more than bounded time and memory, and nothing it
// returns holds a secret.
package connectors

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/seed677028b5/integrations/admission"
	"github.com/seed677028b5/integrations/connectors/jsonschema"
	"github.com/seed677028b5/integrations/domain"
)

// Config says where calls may go, and how. The zero value reaches public
// addresses only.
type Config struct {
	AllowLoopback bool             // may calls reach this machine's loopback? Default: no
	AllowCIDRs    []netip.Prefix   // private networks that calls may reach. Default: none
	DenyAddrs     []netip.AddrPort // our own listeners, never dialled even when loopback is allowed. Default: none
	ProxyURL      string           // http or https proxy that everything goes through. Default: none, whatever the environment says
	CAFile        string           // PEM file of roots trusted beside the system's. Default: none
	Profiles      []Profile        // programs that MCP integrations may have started. Default: none
	Private       []string         // files and folders that no program may read. Default: none
	Gate          *admission.Gate  // what calls and probes may hold in memory together. Default: no bound
	Now           func() time.Time // the clock of probes, tokens and Retry-After dates. Default: time.Now
}

// Validate reports everything that is wrong with c at once.
func (c Config) Validate() error {
	var problems []error
	for _, prefix := range c.AllowCIDRs {
		switch {
		case !prefix.IsValid() || prefix.Addr().Is4In6():
			problems = append(problems, fmt.Errorf("the allowed network %q is not a CIDR", prefix))
		case prefix.Bits() == 0:
			problems = append(problems, fmt.Errorf("the allowed network %s is every address; name the networks that are meant", prefix))
		}
	}
	for _, listener := range c.DenyAddrs {
		if !listener.IsValid() {
			problems = append(problems, fmt.Errorf("the denied listener %q is not an address and a port", listener))
		}
	}
	if c.ProxyURL != "" {
		u, err := url.Parse(c.ProxyURL)
		if err != nil || u.Hostname() == "" || u.Scheme != "http" && u.Scheme != "https" {
			problems = append(problems, errors.New("the egress proxy must be an http or https URL"))
		}
	}
	if c.CAFile != "" {
		if _, err := rootsWith(c.CAFile); err != nil {
			problems = append(problems, err)
		}
	}
	if len(c.Profiles) > 0 {
		problems = append(problems, exposed(c.Private)...)
	}
	named := map[string]bool{}
	for _, p := range c.Profiles {
		problems = append(problems, p.validate(c.Private)...)
		if named[p.Name] {
			problems = append(problems, fmt.Errorf("there are two profiles called %q", p.Name))
		}
		named[p.Name] = true
	}
	return errors.Join(problems...)
}

// A connector speaks one protocol.
type connector interface {
	// call is Registry.Call for one protocol.
	call(context.Context, domain.Call) (domain.CallResult, error)
	// probe is Registry.Probe for one protocol.
	probe(context.Context, domain.Integration, domain.Keyring) domain.Probe
}

// Registry finds the connector of an integration. It is safe for concurrent
// use; all its connectors share one guarded way out.
type Registry struct {
	config     Config
	guard      *guard
	way        *outbound
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
	g := newGuard(c)
	transport, err := newTransport(c, g)
	if err != nil {
		return nil, fmt.Errorf("egress: %w", err)
	}
	programs, err := newPrograms(c.Profiles)
	if err != nil {
		return nil, err
	}
	way := &outbound{door: door{guard: g, transport: transport}, upstreams: newUpstreams(), schemas: jsonschema.NewCache(), agent: userAgent(), now: c.Now, firstWait: firstWait}
	way.tokens = newTokens(way)
	way.signers = signers(way.tokens)
	return &Registry{
		config: c,
		guard:  g,
		way:    way,
		connectors: map[domain.Protocol]connector{
			domain.REST: newREST(way),
			domain.FHIR: newFHIR(way),
			domain.MCP:  newMCP(way, programs),
		},
	}, nil
}

// Call calls an endpoint. An error of kind Invalid lists what is wrong with the
// parameters, with pointers below /params; anything that goes wrong from there
// on is told in the result, so that the caller sees how far the call came. An error
// of kind Unavailable, with the code overloaded, says that nothing was sent.
func (r *Registry) Call(ctx context.Context, c domain.Call) (domain.CallResult, error) {
	speaker, ok := r.connectors[c.Integration.Protocol]
	if !ok {
		return domain.CallResult{}, fmt.Errorf("call endpoint %q: no connector speaks %q", c.Endpoint.Name, c.Integration.Protocol)
	}
	ctx, release := r.config.Gate.Open(ctx)
	defer release()
	soon, cancel := context.WithTimeout(ctx, admission.Patience)
	defer cancel()
	if err := admission.Call(soon); err != nil {
		return domain.CallResult{}, err
	}
	result, err := speaker.call(ctx, c)
	if err != nil {
		return domain.CallResult{}, err
	}
	return fit(ctx, result), nil
}

// Probe makes one harmless request with the credentials of a real call, and
// tells what was seen. It returns when ctx is done, at the latest.
func (r *Registry) Probe(ctx context.Context, i domain.Integration, k domain.Keyring) domain.Probe {
	speaker, ok := r.connectors[i.Protocol]
	if !ok {
		return domain.Probe{Status: domain.Misconfigured, Message: "The protocol of this integration is not known here.", At: r.config.Now()}
	}
	ctx, release := r.config.Gate.Open(ctx)
	defer release()
	return speaker.probe(ctx, i, k)
}

// DenyListener makes a listener of ours a destination that is never dialled. A
// listener on an unspecified address is denied on every address of this machine.
func (r *Registry) DenyListener(listener netip.AddrPort) { r.guard.deny(listener) }

// Policy describes in one line where calls may go, for the operator.
func (r *Registry) Policy() string {
	parts := []string{"public addresses"}
	if len(r.config.AllowCIDRs) > 0 {
		var networks []string
		for _, prefix := range r.config.AllowCIDRs {
			networks = append(networks, prefix.String())
		}
		parts = append(parts, "networks "+strings.Join(networks, " "))
	}
	if r.config.AllowLoopback {
		parts = append(parts, "loopback")
	}
	policy := "egress: " + strings.Join(parts, ", ")
	if r.config.ProxyURL != "" {
		u, _ := url.Parse(r.config.ProxyURL) // Validate has read it
		policy += "; through the proxy " + u.Scheme + "://" + u.Host
	}
	if r.config.CAFile != "" {
		policy += "; with the roots in " + r.config.CAFile
	}
	if p := r.connectors[domain.MCP].(mcp).programs; p != nil {
		policy += "; programs by their profiles (" + strings.Join(slices.Sorted(maps.Keys(p.profiles)), ", ") + "), in a sandbox of " + p.box.String()
	}
	return policy + "; never link-local, metadata services or our own listeners"
}
