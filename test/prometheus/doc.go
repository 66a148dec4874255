// Package prometheus evaluates the alerts of deploy/prometheus and parses the queries of
// deploy/grafana with Prometheus' own engine, which the service itself does not need.
package prometheus
