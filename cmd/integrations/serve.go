package main

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/seed677028b5/integrations/approvals"
	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/internal/kms"
	"github.com/seed677028b5/integrations/projections"
	"github.com/seed677028b5/integrations/transport"
)

// serveCommand is the configuration of the service.
type serveCommand struct {
	Roles           []string        `help:"Roles of this process; multiple processes may share a role." enum:"api,projector,prober,webhooks" default:"api,projector,prober,webhooks"`
	Listen          string          `help:"Address to listen on." default:"127.0.0.1:8080" type:"address"`
	Front           frontFlags      `embed:""`
	DrainDelay      time.Duration   `help:"How long to keep serving after SIGTERM while /readyz fails, so that load balancers can remove this process." default:"0s"`
	ReturnOrigins   []string        `name:"return-origin" help:"Origin of a host application, such as https://app.example.com, that persons may be sent back to after they have signed in. Repeatable. Default: none."`
	PublicURL       string          `name:"public-url" help:"URL under which browsers reach this service, such as https://integrations.example.com; persons sign in through it, and MCP clients find where to. Default: the address it listens on, if that is on loopback."`
	AllowedHosts    []string        `help:"Accepted Host names; default: those of this machine when listening on loopback, else any." type:"hosts"`
	WaitForStores   bool            `help:"Wait at startup until NATS and MongoDB are available, instead of failing."`
	Console         bool            `help:"Serve the console for people, at /console; --console=false turns it off." default:"true" negatable:""`
	WriteWait       time.Duration   `help:"How long a write waits until the read model shows it; 0: it does not wait." default:"1s"`
	ReadModelStall  time.Duration   `name:"read-model-stall" help:"How long the read model may be behind the log without progress before /readyz fails." default:"30s"`
	ProbeInterval   time.Duration   `help:"How often to probe enabled integrations that configure no interval; 0: only on request." default:"5m"`
	KeepCalls       time.Duration   `help:"How long calls are recorded, such as 52560h for six years, at least 1h; the same in all processes. Default: as set before, at first 720h." default:"0s"`
	Checkpoints     checkpointFlags `embed:""`
	ApprovalWait    time.Duration   `help:"How long a call waits for approval, 1m to 24h, before it expires." default:"1h"`
	TestsNeedInvoke *bool           `help:"A test of an endpoint whose method is not GET takes the permission Integration.invoke. Default: true for a log that was empty when a version with this flag first ran on it, else false."`

	RateRead  float64 `help:"Reads per second and API key or subject of tokens; 0: unlimited." default:"20000"`
	RateWrite float64 `help:"Writes per second and API key or subject of tokens; 0: unlimited." default:"10000"`
	RateCall  float64 `help:"Tests and health checks per second and API key or subject of tokens; 0: unlimited." default:"500"`

	RateWorkspace float64 `help:"Requests per second of all API keys and subjects of a workspace together; 0: unlimited." default:"0"`
	RateHost      float64 `help:"Requests per second of calls to one host of upstreams, of all workspaces together; 0: unlimited." default:"0"`
	MaxConcurrent int     `name:"max-concurrent-calls" help:"Calls to one upstream at once, for each workspace and process." default:"64"`

	profileFlags `embed:""`
	storeFlags   `embed:""`
	Egress       egressFlags `embed:"" prefix:"egress-"`
	OIDC         oidcFlags   `embed:"" prefix:"oidc-"`
	builtinFlags `embed:""`
}

// The roles of a process.
const (
	roleAPI       = "api"
	roleProjector = "projector"
	roleProber    = "prober"
	roleWebhooks  = "webhooks"
)

func (c serveCommand) has(role string) bool { return slices.Contains(c.Roles, role) }

// checkRoles returns an error when processes with these roles would share no stores.
func (c serveCommand) checkRoles() error {
	all := c.has(roleAPI) && c.has(roleProjector) && c.has(roleProber) && c.has(roleWebhooks)
	switch {
	case !all && c.NATSURL == "":
		return errors.New("--roles: processes share work through a NATS server; set --nats-url")
	case !c.has(roleProjector) && c.MongoDBURI == "":
		return errors.New("--roles: a process without the role projector reads the read model of others; set --mongodb-uri")
	}
	return nil
}

