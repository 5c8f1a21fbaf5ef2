package hclspec

import (
	"fmt"
	"math"
	"math/big"
	"regexp"
	"strconv"
	"strings"
	"time"
)

var (
	exactSize = regexp.MustCompile(`^([0-9]+)(B|KiB|MiB|GiB|TiB)$`)
	looseSize = regexp.MustCompile(`^\s*([0-9]{1,18}(?:\.[0-9]{1,9})?)\s*([KkMmGgTt]?)(?:[Ii]?[Bb]?)\s*$`)
	looseTime = regexp.MustCompile(`^\s*([0-9]{1,9})\s*([A-Za-z]*)\s*$`)
)

var sizeUnits = map[string]int64{"B": 1, "KiB": kiB, "MiB": miB, "GiB": giB, "TiB": tiB}

// parseSize reads a size such as "64MiB". If text is none, ok is false and fix says what to write. A size beyond 64
// bits becomes the largest that there is: it is out of every range.
func parseSize(text string) (bytes int64, fix string, ok bool) {
	m := exactSize.FindStringSubmatch(text)
	if m == nil {
		return 0, adviseSize(text), false
	}
	unit := sizeUnits[m[2]]
	n, err := strconv.ParseInt(m[1], 10, 64)
	if err != nil || n > math.MaxInt64/unit {
		return math.MaxInt64, "", true
	}
	return n * unit, "", true
}

func adviseSize(text string) string {
	const form = `Write a whole number and a unit (B, KiB, MiB, GiB or TiB) without a space, such as "64MiB".`
	m := looseSize.FindStringSubmatch(text)
	if m == nil {
		return form
	}
	unit := map[string]int64{"": 1, "k": kiB, "m": miB, "g": giB, "t": tiB}[strings.ToLower(m[2])]
	number, ok := new(big.Rat).SetString(m[1])
	if !ok {
		return form
	}
	number.Mul(number, new(big.Rat).SetInt64(unit))
	if !number.IsInt() || !number.Num().IsInt64() {
		return form
	}
	if m[2] == "" && !strings.ContainsAny(text, "Bb") { // a number alone is meant as megabytes more often than not
		return fmt.Sprintf(`%s Did you mean "%sMiB"?`, form, m[1])
	}
	return fmt.Sprintf(`%s Did you mean %q?`, form, formatSize(number.Num().Int64()))
}

// formatSize writes n with the largest unit that divides it.
func formatSize(n int64) string {
	for _, u := range []string{"TiB", "GiB", "MiB", "KiB"} {
		if n != 0 && n%sizeUnits[u] == 0 {
			return strconv.FormatInt(n/sizeUnits[u], 10) + u
		}
	}
	return strconv.FormatInt(n, 10) + "B"
}

// parseDuration reads a duration such as "2s". If text is none, ok is false and fix says what to write.
func parseDuration(text string) (d time.Duration, fix string, ok bool) {
	if d, err := time.ParseDuration(text); err == nil {
		return d, "", true
	}
	fix = `Write a number and a unit (ms, s, m or h) without a space, such as "2s" or "1m30s".`
	m := looseTime.FindStringSubmatch(text)
	if m == nil {
		return 0, fix, false
	}
	unit := strings.ToLower(m[2])
	switch {
	case unit == "" || strings.HasPrefix(unit, "s"):
		fix += fmt.Sprintf(` Did you mean "%ss"?`, m[1])
	case strings.HasPrefix(unit, "ms") || strings.HasPrefix(unit, "mil"):
		fix += fmt.Sprintf(` Did you mean "%sms"?`, m[1])
	case strings.HasPrefix(unit, "m"):
		fix += fmt.Sprintf(` Did you mean "%sm"?`, m[1])
	case strings.HasPrefix(unit, "h"):
		fix += fmt.Sprintf(` Did you mean "%sh"?`, m[1])
	}
	return 0, fix, false
}

// formatDuration writes d without units that are zero: "1h", not "1h0m0s".
func formatDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
