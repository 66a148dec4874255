package metrics_test

import (
	"context"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/admission"
	"github.com/seed677028b5/integrations/cmd/integrations/metrics"
	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/eventstore"
	"github.com/seed677028b5/integrations/projections"
)

func TestTheReadModelIsMeasuredBeforeThereIsOne(t *testing.T) {
	families, err := metrics.New("1.2.3", &projections.Live{}).Gather()
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

// samples returns each sample of a registry by its name and labels; of a histogram, its sum.
func samples(t *testing.T, r *prometheus.Registry) map[string]float64 {
	t.Helper()
	families, err := r.Gather()
	require.NoError(t, err)
	all := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			name := f.GetName()
			for _, label := range m.GetLabel() {
				name += " " + label.GetName() + "=" + label.GetValue()
			}
			all[name] = m.GetCounter().GetValue() + m.GetGauge().GetValue() + m.GetHistogram().GetSampleSum()
		}
	}
	return all
}

func TestAppendsAndTokenRequestsAreMeasuredByOutcome(t *testing.T) {
	r := prometheus.NewRegistry()
	log, tokens := metrics.Appends(r), metrics.Tokens(r)
	log.Appended(time.Second, eventstore.AppendOK)
	log.Appended(2*time.Second, eventstore.AppendFailed)
	log.Committed(1)
	log.Committed(40)
	tokens(domain.ClientCredentials, domain.CallOK)
	tokens(domain.ClientCredentials, domain.CallOK)
	tokens(domain.AuthorizationCode, "auth_failed")
	require.Equal(t, map[string]float64{
		"integrations_log_append_duration_seconds outcome=ok":                                                      1,
		"integrations_log_append_duration_seconds outcome=failed":                                                  2,
		"integrations_log_append_duration_seconds outcome=conflict":                                                0,
		"integrations_log_commit_events":                                                                           41,
		"integrations_token_requests_total auth_type=oauth2_client_credentials outcome=ok":                         2,
		"integrations_token_requests_total auth_type=" + string(domain.AuthorizationCode) + " outcome=auth_failed": 1,
	}, samples(t, r))
}

type upstreams struct {
	running int
	pauses  uint64
}

func (u *upstreams) Running() int   { return u.running }
func (u *upstreams) Pauses() uint64 { return u.pauses }

func TestProgramsUpstreamsAndRefusalsAreMeasured(t *testing.T) {
	r := prometheus.NewRegistry()
	u, gate := &upstreams{}, admission.New(1)
	metrics.AddUpstreams(r, u)
	metrics.AddOverload(r, gate)
	require.Zero(t, samples(t, r)["integrations_overload_refusals_total pool=texts"])
	u.running, u.pauses = 3, 2
	first, release := gate.Open(t.Context())
	defer release()
	require.NoError(t, admission.Text(first, 1<<20))
	late, cancel := context.WithDeadline(t.Context(), time.Now())
	defer cancel()
	second, end := gate.Open(late)
	defer end()
	require.Error(t, admission.Text(second, 1<<20))
	metrics.Certificate(r)(time.Unix(1_800_000_000, 0))
	got := samples(t, r)
	require.InDelta(t, 1_800_000_000, got["integrations_tls_certificate_not_after_timestamp_seconds"], 0)
	require.InDelta(t, 3, got["integrations_programs_running"], 0)
	require.InDelta(t, 2, got["integrations_upstream_pauses_total"], 0)
	require.InDelta(t, 1, got["integrations_overload_refusals_total pool=texts"], 0)
	require.Len(t, got, 3+5)
}
