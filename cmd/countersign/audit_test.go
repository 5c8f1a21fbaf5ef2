package main

import (
	"strings"
	"testing"

	"countersign/pipeline"
)

func TestReachesForPeople(t *testing.T) {
	var out strings.Builder
	printReaches(&out, []pipeline.Reach{
		{Function: "fx", Verified: true},
		{Function: "quote", Release: "1", Verified: true, Nodes: []string{"n1", "n2"}, Storage: []pipeline.StorageReach{{Tag: "data", Path: "/data",
			Access: "read-write", MaxBytes: 10, MaxFiles: 5, Source: "volume", Target: "shop"}}},
		{Function: "tax", Verified: true, Storage: []pipeline.StorageReach{{Tag: "in", Path: "/in", Access: "read-only", Source: "volume", Target: "shop"}},
			Network: []pipeline.NetworkReach{{Tag: "rates", Protocol: "tcp"}}, Unbound: []string{"network rates"}},
		{Function: "evil", Refused: true, Error: "bad\x1b[2J signature"},
		{Function: "lost", Error: "no answer"},
	})
	for _, want := range []string{
		"quote     1        storage data   read-write  /data  10 bytes, 5 files", "volume shop  n1,n2", "nothing",
		"No storage and no network: fx\n", "Shared, and written: volume shop by quote, tax\n",
		"NOT VERIFIED: what evil may touch is not known: bad [2J signature\n", "UNKNOWN: what lost may touch could not be read: no answer",
		"DIFFERS: the job of tax does not bind [network rates]",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
}
