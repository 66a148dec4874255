// Package otlp exports spans to an OpenTelemetry collector, by OTLP over HTTP, as the variables
// OTEL_* of the OpenTelemetry specification configure it.
//
// Its promise: nothing waits for the collector. Spans wait in a bounded queue; what doesn't fit, and
// what the collector doesn't take in time, is dropped and counted.
package otlp

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/net/http/httpguts"
)

// Config is where spans go, and how.
type Config struct {
	URL      string
	Header   http.Header // may hold credentials
	Compress bool
	Timeout  time.Duration // of one request
	TLS      *tls.Config   // nil: the default

	Queue    int           // spans that wait, at most
	Batch    int           // spans of one request, at most
	Delay    time.Duration // how long a span waits for others
	GiveUp   time.Duration // how long a batch is tried
	Problems []string      // of variables that mean nothing here, for the log
}

// FromEnvironment reads the variables of the specification. It returns nil when they don't turn
// traces on: that takes OTEL_TRACES_EXPORTER=otlp or an endpoint. An error lists all that is wrong.
func FromEnvironment(lookup func(string) string) (*Config, error) {
	e := environment{lookup: func(name string) string { return strings.TrimSpace(lookup(name)) }}
	exporter := strings.ToLower(e.lookup("OTEL_TRACES_EXPORTER"))
	named := e.of("ENDPOINT") != ""
	switch {
	case strings.EqualFold(e.lookup("OTEL_SDK_DISABLED"), "true"), exporter == "none", exporter == "" && !named:
		return nil, nil //nolint:nilnil // traces are off
	case exporter != "" && exporter != "otlp":
		e.wrong("OTEL_TRACES_EXPORTER", exporter, "otlp or none")
	}
	c := Config{
		URL: e.url(), Header: e.header(), TLS: e.tls(),
		Compress: e.choice("COMPRESSION", "none", "gzip", "none") == "gzip",
		Timeout:  e.milliseconds(e.nameOf("TIMEOUT"), 10*time.Second),
		Queue:    e.count("OTEL_BSP_MAX_QUEUE_SIZE", 2048, 1<<16),
		Batch:    e.count("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", 512, 1<<12),
		Delay:    e.milliseconds("OTEL_BSP_SCHEDULE_DELAY", 5*time.Second),
		GiveUp:   e.milliseconds("OTEL_BSP_EXPORT_TIMEOUT", 30*time.Second),
	}
	c.Batch = min(c.Batch, c.Queue)
	e.choice("PROTOCOL", "http/protobuf", "http/protobuf")
	e.checkSampler()
	for one := range strings.SplitSeq(e.lookup("OTEL_PROPAGATORS"), ",") {
		if one = strings.TrimSpace(one); one != "" && one != "tracecontext" && one != "baggage" {
			c.Problems = append(c.Problems, fmt.Sprintf("OTEL_PROPAGATORS: %q has no effect; traces are propagated as tracecontext", one))
		}
	}
	return &c, errors.Join(e.problems...)
}

// environment reads variables and gathers what is wrong with them.
type environment struct {
	lookup   func(string) string
	problems []error
}

func (e *environment) wrong(name, value, want string) {
	e.problems = append(e.problems, fmt.Errorf("%s: %q must be %s", name, value, want))
}

// nameOf returns the variable that holds an option of the exporter: the one for traces, if it is
// set, else that of all signals.
func (e *environment) nameOf(option string) string {
	if name := "OTEL_EXPORTER_OTLP_TRACES_" + option; e.lookup(name) != "" {
		return name
	}
	return "OTEL_EXPORTER_OTLP_" + option
}

func (e *environment) of(option string) string { return e.lookup(e.nameOf(option)) }

// url returns where spans are sent. An endpoint of all signals is a base, one of traces is not.
func (e *environment) url() string {
	name := e.nameOf("ENDPOINT")
	given := e.lookup(name)
	if given == "" {
		return "http://localhost:4318/v1/traces"
	}
	u, err := url.Parse(given)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		e.problems = append(e.problems, fmt.Errorf("%s must be an http or https URL, such as http://localhost:4318", name))
		return ""
	}
	if name == "OTEL_EXPORTER_OTLP_ENDPOINT" {
		return u.JoinPath("v1", "traces").String()
	}
	if u.Path == "" {
		u.Path = "/"
	}
	return u.String()
}

