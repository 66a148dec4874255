package main

import (
	"context"
	"net/netip"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"
	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/internal/flagvalues"
)

func TestTheErrorOfAFlagShowsARightValue(t *testing.T) {
	for _, c := range []struct{ args, want string }{
		{"replay --from yesterday", `--from: "yesterday" is not a time in RFC 3339, such as 2026-05-06T12:00:00Z`},
		{"replay --from 2026-05-06", `such as 2026-05-06T00:00:00Z`},
		{"replay --after x", `--after: "x" is not a position, such as 42`},
		{"serve --egress-allow-cidr 10.1.0.0", `"10.1.0.0" is an address without the size of a network; write one, such as 10.1.0.0/32 or 10.1.0.0/16`},
		{"serve --egress-allow-cidr 10.0.0.0/8,10.1.2.3", `such as 10.1.2.3/32 or 10.1.2.0/24`},
		{"serve --egress-allow-cidr fd00::1", `such as fd00::1/128 or fd00::/64`},
		{"serve --egress-allow-cidr 0.0.0.0", `such as 0.0.0.0/32 or 0.0.0.0/8`},
		{"serve --egress-allow-cidr 10.1.0.0/33", `"10.1.0.0/33" is not a network, such as 10.1.0.0/16`},
		{"serve --probe-interval 5", `--probe-interval: "5" has no unit; write one, such as 5s or 5m`},
		{"serve --write-wait 2d", `--write-wait: "2d" is in days, which is not a unit; write hours, such as 48h`},
		{"serve --drain-delay soon", `--drain-delay: "soon" is not a duration, such as 5s, 5m or 1h30m`},
		{"serve --read-model-stall=-5s", `--read-model-stall: "-5s" must not be negative`},
		{"serve --listen 8080", `--listen: "8080" has no host; write one, such as 127.0.0.1:8080`},
		{"serve --listen localhost", `--listen: "localhost" is not an address with a port, such as 127.0.0.1:8080`},
		{"serve --listen localhost:80800", `--listen: "localhost:80800" is not an address with a port`},
		{"serve --rate-read fast", `--rate-read: "fast" is not a number, such as 500`},
		{"serve --rate-read=-1", `--rate-read: "-1" must not be negative; write a number such as 500`},
		{"serve --rate-call=inf", `--rate-call: "inf" is not a number, such as 500`},
		{"serve --replicas 0", `--replicas: "0" must be from 1 to 5, such as 3`},
		{"status --replicas 6", `--replicas: "6" must be from 1 to 5, such as 3`},
		{"serve --builtins-disabled nope", `--builtins-disabled: "nope" is not a built-in, such as google-maps, google-search, amigo-fhir`},
		{"serve --builtins-disabled google-maps,nope", `"nope" is not a built-in`},
		{"serve --allowed-hosts http://x/", `--allowed-hosts: "http://x/" is a URL; write the name of the host alone, such as integrations.example.com`},
		{"serve --allowed-hosts a.example,b.example:80", `"b.example:80" has a port, and every port is accepted; write the name alone, such as b.example`},
		{"serve --allowed-hosts *.example", `"*.example" is not the name of a host`},
		{"serve --replicas many", `--replicas: "many" is not a whole number, such as 3`},
		{"serve --egress-proxy-url proxy:3128", `--egress-proxy-url must be a URL that begins with http:// or https://, such as http://proxy.example.com:3128`},
		{"serve --nats-url http://nats:4222", `--nats-url must be a URL that begins with nats:// or tls:// or ws:// or wss://, such as nats://127.0.0.1:4222`},
		{"serve --nats-monitor-url http://nats:8222,nats-2:8222", `--nats-monitor-url must be a URL that begins with http:// or https://`},
		{"status --mongodb-uri localhost:27017", `such as mongodb://127.0.0.1:27017`},
		{"serve --amigo-fhir-url fhir.example.com", `such as https://fhir.example.com/{workspace_id}`},
		{"healthcheck --url localhost:8080", `such as http://127.0.0.1:8080`},
		{"--log-level loud version", `--log-level: "loud" is not a level, such as debug, info, warn or error`},
	} {
		exit, out := tool(t, strings.Fields(c.args)...)
		require.NotZero(t, exit, c.args)
		require.Contains(t, out, c.want, c.args)
	}
}

