// Package telemetry counts and traces the calls of a host.
//
// It owns how the metrics of package metric are counted and served, how many series there can be, the spans and their
// attributes (docs/tracing.md). It must not know how calls are signed, routed or run, nor Consul, Vault or Nomad: the
// host tells it what happened.
package telemetry
