package routes

import (
	"fmt"
	"strconv"
	"strings"
)

// Share is a part of the calls of a function, in hundredths of a percent: 1250 is 12.5 %. The zero value is none.
type Share int

// Whole is all calls.
const Whole Share = 10000

// ParseShare reads a share such as "10%", "10" or "12.5%": more than 0, less than 100, with at most two decimals.
func ParseShare(s string) (Share, error) {
	wrong := fmt.Errorf("%q is not a share of the calls such as 10%% or 12.5%%: more than 0, less than 100, "+
		"with at most two decimals", s)
	whole, decimals, dotted := strings.Cut(strings.TrimSuffix(s, "%"), ".")
	if dotted && decimals == "" || len(decimals) > 2 || len(whole) > 2 || !isDigits(whole) || !isDigits(decimals+"0") {
		return 0, wrong
	}
	n, err := strconv.Atoi(whole + (decimals + "00")[:2])
	if err != nil || n <= 0 || n >= int(Whole) {
		return 0, wrong
	}
	return Share(n), nil
}

func isDigits(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}

// String returns the share in percent: "12.5%".
func (s Share) String() string {
	return strconv.FormatFloat(float64(s)/100, 'f', -1, 64) + "%"
}

// MarshalText implements encoding.TextMarshaler with String.
func (s Share) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// weight is the share as a service-splitter has it. Hundredths survive float32.
func (s Share) weight() float32 { return float32(s) / 100 }

// shareOf reads a weight of a service-splitter.
func shareOf(weight float32) Share { return Share(float64(weight)*100 + 0.5) }
