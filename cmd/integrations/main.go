// Command integrations runs the integrations service, and the tools beside it.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"

	"github.com/seed677028b5/integrations/connectors/sandbox"
	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/internal/configfile"
	"github.com/seed677028b5/integrations/internal/flagvalues"
	"github.com/seed677028b5/integrations/internal/terminal"
)

func main() {
	sandbox.Become()          // does not return in a process of a sandbox
	log.SetOutput(io.Discard) // net/http logs what an upstream sends after its response, which may be a secret
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(execute(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// commandLine is every command and flag. Each flag can also be set in the environment,
// as INTEGRATIONS_ and its name, in a file that INTEGRATIONS_, its name and _FILE names,
// and in a configuration file; what comes first here wins.
type commandLine struct {
	ConfigFile string `name:"config" help:"YAML file with values of flags, by their names." type:"path"`

	LogLevel  slog.Level `help:"Minimum level of log records: debug, info, warn or error." default:"info"`
	LogFormat string     `help:"Format of log records: text or json." enum:"text,json" default:"text"`

	Serve        serveCommand        `cmd:"" help:"Run the service."`
	Demo         demoCommand         `cmd:"" help:"Start a service with upstreams and show what it does."`
	Keys         keysCommand         `cmd:"" help:"Manage API keys and the root key."`
	History      historyCommand      `cmd:"" help:"Show every event of an integration."`
	Replay       replayCommand       `cmd:"" help:"Write the events of the log as CloudEvents, one per line."`
	Export       exportCommand       `cmd:"" help:"Write the configuration of a workspace as YAML, without its secrets."`
	Import       importCommand       `cmd:"" help:"Show the changes that a file would make to a workspace; --apply applies them."`
	Apply        applyCommand        `cmd:"" help:"Make workspaces match the files of a folder, once or continuously."`
	Diff         diffCommand         `cmd:"" help:"Compare the configuration of two workspaces or files; exit 1 when they differ."`
	Promote      promoteCommand      `cmd:"" help:"Show the changes that bring the configuration of a workspace to another; --apply applies them."`
	Verify       verifyCommand       `cmd:"" help:"Verify that the read model matches the log, that no secret is lost or left over, and that the logs match their trees."`
	Archive      archiveCommand      `cmd:"" help:"Copy old events of a log, with their proofs, to a folder or an S3 bucket, with or without a running service."`
	Prune        pruneCommand        `cmd:"" help:"Show which events of the log could be removed because an archive has them; --apply removes them."`
	Audit        auditCommand        `cmd:"" help:"Prove that the logs are complete and unchanged, with or without the service."`
	Backup       backupCommand       `cmd:"" help:"Back up everything that the service stores in NATS to a file, with or without a running service."`
	Restore      restoreCommand      `cmd:"" help:"Restore a backup into an empty data folder or NATS server."`
	ResumeTokens resumeTokensCommand `cmd:"" help:"Show whether renewals of tokens are paused after a restore; --sole-holder resumes them."`
	Sweep        sweepCommand        `cmd:"" help:"List orphaned secrets, which no event names; --apply destroys them."`
	Erase        eraseCommand        `cmd:"" help:"Erase what is stored of a person in a workspace, or a whole workspace; proofs stay good."`
	AcceptLoss   acceptLossCommand   `cmd:"" help:"Show which events are missing from the log; --apply continues without them."`
	Rebuild      rebuildCommand      `cmd:"" help:"Rebuild the read model from the log, with or without a running service."`
	Config       configCommand       `cmd:"" help:"Show the configuration that serve would run with, and where each value comes from."`
	Status       statusCommand       `cmd:"" help:"Show the status of the log and the read model; exit 1 when something is wrong."`
	Bench        benchCommand        `cmd:"" help:"Benchmark the service beside the limit of what it is built on."`
	Simulate     simulateCommand     `cmd:"" help:"Run the service in virtual time on a model of NATS that fails, and check what it promises; exit 1 when an invariant is violated."`
	BenchLimit   benchLimitCommand   `cmd:"" hidden:"" help:"Run a process that a benchmark compares the service with."`
	Healthcheck  healthcheckCommand  `cmd:"" help:"Check whether a running service is ready; exit 1 when it is not."`
	Version      versionCommand      `cmd:"" help:"Print the version."`
}

// BeforeResolve has the configuration file set the flags that nothing else sets.
func (l commandLine) BeforeResolve(ctx *kong.Context) error {
	for _, flag := range ctx.Model.Flags {
		if flag.Name != "config" {
			continue
		}
		path, _ := ctx.FlagValue(flag).(string)
		file := configfile.File{}
		if path != "" {
			var err error
			if file, err = configfile.Read(path); err != nil {
				return fmt.Errorf("--config: %w", err)
			}
			if err := file.Check(ctx.Model); err != nil {
				return fmt.Errorf("--config: %s: %w", path, err)
			}
		}
		ctx.AddResolver(file)
	}
	return nil
}

// execute runs a command line and returns the exit status: 0 for success, 1 for a
// failure, 80 for a wrong command line.
func execute(ctx context.Context, args []string, out, errs io.Writer) int {
	var line commandLine
	exit := -1
	parser, err := kong.New(&line, kong.Name("integrations"), kong.UsageOnError(), kong.Writers(out, errs),
		kong.Description("Integrations with REST, FHIR and MCP servers, kept as events."),
		flagvalues.Mappers(), kong.NamedMapper("builtins", flagvalues.OneOf("a built-in", domain.BuiltinNames()...)), kong.DefaultEnvars("INTEGRATIONS"), kong.Exit(func(status int) { exit = status }))
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
	logger := newLogger(errs, line.LogFormat, line.LogLevel)
	if err = flagvalues.CheckURLs(parsed.Flags()); err == nil {
		err = parsed.Run(console{ctx: ctx, out: out, err: errs, log: logger})
	}
	if err != nil {
		if !errors.Is(err, errProblemsFound) {
			_, _ = fmt.Fprintln(errs, "integrations:", terminal.OperatorError(err))
		}
		return 1
	}
	return 0
}

func newLogger(w io.Writer, format string, level slog.Level) *slog.Logger {
	options := &slog.HandlerOptions{Level: level}
	if format == "json" {
		return slog.New(slog.NewJSONHandler(w, options))
	}
	return slog.New(slog.NewTextHandler(w, options))
}
