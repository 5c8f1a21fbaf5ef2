// Command function implements the function "fx". It owns the rate table and the rounding.
package main

import (
	"context"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strings"

	"countersign.example/fx"
	"countersign.internal/sdk"
)

func init() { sdk.Handle(fx.Convert, convert) }

func main() { sdk.Main() }

// The table is sample data of realistic size, not market data. A rate is what one euro is worth, in millionths.
const (
	asOf  = "2025-06-30"
	scale = 1_000_000
)

var perEuro = map[string]int64{
	"AUD": 1_790_000,
	"BHD": 442_000,
	"CHF": 935_000,
	"EUR": scale,
	"GBP": 855_000,
	"JPY": 169_000_000,
	"NOK": 11_835_000,
	"NZD": 1_933_000,
	"SEK": 11_145_000,
	"USD": 1_172_000,
}

func convert(_ context.Context, req fx.ConvertRequest) (fx.ConvertReply, error) {
	for _, currency := range []string{req.From, req.To} {
		if _, ok := perEuro[currency]; !ok {
			known := slices.Sorted(maps.Keys(perEuro))
			return fx.ConvertReply{}, fmt.Errorf("no rate for currency %q; known are %s",
				currency, strings.Join(known, ", "))
		}
	}
	rate := crossRate(req.From, req.To)
	exact := new(big.Rat).Mul(rate, new(big.Rat).SetInt64(req.Amount))
	exact.Mul(exact, new(big.Rat).SetFrac(minorPerMajor(req.To), minorPerMajor(req.From)))
	amount := roundHalfEven(exact)
	if !amount.IsInt64() {
		return fx.ConvertReply{}, fmt.Errorf("%d minor units of %s are too much to express in %s",
			req.Amount, req.From, req.To)
	}
	return fx.ConvertReply{
		Amount:   amount.Int64(),
		Currency: req.To,
		Rate:     decimal(rate),
		AsOf:     asOf,
	}, nil
}

// crossRate returns what one major unit of from is worth in major units of to, through the euro and unrounded.
func crossRate(from, to string) *big.Rat { return big.NewRat(perEuro[to], perEuro[from]) }

// minorPerMajor returns 100 for EUR, 1 for JPY.
func minorPerMajor(currency string) *big.Int {
	digits, _ := fx.Digits(currency)
	return new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(digits)), nil)
}

// roundHalfEven rounds to the nearest integer, and to the even one of two: over many conversions the errors cancel,
// and converting -x gives the negative of converting x.
func roundHalfEven(x *big.Rat) *big.Int {
	quotient, rest := new(big.Int).QuoRem(x.Num(), x.Denom(), new(big.Int))
	twice := rest.Abs(rest)
	twice.Lsh(twice, 1)
	half := twice.Cmp(x.Denom())
	if half > 0 || half == 0 && quotient.Bit(0) == 1 {
		quotient.Add(quotient, big.NewInt(int64(x.Sign())))
	}
	return quotient
}

// decimal writes a rate with at most 6 digits after the point and no trailing zeros.
func decimal(rate *big.Rat) string {
	return strings.TrimSuffix(strings.TrimRight(rate.FloatString(6), "0"), ".")
}