// header returns headers in the form of W3C Baggage: name=value,name=value, percent-encoded.
func (e *environment) header() http.Header {
	h := http.Header{}
	name := e.nameOf("HEADERS")
	for one := range strings.SplitSeq(e.lookup(name), ",") {
		if strings.TrimSpace(one) == "" {
			continue
		}
		key, value, ok := strings.Cut(one, "=")
		key = strings.TrimSpace(key)
		value, err := url.PathUnescape(strings.TrimSpace(value))
		if !ok || err != nil || !httpguts.ValidHeaderFieldName(key) || !httpguts.ValidHeaderFieldValue(value) {
			e.problems = append(e.problems, fmt.Errorf("%s must be headers such as api-key=secret,tenant=acme, percent-encoded", name)) // which it doesn't quote
			break
		}
		h.Set(key, value)
	}
	return h
}

func (e *environment) choice(option, normal string, known ...string) string {
	name := e.nameOf(option)
	value := strings.ToLower(e.lookup(name))
	if value == "" {
		return normal
	}
	if !slices.Contains(known, value) {
		e.wrong(name, value, strings.Join(known, " or ")+", which is what this service exports by")
	}
	return value
}

func (e *environment) milliseconds(name string, normal time.Duration) time.Duration {
	return time.Duration(e.count(name, int(normal.Milliseconds()), int(time.Hour.Milliseconds()))) * time.Millisecond
}

func (e *environment) count(name string, normal, most int) int {
	value := e.lookup(name)
	if value == "" {
		return normal
	}
	n, err := strconv.Atoi(value)
	if err != nil || n < 1 || n > most {
		e.wrong(name, value, fmt.Sprintf("a number from 1 to %d", most))
		return normal
	}
	return n
}

// samplers are those of the specification that the SDK has, and whether each takes a ratio.
var samplers = map[string]bool{
	"": false, "always_on": false, "always_off": false, "traceidratio": true,
	"parentbased_always_on": false, "parentbased_always_off": false, "parentbased_traceidratio": true,
}

// checkSampler refuses what the SDK would ignore.
func (e *environment) checkSampler() {
	name, ratio := strings.ToLower(e.lookup("OTEL_TRACES_SAMPLER")), e.lookup("OTEL_TRACES_SAMPLER_ARG")
	takesRatio, known := samplers[name]
	if !known {
		e.wrong("OTEL_TRACES_SAMPLER", name, "always_on, always_off, traceidratio, or one of these with parentbased_ before it")
	}
	if !takesRatio || ratio == "" {
		return
	}
	if f, err := strconv.ParseFloat(ratio, 64); err != nil || !(f >= 0 && f <= 1) {
		e.wrong("OTEL_TRACES_SAMPLER_ARG", ratio, "a number from 0 to 1")
	}
}

// tls returns the certificates that are named; nil: none.
func (e *environment) tls() *tls.Config {
	roots, cert, key := e.of("CERTIFICATE"), e.of("CLIENT_CERTIFICATE"), e.of("CLIENT_KEY")
	if roots == "" && cert == "" && key == "" {
		return nil
	}
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if roots != "" {
		text, err := os.ReadFile(roots) //nolint:gosec // the operator names it
		if c.RootCAs = x509.NewCertPool(); err == nil && !c.RootCAs.AppendCertsFromPEM(text) {
			err = errors.New("no certificate in PEM")
		}
		if err != nil {
			e.problems = append(e.problems, fmt.Errorf("%s: %w", e.nameOf("CERTIFICATE"), err))
		}
	}
	if cert != "" || key != "" {
		pair, err := tls.LoadX509KeyPair(cert, key)
		if err != nil {
			e.problems = append(e.problems, fmt.Errorf("%s and its key: %w", e.nameOf("CLIENT_CERTIFICATE"), err))
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c
}
