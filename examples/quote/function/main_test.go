package main

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"testing"

	"countersign.example/fx"
	"countersign.example/quote"
	"countersign.example/tax"
	"countersign.internal/sdk"
	"countersign.internal/sdk/sdktest"
)

// calls counts what a test's stubs were asked.
type calls struct{ tax, fx int }

// stub stands in for tax (5 % on food, 20 % on the rest) and fx (one pound is two of any other currency).
func stub(t *testing.T) *calls {
	t.Helper()
	var n calls
	sdktest.Stub(t, tax.Rate, func(_ context.Context, req tax.RateRequest) (tax.RateReply, error) {
		n.tax++
		rate := 2000
		if req.Category == tax.Food {
			rate = 500
		}
		return tax.RateReply{Region: req.Region, Category: req.Category, BasisPoints: rate}, nil
	})
	sdktest.Stub(t, fx.Convert, func(_ context.Context, req fx.ConvertRequest) (fx.ConvertReply, error) {
		n.fx++
		return fx.ConvertReply{Amount: 2 * req.Amount, Currency: req.To, Rate: "2", AsOf: "2025-01-02"}, nil
	})
	return &n
}

func item(sku string, quantity int) quote.Item { return quote.Item{SKU: sku, Quantity: quantity} }

func TestSingleArticle(t *testing.T) {
	stub(t)
	got, err := quote.Quote.Call(t.Context(), quote.Request{SKU: "tea", Region: "EU"})
	want := quote.Reply{
		Currency: "EUR",
		Lines: []quote.Line{{
			SKU: "tea", Name: "Darjeeling, first flush, 100 g", Quantity: 1,
			UnitPrice: 2360, Net: 2360, TaxBasisPoints: 500, Tax: 118,
		}},
		Net: 2360, Tax: 118, Total: 2478,
		RatesAsOf: "2025-01-02",
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v\nwant %+v", got, err, want)
	}
}

func TestBasket(t *testing.T) {
	n := stub(t)
	got, err := quote.Quote.Call(t.Context(), quote.Request{
		Items:    []quote.Item{item("mug", 3), item("tea", 2), item("biscuits", 1), item("mug", 1)},
		Region:   "DE",
		Currency: "CHF",
	})
	if err != nil {
		t.Fatal(err)
	}
	net := int64(2 * (3*1250 + 2*1180 + 395 + 1250))
	taxes := int64(1500 + 236 + 40 + 500) // 39.5 is rounded up
	if got.Currency != "CHF" || got.Net != net || got.Tax != taxes || got.Total != net+taxes || len(got.Lines) != 4 {
		t.Errorf("got %+v, want net %d, tax %d", got, net, taxes)
	}
	if want := (calls{tax: 2, fx: 3}); *n != want {
		t.Errorf("made %+v calls, want %+v: one per category, one per article", *n, want)
	}
}

func TestListCurrencyNeedsNoConversion(t *testing.T) {
	n := stub(t)
	got, err := quote.Quote.Call(t.Context(), quote.Request{SKU: "kettle", Quantity: 10, Region: "GB"})
	if err != nil || got.Net != 59_990 || got.Currency != "GBP" || got.RatesAsOf != "" || n.fx != 0 {
		t.Errorf("got %+v, %v after %d conversions", got, err, n.fx)
	}
}

func TestRefusals(t *testing.T) {
	n := stub(t)
	for _, tc := range []struct {
		req  quote.Request
		want string
	}{
		{quote.Request{Region: "EU"}, "basket is empty"},
		{quote.Request{Region: "EU", Quantity: 2}, `needs a "sku"`},
		{quote.Request{Region: "EU", SKU: "tea", Items: []quote.Item{item("mug", 1)}}, "not both"},
		{quote.Request{Region: "EU", SKU: "whisky"}, `no article "whisky"`},
		{quote.Request{Region: "EU", SKU: "tea", Quantity: -1}, "quantity -1"},
		{quote.Request{Region: "EU", Items: []quote.Item{{SKU: "tea"}}}, "quantity 0"},
		{quote.Request{Region: "EU", SKU: "tea", Quantity: maxQuantity + 1}, "quantity 10001"},
		{quote.Request{Region: "EU", Items: make([]quote.Item, maxItems+1)}, "at most 100 items"},
		{quote.Request{Region: "XX", SKU: "tea"}, `region "XX"`},
	} {
		got, err := quote.Quote.Call(t.Context(), tc.req)
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%+v = %+v, %v; want an error with %s", tc.req, got, err, tc.want)
		}
	}
	if *n != (calls{}) {
		t.Errorf("calls were made for baskets that can't be priced: %+v", *n)
	}
}

func TestFailureOfACalleeIsNamed(t *testing.T) {
	stub(t)
	sdktest.Stub(t, tax.Rate, func(context.Context, tax.RateRequest) (tax.RateReply, error) {
		return tax.RateReply{}, &sdk.Error{Code: sdk.CodeUnavailable, Function: "tax", Message: "no instance"}
	})
	_, err := price(t.Context(), quote.Request{SKU: "tea", Region: "EU"})
	if !errors.Is(err, &sdk.Error{Code: sdk.CodeUnavailable, Function: "tax"}) {
		t.Errorf("got %v, want the error of tax", err)
	}
	if err == nil || !strings.Contains(err.Error(), `tax on food in region "EU"`) {
		t.Errorf("%v does not say what was asked", err)
	}
}

func TestShare(t *testing.T) {
	for _, tc := range []struct {
		net  int64
		bp   int
		want int64
	}{{0, 1900, 0}, {100, 0, 0}, {10, 500, 1}, {9, 500, 0}, {1_000_000_000_000, 1900, 190_000_000_000}} {
		if got := share(tc.net, tc.bp); got != tc.want {
			t.Errorf("share(%d, %d) = %d, want %d", tc.net, tc.bp, got, tc.want)
		}
	}
}

// An article in a category that tax does not know could be listed, but never sold.
func TestCatalogIsSellable(t *testing.T) {
	for sku, a := range articles {
		if a.name == "" || a.price <= 0 || a.price > 10_000_000 {
			t.Errorf("%s: %+v", sku, a)
		}
		if a.category != tax.Standard && a.category != tax.Food && a.category != tax.Books {
			t.Errorf("%s: category %q is none of tax's", sku, a.category)
		}
	}
	for region, currency := range currencies {
		if _, ok := fx.Digits(currency); !ok {
			t.Errorf("%s: currency %s is none of fx's", region, currency)
		}
	}
}
