package main

import (
	"math"
	"math/big"
	"strings"
	"testing"

	"countersign.example/fx"
)

func TestConvert(t *testing.T) {
	for _, tc := range []struct {
		amount   int64
		from, to string
		want     int64
		rate     string
	}{
		{1000, "EUR", "EUR", 1000, "1"},
		{1000, "EUR", "USD", 1172, "1.172"},
		{1000, "EUR", "JPY", 1690, "169"}, // from two digits to none
		{1690, "JPY", "EUR", 1000, "0.005917"},
		{1000, "EUR", "BHD", 4420, "0.442"}, // to three digits
		{420, "GBP", "EUR", 491, "1.169591"},
		{1000, "GBP", "USD", 1371, "1.370760"}, // through the euro
		{-1000, "EUR", "USD", -1172, "1.172"},
		{0, "CHF", "NOK", 0, "12.657754"},
	} {
		got, err := fx.Convert.Call(t.Context(), fx.ConvertRequest{Amount: tc.amount, From: tc.from, To: tc.to})
		want := fx.ConvertReply{Amount: tc.want, Currency: tc.to, Rate: strings.TrimRight(tc.rate, "0"), AsOf: asOf}
		if err != nil || got != want {
			t.Errorf("%d %s in %s = %+v, %v; want %+v", tc.amount, tc.from, tc.to, got, err, want)
		}
	}
}

func TestConvertRefuses(t *testing.T) {
	for _, tc := range []struct {
		req  fx.ConvertRequest
		want string
	}{
		{fx.ConvertRequest{Amount: 1, From: "XXX", To: "EUR"}, `currency "XXX"`},
		{fx.ConvertRequest{Amount: 1, From: "EUR", To: "eur"}, `currency "eur"`},
		{fx.ConvertRequest{Amount: 1, From: "EUR"}, `currency ""`},
		{fx.ConvertRequest{Amount: math.MaxInt64, From: "EUR", To: "USD"}, "too much"},
		{fx.ConvertRequest{Amount: math.MinInt64, From: "EUR", To: "USD"}, "too much"},
	} {
		got, err := fx.Convert.Call(t.Context(), tc.req)
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%+v = %+v, %v; want an error with %q", tc.req, got, err, tc.want)
		}
	}
}

func TestRoundHalfEven(t *testing.T) {
	for _, tc := range []struct{ num, denom, want int64 }{
		{1, 2, 0}, {3, 2, 2}, {5, 2, 2}, {-1, 2, 0}, {-3, 2, -2}, {-5, 2, -2},
		{1, 3, 0}, {2, 3, 1}, {-2, 3, -1}, {7, 1, 7}, {0, 1, 0},
	} {
		if got := roundHalfEven(big.NewRat(tc.num, tc.denom)); got.Int64() != tc.want {
			t.Errorf("%d/%d rounds to %d, want %d", tc.num, tc.denom, got, tc.want)
		}
	}
}

// The table and the currencies of the API are kept in two places: they must name the same ones.
func TestTableIsComplete(t *testing.T) {
	for currency, rate := range perEuro {
		if _, ok := fx.Digits(currency); !ok || rate <= 0 {
			t.Errorf("%s: rate %d, known to the API: %v", currency, rate, ok)
		}
	}
	for _, currency := range []string{"AUD", "BHD", "CHF", "EUR", "GBP", "JPY", "NOK", "NZD", "SEK", "USD"} {
		if perEuro[currency] == 0 {
			t.Errorf("%s has no rate", currency)
		}
	}
}
