package hclspec

import (
	"fmt"
	"slices"
	"strings"
)

// UnknownFunctionError says that a function of some name is not where it was looked for.
type UnknownFunctionError struct {
	Name  string
	Where string   // such as "in repos.bzl"
	Known []string // the names of the functions that are there
}

// Error implements error.
func (e *UnknownFunctionError) Error() string {
	text := fmt.Sprintf("there is no function %q %s", e.Name, e.Where)
	switch near := nearest(e.Name, e.Known); {
	case near != "":
		return text + fmt.Sprintf("; did you mean %q?", near)
	case len(e.Known) == 0:
		return text + ", nor any other"
	}
	return text + "; there are " + strings.Join(slices.Sorted(slices.Values(e.Known)), ", ")
}

// nearest returns the candidate that name is most likely a typing error of, or "".
func nearest(name string, candidates []string) string {
	best, bestDistance := "", max(1, min(len(name)/3, 3))+1
	for _, c := range candidates {
		if abs(len(c)-len(name)) >= bestDistance || c == name {
			continue
		}
		if d := distance(name, c); d < bestDistance && d < len(name) {
			best, bestDistance = c, d
		}
	}
	return best
}

// distance counts the insertions, deletions, changes and swaps of neighbours between a and b, in bytes: names are
// ASCII, and for others a rough answer will do.
func distance(a, b string) int {
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			change := last[j-1]
			if a[i-1] != b[j-1] {
				change++
			}
			row[j] = min(last[j]+1, row[j-1]+1, change)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}

func abs(n int) int { return max(n, -n) }
