package main

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"unicode"

	"countersign/pipeline"
	"countersign/repositories"
)

// What others wrote comes out as text: a terminal must find no commands in it.
func TestTextOfOthers(t *testing.T) {
	const evil = "\x1b]0;owned\x07\x1b[2J\u202e\u009b"
	rollback := &pipeline.RollbackResult{
		Moves: []pipeline.MoveResult{{Function: "quote", From: "sha256:" + evil, To: "registry/quote@sha256:00", Reason: evil}},
		Stay:  []string{evil},
		Pins:  []pipeline.PinResult{{Repository: "quote", Remark: evil}, {Remark: evil}},
	}
	commits := &repositories.Change{Commits: []repositories.Commit{{Subject: evil}}, Undone: []repositories.Commit{{Subject: evil}}, Ahead: 1, Behind: 1}
	for name, print := range map[string]func(s streams){
		"an error":   func(s streams) { report(s, command{name: "x"}, errors.New("git fetch: "+evil+"\n\tmore")) },
		"rollback":   func(s streams) { printMoves(s.out, rollback, nil) },
		"commits":    func(s streams) { printCommits(s.out, functionChange{Commits: commits}) },
		"no commits": func(s streams) { printCommits(s.out, functionChange{NoCommits: evil}) },
		"checkout":   func(s streams) { printCheckout(s.out, &repositories.Checkout{Dir: evil, Error: evil}) },
		"refresh": func(s streams) {
			states := []pipeline.Refreshed{{State: pipeline.RefreshRefused, Error: evil}, {State: pipeline.RefreshRetired, Error: evil},
				{State: pipeline.RefreshFailed, Error: evil}}
			printRefreshed(s.out, &pipeline.RefreshResult{Artifacts: states})
		},
	} {
		var out bytes.Buffer
		print(streams{nil, &out, &out})
		bad := strings.ContainsFunc(out.String(), func(r rune) bool { return r != '\n' && r != '\t' && !unicode.IsPrint(r) })
		if bad || !strings.Contains(out.String(), "owned") && name != "rollback" {
			t.Errorf("%s: %q", name, out.String())
		}
	}
}
