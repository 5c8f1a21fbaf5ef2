package main

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"countersign"
	"countersign/callgraph"
	"countersign/telemetry"
	"countersign/tests/nobody"
)

// metricsHost serves the metrics of a host that has made some calls, until the test ends. It returns the address, and
// one where nobody listens.
func metricsHost(t *testing.T) (address, closed string) {
	t.Helper()
	tel, err := telemetry.New(t.Context(), telemetry.Config{Node: "node-1", Version: "v1", TrustDomain: "example.org"})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	tel.Gauges(func() telemetry.Gauges {
		return telemetry.Gauges{TrustBundle: now, Snapshot: &telemetry.Snapshot{Confirmed: now, Services: 2},
			Instances: []telemetry.Instance{{Function: "tax", Allocation: "a1", Release: "3aa211994e4b", Issued: now,
				Expires: now.Add(time.Hour)}}}
	})
	tel.Edge("quote", "tax", telemetry.RouteLocal).Done("", 80*time.Microsecond)
	tel.Edge("quote", "tax", telemetry.RouteRemote).Done(countersign.CodeFailed, 80*time.Microsecond)
	served := tel.Served("tax", "3aa211994e4b")
	served.Begin()
	served.End("")
	tel.Refused("tax", telemetry.SideCallee, "replayed")
	mux := http.NewServeMux()
	mux.Handle(callgraph.Path, tel.Handler())
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server.Listener.Addr().String(), nobody.Listens(t)
}