// part returns what this process does for the read model. One in SQLite is not shared.
func (c serveCommand) part() projections.Mode {
	switch {
	case c.MongoDBURI == "":
		return projections.Writer
	case c.has(roleProjector):
		return projections.Elected
	}
	return projections.ReadOnly
}

func (c serveCommand) limits() transport.Limits {
	return transport.Limits{Read: c.RateRead, Write: c.RateWrite, Call: c.RateCall, Workspace: c.RateWorkspace}
}

// hosts returns the accepted Host names. A service on loopback accepts loopback names
// only, or any web page could reach it by DNS rebinding.
func (c serveCommand) hosts() []string {
	if len(c.AllowedHosts) > 0 {
		return c.AllowedHosts
	}
	host, _, err := net.SplitHostPort(c.Listen)
	if err != nil {
		return nil
	}
	if ip, err := netip.ParseAddr(host); host == "localhost" || err == nil && ip.IsLoopback() {
		return []string{"localhost", "127.0.0.1", "::1", strings.ToLower(host)}
	}
	return nil
}

// publicURL returns the URL under which browsers reach the service that listens on an
// address, "" when it is not known.
func (c serveCommand) publicURL(listening net.Addr) string {
	if c.PublicURL != "" {
		return c.PublicURL
	}
	if at, err := netip.ParseAddrPort(listening.String()); err == nil && at.Addr().IsLoopback() {
		return c.Front.url(listening)
	}
	return ""
}

// checkPublicURL returns an error for a public URL that no browser could be sent to.
func (c serveCommand) checkPublicURL() error {
	if c.PublicURL == "" {
		return nil
	}
	u, err := url.Parse(c.PublicURL)
	if err != nil || !domain.SecureURL(c.PublicURL) || u.RawQuery != "" || u.Fragment != "" || strings.Trim(u.Path, "/") != "" {
		return fmt.Errorf("--public-url: %q must be an https URL without a path, such as https://integrations.example.com", c.PublicURL)
	}
	return nil
}

// checkReturnOrigins returns an error for an origin that no browser should be sent to.
func (c serveCommand) checkReturnOrigins() error {
	for _, origin := range c.ReturnOrigins {
		u, err := url.Parse(origin)
		if err != nil || !domain.SecureURL(origin) || u.RawQuery != "" || u.Fragment != "" || u.Path != "" {
			return fmt.Errorf("--return-origin: %q must be an https origin without a path, such as https://app.example.com", origin)
		}
	}
	return nil
}

// secretFiles returns the paths of secrets, besides the environment. No program that
// the service starts may read them.
func (c serveCommand) secretFiles() []string {
	all := append([]string{c.Data}, kms.TokenFiles(os.Getenv)...)
	for _, file := range []string{c.MCPStdioProfiles, c.NATSCreds, c.Front.TLSKey, c.OIDC.Grants} {
		if file != "" {
			all = append(all, file)
		}
	}
	return all
}

func (c serveCommand) Run(s console) error {
	return serve(s.ctx, c, s.log, func(at started) {
		s.log.Info("ready", slog.String("url", at.url), slog.String("operator_key_file", c.path("operator.key")))
	})
}

// checkFlags returns the errors of flags that don't go together, or that are out of bounds.
func (c serveCommand) checkFlags() error {
	return errors.Join(c.checkRoles(), c.Front.check(), c.checkPublicURL(), c.checkReturnOrigins(), c.checkApprovalWait(), c.OIDC.check(), checkKeepCalls(c.KeepCalls), c.Checkpoints.check(), checkMaxConcurrent(c.MaxConcurrent))
}

// checkApprovalWait returns an error for a wait that the parameters of a call don't outlive.
func (c serveCommand) checkApprovalWait() error {
	if c.ApprovalWait < time.Minute || c.ApprovalWait > approvals.MaxWait {
		return fmt.Errorf("--approval-wait: %s must be 1m to 24h", c.ApprovalWait)
	}
	return nil
}
