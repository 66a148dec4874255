// Package flagvalues reads the values of flags of the command line.
//
// Its promise: the error for a wrong value names the value, except of a URL, which may
// hold a password, and shows a right one.
package flagvalues

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"net"
	"net/netip"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/alecthomas/kong"
)

// Position is a position in a log.
type Position uint64

// Seed makes what happens at random happen again.
type Seed uint64

// Mappers returns what reads the values of flags by their types.
func Mappers() kong.Option {
	return kong.OptionFunc(func(k *kong.Kong) error {
		for _, option := range []kong.Option{
			mapper(parseTime), mapper(parseDuration), mapper(parseNetwork), mapper(parseLevel), mapper(parsePosition), mapper(parseSeed),
			mapper(parseInt), mapper(parseFloat), kong.NamedMapper("address", mapperOf(parseAddress)),
			kong.NamedMapper("replicas", mapperOf(parseReplicas)), kong.NamedMapper("hosts", listOf(parseHost)),
		} {
			if err := option.Apply(k); err != nil {
				return err
			}
		}
		return nil
	})
}

// mapper is mapperOf for all flags of the type.
func mapper[T any](parse func(string) (T, error)) kong.Option {
	return kong.TypeMapper(reflect.TypeFor[T](), mapperOf(parse))
}

func mapperOf[T any](parse func(string) (T, error)) kong.Mapper {
	return kong.MapperFunc(func(ctx *kong.DecodeContext, target reflect.Value) error {
		var text string
		if err := ctx.Scan.PopValueInto("a", &text); err != nil {
			return err
		}
		value, err := parse(strings.TrimSpace(text))
		if err == nil {
			target.Set(reflect.ValueOf(value))
		}
		return err
	})
}

func parseTime(text string) (time.Time, error) {
	at, err := time.Parse(time.RFC3339, text)
	if err == nil {
		return at, nil
	}
	if _, err := time.Parse(time.DateOnly, text); err == nil {
		return at, fmt.Errorf("%q has no time of day; write a time in RFC 3339, such as %sT00:00:00Z", text, text)
	}
	return at, fmt.Errorf("%q is not a time in RFC 3339, such as 2026-05-06T12:00:00Z", text)
}

func parseDuration(text string) (time.Duration, error) {
	d, err := time.ParseDuration(text)
	if err == nil && d >= 0 {
		return d, nil
	}
	days, isDays := strings.CutSuffix(text, "d")
	n, notWhole := strconv.ParseUint(days, 10, 16)
	switch {
	case err == nil:
		return 0, fmt.Errorf("%q must not be negative; write a duration such as 5s or 5m", text)
	case notWhole == nil && isDays:
		return 0, fmt.Errorf("%q is in days, which is not a unit; write hours, such as %dh", text, n*24)
	case notWhole == nil:
		return 0, fmt.Errorf("%q has no unit; write one, such as %ds or %dm", text, n, n)
	}
	return 0, fmt.Errorf("%q is not a duration, such as 5s, 5m or 1h30m", text)
}

func parseNetwork(text string) (netip.Prefix, error) {
	network, err := netip.ParsePrefix(text)
	if err == nil {
		return network, nil
	}
	address, err := netip.ParseAddr(text)
	if err != nil || address.Zone() != "" {
		return network, fmt.Errorf("%q is not a network, such as 10.1.0.0/16", text)
	}
	around, _ := address.Prefix(likelyBits(address))
	return network, fmt.Errorf("%q is an address without the size of a network; write one, such as %s/%d or %s", text, address, address.BitLen(), around)
}

// likelyBits returns the size of the network that an address likely stands for.
func likelyBits(address netip.Addr) int {
	if address.Is6() {
		return 64
	}
	four := address.As4()
	bits := 32
	for bits > 8 && four[bits/8-1] == 0 {
		bits -= 8
	}
	return min(bits, 24)
}

func parseLevel(text string) (level slog.Level, err error) {
	if level.UnmarshalText([]byte(text)) != nil {
		return level, fmt.Errorf("%q is not a level, such as debug, info, warn or error", text)
	}
	return level, nil
}

func parsePosition(text string) (Position, error) {
	n, err := strconv.ParseUint(text, 10, 64) // leading zeros don't make it octal
	if err != nil {
		return 0, fmt.Errorf("%q is not a position, such as 42", text)
	}
	return Position(n), nil
}

func parseSeed(text string) (Seed, error) {
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%q is not a seed, such as 42", text)
	}
	return Seed(n), nil
}

