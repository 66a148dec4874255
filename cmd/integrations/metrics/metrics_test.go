package metrics_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/cmd/integrations/metrics"
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

func TestAFollowerIsNamedAfterItsPosition(t *testing.T) {
	for position, name := range map[string]string{
		"webhooks.integrations._all._all": "webhooks/integrations", "billing.integrations.acme._all": "billing/integrations/acme", "live": "live",
	} {
		require.Equal(t, name, metrics.FollowerName(position))
	}
}
