package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"github.com/seed677028b5/integrations/connectors"
	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/projections"
	"github.com/seed677028b5/integrations/transport"
)

// commandLine is every command and flag. Each flag can be given in the
// environment as well, as INTEGRATIONS_ and its name.
type commandLine struct {
	LogLevel  slog.Level `help:"What to log: debug, info, warn or error." default:"info"`
	LogFormat string     `help:"How to log: text or json." enum:"text,json" default:"text"`

	Serve       serveCommand       `cmd:"" help:"Run the service."`
	Demo        demoCommand        `cmd:"" help:"Start a service with an upstream of its own and show what it does."`
	Keys        keysCommand        `cmd:"" help:"Manage API keys and the root key."`
	History     historyCommand     `cmd:"" help:"Show every event of an integration."`
	Replay      replayCommand      `cmd:"" help:"Write the events of the log once more, as CloudEvents, a line each."`
	Export      exportCommand      `cmd:"" help:"Write the configuration of a workspace as YAML, without its secrets."`
	Import      importCommand      `cmd:"" help:"Show what a file would make of a workspace, and make it with --apply."`
	Verify      verifyCommand      `cmd:"" help:"Check that the read model is what the log says, and that no secret is lost or left over."`
	Backup      backupCommand      `cmd:"" help:"Write all that the service keeps to a file, while it runs or not."`
	Restore     restoreCommand     `cmd:"" help:"Restore a backup into an empty data folder or NATS server."`
	Sweep       sweepCommand       `cmd:"" help:"Show the secrets that no event names, and destroy them with --apply."`
	AcceptLoss  acceptLossCommand  `cmd:"" help:"Show what is missing from the event log, and go on without it with --apply."`
	Rebuild     rebuildCommand     `cmd:"" help:"Build the read model anew from the log, while the service runs or not."`
	Status      statusCommand      `cmd:"" help:"Show how the log and the read model stand; exit 1 when something is wrong."`
	Bench       benchCommand       `cmd:"" help:"Measure the service beside the limit of what it is built on."`
	BenchLimit  benchLimitCommand  `cmd:"" hidden:"" help:"Stand beside the service in a bench."`
	Healthcheck healthcheckCommand `cmd:"" help:"Ask a running service whether it is ready; exit 1 when it is not."`
	Version     versionCommand     `cmd:"" help:"Show the version."`
}

// streams is where a command writes to.
type streams struct {
	ctx context.Context //nolint:containedctx // it ends with the program, as the streams do
	out io.Writer
	err io.Writer
	log *slog.Logger
}

// execute runs a command line and returns the exit status: 0 when all went
// well, 1 when not, 80 when the command line is wrong.
func execute(ctx context.Context, args []string, out, errs io.Writer) int {
	var line commandLine
	exit := -1
	parser, err := kong.New(&line, kong.Name("integrations"), kong.UsageOnError(), kong.Writers(out, errs),
		kong.Description("Integrations with REST, FHIR and MCP servers, kept as events."),
		kong.DefaultEnvars("INTEGRATIONS"), kong.Exit(func(status int) { exit = status }))
	if err != nil {
		_, _ = fmt.Fprintln(errs, "integrations:", err)
		return 1
	}
	parsed, err := parser.Parse(args)
	if exit >= 0 { // --help was shown
		return exit
	}
	if err != nil {
		parser.Errorf("%s", err)
		return 80
	}
	log := newLogger(errs, line.LogFormat, line.LogLevel)
	if err := parsed.Run(streams{ctx: ctx, out: out, err: errs, log: log}); err != nil {
		if !errors.Is(err, errFound) {
			_, _ = fmt.Fprintln(errs, "integrations:", told(err))
		}
		return 1
	}
	return 0
}

// told is err for the operator, who may see the cause that callers may not.
func told(err error) error {
	refusal, ok := errors.AsType[*domain.Error](err)
	if !ok || refusal.Unwrap() == nil || strings.Contains(err.Error(), refusal.Unwrap().Error()) {
		return err
	}
	return fmt.Errorf("%w: %w", err, refusal.Unwrap())
}

// errFound ends a command that has said already what is wrong.
var errFound = errors.New("found something wrong")

