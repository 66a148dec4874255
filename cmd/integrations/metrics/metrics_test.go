package metrics_test

import (
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/cmd/integrations/metrics"
	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/projections"
)

func TestTheReadModelIsMeasuredBeforeThereIsOne(t *testing.T) {
	families, err := metrics.New(&projections.Live{}).Gather()
	require.NoError(t, err)
	values := map[string]float64{}
	for _, f := range families {
		values[f.GetName()] = f.GetMetric()[0].GetGauge().GetValue()
	}
	require.Contains(t, values, "integrations_projection_lag")
	require.Zero(t, values["integrations_read_model_generation"])
}

func TestCallsAreMeasuredByProtocolKindAndOutcome(t *testing.T) {
	r := prometheus.NewRegistry()
	called := metrics.Calls(r)
	called(domain.REST, domain.IntegrationInvoked{Kind: domain.TestCall, Outcome: domain.CallOK, Duration: time.Second})
	called(domain.REST, domain.IntegrationInvoked{Kind: domain.TestCall, Outcome: domain.CallOK, Duration: time.Minute})
	called(domain.MCP, domain.IntegrationInvoked{Kind: domain.MCPCall, Outcome: "tool_error"})
	families, err := r.Gather()
	require.NoError(t, err)
	require.Len(t, families, 2)
	require.Equal(t, "integrations_call_duration_seconds", families[0].GetName())
	require.InDelta(t, 61, families[0].GetMetric()[1].GetHistogram().GetSampleSum(), 0)
	counts := map[string]float64{}
	for _, m := range families[1].GetMetric() {
		name := ""
		for _, label := range m.GetLabel() {
			name += label.GetName() + "=" + label.GetValue() + " "
		}
		counts[name] = m.GetCounter().GetValue()
	}
	require.Equal(t, map[string]float64{"kind=test outcome=ok protocol=rest ": 2, "kind=mcp outcome=tool_error protocol=mcp ": 1}, counts)
}

func TestAFollowerIsNamedAfterItsPosition(t *testing.T) {
	for position, name := range map[string]string{
		"webhooks.integrations._all._all": "webhooks/integrations", "billing.integrations.acme._all": "billing/integrations/acme", "live": "live",
	} {
		require.Equal(t, name, metrics.FollowerName(position))
	}
}
