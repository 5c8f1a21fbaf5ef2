package main

import (
	"strings"
	"testing"

	"countersign.example/tax"
)

func TestRate(t *testing.T) {
	for _, tc := range []struct {
		region, category string
		want             tax.RateReply
	}{
		{"EU", tax.Food, tax.RateReply{Region: "EU", Category: tax.Food, BasisPoints: 700}},
		{"DE", "", tax.RateReply{Region: "DE", Category: tax.Standard, BasisPoints: 1900}},
		{"GB", tax.Books, tax.RateReply{Region: "GB", Category: tax.Books, BasisPoints: 0}},
		{"US-OR", tax.Standard, tax.RateReply{Region: "US-OR", Category: tax.Standard, BasisPoints: 0}},
	} {
		got, err := tax.Rate.Call(t.Context(), tax.RateRequest{Region: tc.region, Category: tc.category})
		if err != nil || got != tc.want {
			t.Errorf("Rate(%q, %q) = %+v, %v; want %+v", tc.region, tc.category, got, err, tc.want)
		}
	}
}

func TestUnknownIsNeverGuessed(t *testing.T) {
	for _, tc := range []struct{ region, category, want string }{
		{"", tax.Food, `region ""`},
		{"eu", tax.Food, `region "eu"`},
		{"US", tax.Food, "US-CA, US-OR"},
		{"DE", "toys", `category "toys"`},
	} {
		got, err := tax.Rate.Call(t.Context(), tax.RateRequest{Region: tc.region, Category: tc.category})
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("Rate(%q, %q) = %+v, %v; want an error with %s", tc.region, tc.category, got, err, tc.want)
		}
	}
}

// A reduced rate above the standard one, or one of 100 %, is a slip of the pen in the table.
func TestTableIsPlausible(t *testing.T) {
	for region, r := range table {
		for _, bp := range []int{r.standard, r.food, r.books} {
			if bp < 0 || bp > r.standard || bp > 3000 {
				t.Errorf("region %s: rate of %d basis points (standard: %d)", region, bp, r.standard)
			}
		}
	}
}
