// Package telemetry counts and traces the calls of a host.
//
// It owns the names, labels and help texts of the metrics (docs/metrics.md is tested against them), how many series
// there can be, the spans and their attributes (docs/tracing.md). It must not know how calls are signed, routed or run,
// nor Consul, Vault or Nomad: the host tells it what happened.
package telemetry