func newLogger(w io.Writer, format string, level slog.Level) *slog.Logger {
	options := &slog.HandlerOptions{Level: level}
	if format == "json" {
		return slog.New(slog.NewJSONHandler(w, options))
	}
	return slog.New(slog.NewTextHandler(w, options))
}

// storeFlags says where everything is kept.
type storeFlags struct {
	Data            string   `help:"Folder for keys and, unless told otherwise, for the log and the read model." default:"./data" type:"path"`
	NATSURL         string   `name:"nats-url" help:"NATS server or cluster to use instead of the embedded one."`
	NATSCreds       string   `name:"nats-creds" help:"Credentials file for NATS." type:"path"`
	NATSMonitorURL  []string `name:"nats-monitor-url" help:"Monitoring URL of each NATS server, to see that it syncs before it acknowledges."`
	AllowLazySync   bool     `help:"Accept a NATS server that may lose acknowledged events in a power cut."`
	Replicas        int      `help:"Copies of each stream in a NATS cluster." default:"1"`
	MongoDBURI      string   `name:"mongodb-uri" help:"MongoDB to keep the read model in, instead of SQLite."`
	MongoDBDatabase string   `name:"mongodb-database" help:"Name of the database there." default:"integrations"`
	RootKeyset      string   `help:"Root keyset as Tink JSON; by default it is the file root.keyset in the data folder."`
}

func (f storeFlags) path(name string) string { return filepath.Join(f.Data, name) }

// egressFlags says where calls to upstreams may go.
type egressFlags struct {
	AllowLoopback bool     `help:"Let integrations call this machine."`
	AllowCIDR     []string `name:"allow-cidr" help:"Private network that integrations may call, such as 10.1.0.0/16."`
	ProxyURL      string   `name:"proxy-url" help:"Proxy for everything that goes out."`
	CAFile        string   `name:"ca-file" help:"PEM file of certificate authorities to trust beside the system's." type:"path"`
}

func (f egressFlags) config(now func() time.Time) (connectors.Config, error) {
	cfg := connectors.Config{AllowLoopback: f.AllowLoopback, ProxyURL: f.ProxyURL, CAFile: f.CAFile, Now: now}
	for _, text := range f.AllowCIDR {
		prefix, err := netip.ParsePrefix(text)
		if err != nil {
			return cfg, fmt.Errorf("--egress-allow-cidr: %w", err)
		}
		cfg.AllowCIDRs = append(cfg.AllowCIDRs, prefix)
	}
	return cfg, nil
}

// builtinFlags says what the operator gives the built-ins.
type builtinFlags struct {
	Disabled             []string `name:"builtins-disabled" help:"Built-ins to switch off."`
	GoogleMapsKey        string   `help:"Key for Google Maps."`
	GoogleMapsGeocodeURL string   `name:"google-maps-geocode-url" default:"https://geocode.googleapis.com" help:"Geocoding API."`
	GoogleMapsPlacesURL  string   `name:"google-maps-places-url" default:"https://places.googleapis.com" help:"Places API."`
	GoogleMapsRoutesURL  string   `name:"google-maps-routes-url" default:"https://routes.googleapis.com" help:"Routes API."`
	GoogleSearchKey      string   `help:"Key for Google Search."`
	GoogleSearchEngineID string   `name:"google-search-engine-id" help:"Search engine id (cx) for Google Search."`
	GoogleSearchURL      string   `name:"google-search-url" default:"https://customsearch.googleapis.com" help:"Custom Search API."`
	AmigoFHIRKey         string   `name:"amigo-fhir-key" help:"Bearer token for Amigo FHIR."`
	AmigoFHIRURL         string   `name:"amigo-fhir-url" help:"Base URL of Amigo FHIR; {workspace_id} in it stands for the workspace."`
}

func (f builtinFlags) settings() domain.BuiltinSettings {
	var keyed []string
	for name, key := range f.keys() {
		if key.Reveal() != "" {
			keyed = append(keyed, name)
		}
	}
	return domain.BuiltinSettings{
		Disabled: f.Disabled, Keyed: keyed, GeocodeURL: f.GoogleMapsGeocodeURL, PlacesURL: f.GoogleMapsPlacesURL, RoutesURL: f.GoogleMapsRoutesURL,
		SearchURL: f.GoogleSearchURL, SearchEngineID: f.GoogleSearchEngineID, FHIRURL: f.AmigoFHIRURL,
	}
}