func parseInt(text string) (int, error) {
	n, err := strconv.Atoi(text)
	if err != nil {
		return 0, fmt.Errorf("%q is not a whole number, such as 3", text)
	}
	return n, nil
}

func parseFloat(text string) (float64, error) {
	n, err := strconv.ParseFloat(text, 64)
	switch {
	case err != nil || math.IsNaN(n) || math.IsInf(n, 0):
		return 0, fmt.Errorf("%q is not a number, such as 500 or 0.5", text)
	case n < 0:
		return 0, fmt.Errorf("%q must not be negative; write a number such as 500 or 0.5", text)
	}
	return n, nil
}

// parseReplicas reads how many replicas a stream of NATS has.
func parseReplicas(text string) (int, error) {
	n, err := parseInt(text)
	if err == nil && (n < 1 || n > 5) {
		err = fmt.Errorf("%q must be from 1 to 5, such as 3", text)
	}
	return n, err
}

// listOf reads a list whose elements are separated by commas. A flag that is repeated adds
// to it.
func listOf(parse func(string) (string, error)) kong.Mapper {
	return kong.MapperFunc(func(ctx *kong.DecodeContext, target reflect.Value) error {
		var text string
		if err := ctx.Scan.PopValueInto("a,…", &text); err != nil {
			return err
		}
		for element := range strings.SplitSeq(text, ",") {
			one, err := parse(strings.TrimSpace(element))
			if err != nil {
				return err
			}
			target.Set(reflect.Append(target, reflect.ValueOf(one)))
		}
		return nil
	})
}

// OneOf reads a list of names from a closed set.
func OneOf(kind string, names ...string) kong.Mapper {
	return listOf(func(text string) (string, error) {
		if !slices.Contains(names, text) {
			return "", fmt.Errorf("%q is not %s, such as %s", text, kind, strings.Join(names, ", "))
		}
		return text, nil
	})
}

// parseHost reads a Host name as it is compared with that of a request: without a port.
func parseHost(text string) (string, error) {
	const right = "such as integrations.example.com"
	if address, err := netip.ParseAddr(strings.Trim(text, "[]")); err == nil {
		return address.String(), nil
	}
	if strings.Contains(text, "/") {
		return "", fmt.Errorf("%q is a URL; write the name of the host alone, %s", text, right)
	}
	if name, port, err := net.SplitHostPort(text); err == nil && name != "" {
		return "", fmt.Errorf("%q has a port, and every port is accepted; write the name alone, such as %s", text, strings.TrimSuffix(text, ":"+port))
	}
	if !hostSyntax.MatchString(text) {
		return "", fmt.Errorf("%q is not the name of a host, %s", text, right)
	}
	return strings.ToLower(text), nil
}

var hostSyntax = regexp.MustCompile(`^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$`)

func parseAddress(text string) (string, error) {
	_, port, err := net.SplitHostPort(text)
	if err == nil {
		_, err = new(net.Resolver).LookupPort(context.Background(), "tcp", port)
	}
	if err == nil {
		return text, nil
	}
	if _, err := strconv.ParseUint(text, 10, 16); err == nil {
		return "", fmt.Errorf("%q has no host; write one, such as 127.0.0.1:%s", text, text)
	}
	return "", fmt.Errorf("%q is not an address with a port, such as 127.0.0.1:8080", text)
}

// CheckURLs returns an error for a flag whose value has none of the schemes in its tag. A
// URL may hold a password, so the error doesn't repeat it.
func CheckURLs(flags []*kong.Flag) error {
	for _, flag := range flags {
		schemes := flag.Tag.Get("schemes")
		if schemes == "" {
			continue
		}
		given, isList := flag.Target.Interface().([]string)
		if !isList {
			given = strings.Split(flag.Target.String(), ",")
		}
		for _, url := range given {
			if url != "" && !hasScheme(url, strings.Split(schemes, ",")) {
				return fmt.Errorf("--%s must be a URL that begins with %s://, such as %s", flag.Name, strings.ReplaceAll(schemes, ",", ":// or "), flag.Tag.Get("example"))
			}
		}
	}
	return nil
}

func hasScheme(url string, schemes []string) bool {
	scheme, rest, found := strings.Cut(strings.TrimSpace(url), "://")
	if !found && slices.Contains(schemes, "nats") { // NATS accepts host:port as well
		return true
	}
	return found && slices.Contains(schemes, strings.ToLower(scheme)) && strings.Trim(rest, "/") != ""
}
