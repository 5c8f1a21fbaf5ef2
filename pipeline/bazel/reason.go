package bazel

import (
	"regexp"
	"strings"
	"unicode"
)

// maxReason bounds how many lines of a compiler or a test are shown.
const maxReason = 12

// BuildError says why Bazel did not build or test something: in one line if nothing was run, such as for a pin that can't
// be fetched, else with what the compiler or the test said.
type BuildError struct{ Reason string }

// Error implements error.
func (e *BuildError) Error() string { return e.Reason }

var (
	// refusal is what a rule of ours says. Bazel prints it at the end of a traceback.
	refusal = regexp.MustCompile(`(?m)^Error in fail: (.+)$`)
	// action is what Bazel prints ahead of what a compiler said.
	action = regexp.MustCompile(`^ERROR: (?:\S+?/external/([^/]+)/)?\S*?BUILD(?:\.bazel)?:\d+:\d+: (.+?) failed:? \((Exit \d+|[^)]*)\)`)
	other  = regexp.MustCompile(`(?m)^ERROR: (.+)$`)
	// inner is what a rule of a team's did wrong. Bazel prints it at the end of a traceback, after a line that says where.
	inner = regexp.MustCompile(`(?m)^Error(?: in \S+)?: (.+)$`)
	where = regexp.MustCompile(`^/\S+?/(?:external/([^/]+)/)?([^/\s]+:\d+:\d+): `)
	noise = regexp.MustCompile(`^(Use --sandbox_debug|INFO:|DEBUG:|WARNING:|FAILED:|Target |Loading|Analyzing|\[[0-9,]+ / |$)`)
)

// reason makes an error of what Bazel printed.
func reason(printed string) error {
	if m := refusal.FindStringSubmatch(printed); m != nil {
		return &BuildError{plain(m[1])}
	}
	lines := strings.Split(printed, "\n")
	for i, line := range lines {
		if m := action.FindStringSubmatch(line); m != nil {
			return &BuildError{said(m, lines[i+1:])}
		}
	}
	if m := other.FindStringSubmatch(printed); m != nil {
		text := where.ReplaceAllString(m[1], "$2: ")
		if w := where.FindStringSubmatch(m[1]); w != nil && w[1] != "" {
			text = where.ReplaceAllString(m[1], "@$1 $2: ")
		}
		if said := inner.FindStringSubmatch(printed); said != nil && strings.HasSuffix(strings.TrimSpace(text), ":") {
			text = strings.TrimSpace(text) + " " + said[1]
		}
		return &BuildError{plain(text)}
	}
	return &BuildError{"Bazel failed and did not say why: run `bazel build` on it"}
}

// said is what an action printed that failed.
func said(action, after []string) string {
	var out []string
	for _, line := range after {
		if strings.HasPrefix(line, "ERROR: ") || len(out) == maxReason {
			break
		}
		if !noise.MatchString(line) && !strings.HasPrefix(line, "GoCompilePkg: ") && !strings.HasPrefix(line, "compilepkg: ") {
			out = append(out, "  "+plain(line))
		}
	}
	what, _, _ := strings.Cut(strings.TrimSpace(action[2]), " ")
	if action[1] != "" {
		what += " of @" + action[1]
	}
	return strings.Join(append([]string{plain("it does not build: " + what + " failed (" + action[3] + ")")}, out...), "\n")
}

// plain is text without what a terminal would obey. Teams' programs write it.
func plain(text string) string {
	return strings.Map(func(c rune) rune {
		if c == '\t' {
			return ' '
		}
		if unicode.IsControl(c) || !unicode.IsPrint(c) {
			return -1
		}
		return c
	}, strings.ToValidUTF8(text, "?"))
}