func (f builtinFlags) keys() map[string]domain.Secret {
	return map[string]domain.Secret{
		domain.GoogleMaps:   domain.NewSecret(f.GoogleMapsKey),
		domain.GoogleSearch: domain.NewSecret(f.GoogleSearchKey),
		domain.AmigoFHIR:    domain.NewSecret(f.AmigoFHIRKey),
	}
}

// serveCommand is the configuration of the service.
type serveCommand struct {
	Roles          []string      `help:"What this process does. Any number of processes may do the same." enum:"api,projector,prober,webhooks" default:"api,projector,prober,webhooks"`
	Listen         string        `help:"Address to listen on." default:"127.0.0.1:8080"`
	DrainDelay     time.Duration `help:"How long to go on answering after the signal to end, with /readyz red, so that a load balancer can look elsewhere." default:"0s"`
	AllowedHosts   []string      `help:"Host names to answer to; by default those of this machine when listening on loopback, else any."`
	WaitForStores  bool          `help:"Wait at the start for NATS and MongoDB when they are away, instead of ending."`
	WriteWait      time.Duration `help:"How long a write waits until the read model shows it; 0 to answer at once." default:"1s"`
	ReadModelStall time.Duration `name:"read-model-stall" help:"How long the read model may stand still behind the log before /readyz is red." default:"30s"`
	ProbeInterval  time.Duration `help:"How often to probe enabled integrations that don't say it themselves; 0 to probe those only on request." default:"5m"`

	RateRead  float64 `help:"Reads a second for each API key; 0 is no limit." default:"20000"`
	RateWrite float64 `help:"Writes a second for each API key." default:"10000"`
	RateCall  float64 `help:"Tests and health checks a second for each API key." default:"500"`

	profileFlags `embed:""`
	storeFlags   `embed:""`
	Egress       egressFlags `embed:"" prefix:"egress-"`
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

// checkRoles refuses roles that would never see what the others do.
func (c serveCommand) checkRoles() error {
	whole := c.has(roleAPI) && c.has(roleProjector) && c.has(roleProber) && c.has(roleWebhooks)
	switch {
	case !whole && c.NATSURL == "":
		return errors.New("--roles: processes share the work through a NATS server; give --nats-url")
	case !c.has(roleProjector) && c.MongoDBURI == "":
		return errors.New("--roles: a process that is no projector reads what others project; give --mongodb-uri")
	}
	return nil
}

// part returns what this process does for the read model. One in SQLite is its own.
func (c serveCommand) part() projections.Part {
	switch {
	case c.MongoDBURI == "":
		return projections.Applies
	case c.has(roleProjector):
		return projections.Shares
	}
	return projections.Follows
}

func (c serveCommand) limits() transport.Limits {
	return transport.Limits{Read: c.RateRead, Write: c.RateWrite, Call: c.RateCall}
}

// profileFlags says which programs may be started.
type profileFlags struct {
	MCPStdioProfiles string `name:"mcp-stdio-profiles" help:"File, in YAML or JSON, of the programs that MCP integrations may have started. Without it none is." type:"path"`
}

// profiles returns the programs that may be started.
func (f profileFlags) profiles() ([]connectors.Profile, error) {
	if f.MCPStdioProfiles == "" {
		return nil, nil
	}
	text, err := os.ReadFile(f.MCPStdioProfiles)
	if err != nil {
		return nil, fmt.Errorf("--mcp-stdio-profiles: %w", err)
	}
	profiles, err := connectors.ReadProfiles(text)
	if err != nil {
		return nil, fmt.Errorf("--mcp-stdio-profiles: %w", err)
	}
	return profiles, nil
}

// hosts returns the Host names to answer to. A service on loopback answers to
// loopback names only, or any web page could reach it under a name of its own.
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

func (c serveCommand) Run(s streams) error {
	return serve(s.ctx, c, s.log, func(url string) {
		s.log.Info("ready", slog.String("url", url), slog.String("operator_key_file", c.path("operator.key")))
	})
}
