package otlp_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/internal/otlp"
)

func environment(variables map[string]string) func(string) string {
	return func(name string) string { return variables[name] }
}

func TestTracesAreOffUnlessTheEnvironmentTurnsThemOn(t *testing.T) {
	for _, off := range []map[string]string{
		{},
		{"OTEL_SERVICE_NAME": "x"},
		{"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318"},
		{"OTEL_SDK_DISABLED": "true", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318"},
		{"OTEL_EXPORTER_OTLP_ENDPOINT": " "},
	} {
		c, err := otlp.FromEnvironment(environment(off))
		require.NoError(t, err)
		require.Nil(t, c, "%v", off)
	}
	for want, on := range map[string]map[string]string{
		"http://localhost:4318/v1/traces": {"OTEL_TRACES_EXPORTER": "otlp"},
		"https://c/otlp/v1/traces":        {"OTEL_EXPORTER_OTLP_ENDPOINT": "https://c/otlp/"},
		"http://c:4318/":                  {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://c:4318"},
		"http://own/x":                    {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://own/x", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://all"},
	} {
		c, err := otlp.FromEnvironment(environment(on))
		require.NoError(t, err)
		require.Equal(t, want, c.URL)
	}
}

func TestTheVariablesOfTheSpecificationAreRead(t *testing.T) {
	c, err := otlp.FromEnvironment(environment(map[string]string{
		"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_HEADERS": "api-key=all", "OTEL_EXPORTER_OTLP_TRACES_HEADERS": "api-key=a%2Cb, x = y",
		"OTEL_EXPORTER_OTLP_COMPRESSION": "gzip", "OTEL_EXPORTER_OTLP_TIMEOUT": "1500", "OTEL_BSP_MAX_QUEUE_SIZE": "100", "OTEL_PROPAGATORS": "tracecontext,b3",
	}))
	require.NoError(t, err)
	require.Equal(t, []string{"a,b", "y"}, []string{c.Header.Get("Api-Key"), c.Header.Get("X")})
	require.True(t, c.Compress)
	require.Equal(t, 1500*time.Millisecond, c.Timeout)
	require.Equal(t, []int{100, 100}, []int{c.Queue, c.Batch})
	require.Len(t, c.Problems, 1)
	require.Contains(t, c.Problems[0], "b3")
}

func TestWhatIsWrongInTheEnvironmentIsNamedAndNoSecretIsQuoted(t *testing.T) {
	_, err := otlp.FromEnvironment(environment(map[string]string{
		"OTEL_TRACES_EXPORTER": "zipkin", "OTEL_EXPORTER_OTLP_ENDPOINT": "collector:4317", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc", "OTEL_EXPORTER_OTLP_HEADERS": "t0p-secret",
		"OTEL_TRACES_SAMPLER": "jaeger_remote", "OTEL_BSP_SCHEDULE_DELAY": "soon", "OTEL_EXPORTER_OTLP_CERTIFICATE": "/not/there.pem", "OTEL_EXPORTER_OTLP_COMPRESSION": "zstd",
	}))
	for _, name := range []string{
		"OTEL_TRACES_EXPORTER", "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_PROTOCOL", "OTEL_EXPORTER_OTLP_HEADERS", "OTEL_TRACES_SAMPLER",
		"OTEL_BSP_SCHEDULE_DELAY", "OTEL_EXPORTER_OTLP_CERTIFICATE", "OTEL_EXPORTER_OTLP_COMPRESSION",
	} {
		require.ErrorContains(t, err, name)
	}
	require.NotContains(t, err.Error(), "t0p-secret")
	_, err = otlp.FromEnvironment(environment(map[string]string{"OTEL_TRACES_EXPORTER": "otlp", "OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "2"}))
	require.ErrorContains(t, err, "OTEL_TRACES_SAMPLER_ARG")
}