func TestRightValuesOfFlagsAreAccepted(t *testing.T) {
	var line commandLine
	parser, err := kong.New(&line, kong.Name("integrations"), flagvalues.Mappers(), kong.NamedMapper("builtins", flagvalues.OneOf("a built-in", domain.BuiltinNames()...)))
	require.NoError(t, err)
	parsed, err := parser.Parse(strings.Fields(`--log-level=debug serve --egress-allow-cidr=10.1.0.0/16,fd00::/8 --probe-interval=1h30m --drain-delay=0
		--listen=:8080 --replicas=3 --rate-read=0.5 --nats-url=nats-1:4222,tls://u:p@nats-2:4222 --mongodb-uri=mongodb+srv://u:p@m/?w=majority
		--egress-proxy-url=HTTP://u:p@proxy:3128 --amigo-fhir-url=https://{workspace_id}.example.com
		--allowed-hosts=API.example,[::1],10.1.2.3 --allowed-hosts=b_c.example --builtins-disabled=google-maps,amigo-fhir`))
	require.NoError(t, err)
	require.NoError(t, flagvalues.CheckURLs(parsed.Flags()))
	require.Equal(t, []string{"api.example", "::1", "10.1.2.3", "b_c.example"}, line.Serve.AllowedHosts)
	require.Equal(t, []string{"google-maps", "amigo-fhir"}, line.Serve.Disabled)
	require.Equal(t, []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16"), netip.MustParsePrefix("fd00::/8")}, line.Serve.Egress.AllowCIDR)
	require.Equal(t, 90*time.Minute, line.Serve.ProbeInterval)
	require.Zero(t, line.Serve.DrainDelay)
	require.Equal(t, 3, line.Serve.Replicas)
	require.InDelta(t, 0.5, line.Serve.RateRead, 0)

	_, err = parser.Parse([]string{"replay", "--after=0010"})
	require.NoError(t, err)
	require.Equal(t, flagvalues.Position(10), line.Replay.After)
}

var parserText = regexp.MustCompile(`strconv|netip\.|parsing|invalid|cannot|expected`)

// Every flag that takes neither any text nor one of a list is given a wrong value.
func TestNoFlagShowsTheTextOfAParser(t *testing.T) {
	var line commandLine
	parser, err := kong.New(&line, kong.Name("integrations"), flagvalues.Mappers())
	require.NoError(t, err)
	t.Chdir(t.TempDir())
	stopped, stop := context.WithCancel(t.Context())
	stop() // so that nothing runs if a wrong value is accepted
	tried := 0
	for _, command := range parser.Model.Leaves(false) {
		for _, flag := range command.Flags {
			if takesAnyText(flag) || flag.Tag.Enum != "" || flag.IsBool() {
				continue
			}
			args := append(strings.Fields(strings.TrimPrefix(command.FullPath(), "integrations ")), required(command)...)
			var out strings.Builder
			exit := execute(stopped, append(args, "--"+flag.Name+"=x://?"), &out, &out)
			require.NotZero(t, exit, "%s --%s", command.Path(), flag.Name)
			require.Contains(t, out.String(), "--"+flag.Name, command.Path())
			require.Contains(t, out.String(), "such as ")
			require.NotRegexp(t, parserText, out.String())
			tried++
		}
	}
	require.Greater(t, tried, 60)
}

func takesAnyText(flag *kong.Flag) bool {
	switch flag.Target.Interface().(type) {
	case string, []string:
		return flag.Tag.Get("schemes") == "" && flag.Tag.Type != "address"
	}
	return false
}

// required returns values for the arguments and flags that a command requires.
func required(command *kong.Node) (args []string) {
	groups := map[string]bool{}
	for _, flag := range command.Flags {
		one := len(flag.Xor) > 0
		if !flag.Required || one && groups[flag.Xor[0]] {
			continue
		}
		if one {
			groups[flag.Xor[0]] = true
		}
		value := "x"
		if flag.Tag.Type == "existingdir" {
			value = "."
		}
		if _, isTime := flag.Target.Interface().(time.Time); isTime {
			value = "2026-05-06T12:00:00Z"
		}
		args = append(args, "--"+flag.Name+"="+value)
	}
	for range command.Positional {
		args = append(args, os.Args[0])
	}
	return args
}

func TestTheErrorOfAURLDoesNotRepeatItsPassword(t *testing.T) {
	t.Setenv("INTEGRATIONS_MONGODB_URI", "mongo://u:hunter2@host")
	exit, out := tool(t, "status")
	require.NotZero(t, exit)
	require.Contains(t, out, "--mongodb-uri must be")
	require.NotContains(t, out, "hunter2")
}
