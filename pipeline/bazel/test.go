package bazel

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"countersign/pipeline/load"
	"countersign/vaultsign/attest"
)

// Test runs the tests that cover functions, which were built. Those of a function are all tests of its repository that
// depend on anything in the repository that the function is made of, too: also those of a package that it imports, and not
// those of another function beside it. passed has the functions of which all passed, or that have none.
func (w *Workspace) Test(ctx context.Context, names []string, tell func(string)) (
	passed map[string]attest.Tests, failed []load.Left, err error) {
	if err := w.check(names); err != nil {
		return nil, nil, err
	}
	covering := map[string][]string{} // function -> its tests
	var all []string
	for _, name := range names {
		tests, err := w.testsOf(ctx, name, tell)
		var broken *BuildError
		if errors.As(err, &broken) {
			failed = append(failed, load.Left{Function: name, Err: fmt.Errorf("its tests can't be found: %w", err)})
			continue
		}
		if err != nil {
			return nil, nil, err
		}
		covering[name] = tests
		all = append(all, tests...)
	}
	slices.Sort(all)
	wrong, err := w.runTests(ctx, slices.Compact(all), tell)
	if err != nil {
		return nil, nil, err
	}
	passed = map[string]attest.Tests{}
	for name, tests := range covering {
		i := slices.IndexFunc(tests, func(t string) bool { return wrong[t] != nil })
		switch {
		case len(tests) == 0:
			passed[name] = attest.TestsNone
		case i < 0:
			passed[name] = attest.TestsPassed
		default:
			failed = append(failed, load.Left{Function: name, Err: wrong[tests[i]]})
		}
	}
	slices.SortFunc(failed, func(a, b load.Left) int { return strings.Compare(a.Function, b.Function) })
	return passed, failed, nil
}

// testsOf returns the labels of the tests that cover a function.
func (w *Workspace) testsOf(ctx context.Context, name string, tell func(string)) ([]string, error) {
	function := w.functions[name].Target
	repository, _, _ := strings.Cut(function, "//")
	everything := repository + "//..."
	parts := fmt.Sprintf("kind(rule, deps(%s) intersect %s)", function, everything)
	// A package of the team's that can't be loaded may have tests that count.
	if _, printed, err := w.query(ctx, tell, "--output=label", everything); err != nil {
		return nil, w.failed(printed, err)
	}
	labels, printed, err := w.queryDeps(ctx, tell, fmt.Sprintf("tests(rdeps(%s, %s))", everything, parts))
	if err != nil {
		return nil, w.failed(printed, err)
	}
	return labels, nil
}

// testTime bounds how long a test of each size may take, in seconds: the deploy holds its lock meanwhile, and a team's "eternal" is an
// hour.
const testTime = "--test_timeout=60,300,600,600"

// runTests runs tests and returns, for each that did not pass, why.
func (w *Workspace) runTests(ctx context.Context, tests []string, tell func(string)) (map[string]error, error) {
	if len(tests) == 0 {
		return nil, nil
	}
	_, err := w.build(ctx, tell, "test", append([]string{"--keep_going", "--test_output=summary", testTime}, tests...)...)
	if err == nil || !refused(err) {
		return nil, err
	}
	// One at a time, which is quick for those that passed: whose exit code it is, nothing that a test prints can change.
	wrong := map[string]error{}
	for _, test := range tests {
		printed, err := w.build(ctx, tell, "test", "--test_output=summary", testTime, test)
		if err == nil {
			continue
		}
		if !refused(err) {
			return nil, err
		}
		wrong[test] = w.testFailure(test, printed)
	}
	return wrong, nil
}

// ran matches what Bazel prints of a test that was run and did not pass.
var ran = regexp.MustCompile(`(?m)^(FAIL|TIMEOUT): |(FAILED|TIMEOUT) in `)

// testFailure says why a test did not pass: what it printed last, or why it could not be built.
func (w *Workspace) testFailure(test, printed string) error {
	repository, rest, _ := strings.Cut(strings.TrimLeft(test, "@"), "//")
	path := filepath.Join(w.testLogs(), "external", repository, strings.Replace(rest, ":", "/", 1), "test.log")
	log, err := os.ReadFile(path)
	if err != nil || !ran.MatchString(printed) {
		return fmt.Errorf("its test %s can't be run: %w", test, reason(printed))
	}
	lines := strings.Split(strings.TrimSpace(string(log)), "\n")
	lines = lines[max(0, len(lines)-maxReason):]
	for i, line := range lines {
		lines[i] = "  " + plain(line)
	}
	return &BuildError{fmt.Sprintf("its test %s fails\n%s", test, strings.Join(lines, "\n"))}
}

// testLogs is where Bazel keeps what tests print.
func (w *Workspace) testLogs() string {
	bin := w.bin
	for filepath.Base(bin) != "bin" && bin != "/" {
		bin = filepath.Dir(bin)
	}
	return filepath.Join(filepath.Dir(bin), "testlogs")
}
