package main

import (
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestBudget has no time for any mutant: what was left out is told, with the command that judges it.
func TestBudget(t *testing.T) {
	checkout(t, nil)
	o := options{lists: "checks", base: "HEAD", run: regexp.MustCompile("^[a-z]+$"), jobs: 2, budget: time.Nanosecond}
	write(t, "go.mod", files["go.mod"]+"\n") // so all differ
	var out strings.Builder
	if ok, err := o.all(t.Context(), &out); !ok || err != nil || !strings.Contains(out.String(), "ok  \t0 of 5 mutants were judged") {
		t.Errorf("%v, %v: %s", ok, err, &out)
	}
	command := regexp.MustCompile(`(?m)^5 mutants were not judged: .*\n  tools/mutate -changed HEAD -run '\^\[a-z\]\+\$' -order (\w+) -from (\w+)$`)
	rest := command.FindStringSubmatch(out.String())
	if rest == nil {
		t.Fatal(&out)
	}
	out.Reset()
	o.budget, o.order, o.from = 0, rest[1], rest[2]
	if ok, err := o.all(t.Context(), &out); !ok || err != nil || !strings.Contains(out.String(), "all of 5 mutants were killed") {
		t.Errorf("%v, %v: %s", ok, err, &out)
	}
	all, err := readLists("checks")
	if err != nil {
		t.Fatal(err)
	}
	shuffle(all, o.order)
	o.base = ""
	o.from = all[3].name
	if checks, err := o.choose(t.Context(), all); err != nil || len(checks) != 2 || checks[0].name != all[3].name || checks[1].name != all[4].name {
		t.Errorf("from the fourth: %v, %v", names(checks), err)
	}
	o.from = "nothing"
	if checks, err := o.choose(t.Context(), all); err == nil {
		t.Errorf("from what is not there: %v", names(checks))
	}
}

// TestBudgetChecksAll has no time for any mutant, and entries that are wrong: those that do not fit the code and those
// that do not compile are found all the same, and no others.
func TestBudgetChecksAll(t *testing.T) {
	const head = "why: something\nfile: a/a.go\ntest: ./a TestSmall\n"
	checkout(t, map[string]string{"checks/b.txt": "check: stale\n" + head + "! if n > 8 {\n\n" +
		"check: uncompiled\n" + head + "-return n != 4\n+return nobody\n\n" +
		"check: uncompiled switch\n" + head + "> nobody()\n return n != 4\n\n" +
		"check: conflicting\n" + head + "-return n != 4\n+yes := n != 5\n+return yes\n"})
	for base, want := range map[string]string{"": "FAIL\t0 of 9 mutants survived, 3 are broken", "HEAD": "FAIL\t0 of 0 mutants survived, 1 are broken"} {
		o := options{lists: "checks", base: base, run: regexp.MustCompile(""), jobs: 2, budget: time.Nanosecond}
		var out strings.Builder
		ok, err := o.all(t.Context(), &out)
		if ok || err != nil || !strings.Contains(out.String(), want) || !strings.Contains(out.String(), "BROKEN    stale (") {
			t.Errorf("%q: %v, %v: %s", base, ok, err, &out)
		}
	}
}

// TestOrder is another one at another commit, and goes package by package.
func TestOrder(t *testing.T) {
	var checks []check
	for _, name := range strings.Split("abcdefghijklmnopqrst", "") {
		pkg := "./" + strings.Repeat("x", 1+len(checks)%3)
		checks = append(checks, check{name: name, tests: []testName{{pkg, "TestIt"}}})
	}
	at := func(commit string) (order []string, packages int) {
		list := slices.Clone(checks)
		shuffle(list, commit)
		last := ""
		for _, c := range list {
			order = append(order, c.name)
			if pkg := c.tests[0].pkg; pkg != last {
				last = pkg
				packages++
			}
		}
		return order, packages
	}
	one, packages := at("0123456789ab")
	again, _ := at("0123456789ab")
	other, _ := at("ba9876543210")
	if packages != 3 || !slices.Equal(one, again) || slices.Equal(one, other) {
		t.Errorf("%d packages; %v, %v, %v", packages, one, again, other)
	}
}
