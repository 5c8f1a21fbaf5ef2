package identity

import (
	"regexp"
	"strings"
)

var notInName = regexp.MustCompile(`[^a-z0-9-]+`)

// ClientNameOf makes a client's name of the name that somebody logs in to a machine with.
func ClientNameOf(login string) string {
	name := strings.Trim(notInName.ReplaceAllString(strings.ToLower(login), "-"), "-")
	if len(name) > maxClientName || name == "" || name[0] < 'a' {
		return "operator"
	}
	return name
}
