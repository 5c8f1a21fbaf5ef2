package bazel

import (
	"strings"
	"testing"
)

func TestReason(t *testing.T) {
	for name, tc := range map[string]struct{ printed, want string }{
		"a rule of ours refuses": {`ERROR: An error occurred during the fetch of repository 'party':
   Traceback (most recent call last):
	File "/w/bazel/function_repository.bzl", line 168, column 11, in _function_repository_impl
Error in fail: @party: HEAD of https://git.example/party has no commit abab (pinned in repos.bzl)
fatal: Not a valid commit name abab
ERROR: no such package '@party//': …
`, "@party: HEAD of https://git.example/party has no commit abab (pinned in repos.bzl)"},
		"a compiler": {`INFO: Found 1 target...
ERROR: /c/external/party/BUILD.bazel:2:4: GoCompilePkg external/party/a.wasm failed: (Exit 1): bash failed: error executing command /bin/bash -c

Use --sandbox_debug to see verbose messages from the sandbox
external/party/function/main.go:12:7: undefined: nope` + "\x1b[2J" + `
INFO: Elapsed time: 1.811s
`, "it does not build: GoCompilePkg of @party failed (Exit 1)\n  external/party/function/main.go:12:7: undefined: nope[2J"},
		"a BUILD file": {`ERROR: /c/external/typo/BUILD.bazel:2:1: syntax error at 'outdent': expected expression
ERROR: Analysis of target '//:deploy.typo' failed; build aborted: …
`, "@typo BUILD.bazel:2:1: syntax error at 'outdent': expected expression"},
		"a rule of the team's": {`ERROR: /c/external/quote/BUILD.bazel:2:4: in own rule @quote//:quote: 
Traceback (most recent call last):
	File "/c/external/quote/own.bzl", line 3, column 26, in _impl
		return [FunctionInfo(name = "payments")]
Error: unexpected keyword name in call to instantiate provider FunctionInfo
ERROR: Analysis of target '//:deploy.quote' failed; build aborted: …
`, "@quote BUILD.bazel:2:4: in own rule @quote//:quote: unexpected keyword name in call to instantiate provider FunctionInfo"},
		"nothing": {"", "Bazel failed and did not say why: run `bazel build` on it"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := reason(tc.printed).Error(); got != tc.want {
				t.Errorf("reason is\n%s\nwant\n%s", got, tc.want)
			}
		})
	}
}

func TestReasonOfHostileOutput(t *testing.T) {
	for name, printed := range map[string]string{
		"no action":  "ERROR: BUILD:1:1:   failed (Exit 1)\n",
		"repository": "ERROR: /x/external/\x1b[2J/BUILD:1:1: Go failed (Exit 1)\n",
		"action":     "ERROR: BUILD:1:1: \x1b[2J failed (\x1b]0;x\x07)\n",
	} {
		t.Run(name, func(t *testing.T) {
			if got := reason(printed).Error(); strings.ContainsAny(got, "\x1b\x07") {
				t.Errorf("%q", got)
			}
		})
	}
}
