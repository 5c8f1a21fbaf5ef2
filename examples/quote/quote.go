// Package quote is the API of the function "quote": what a basket costs in a region, taxes included. It owns the types
// of the call; it knows no prices, rates or taxes.
package quote

import "countersign.internal/sdk"

// Request asks for the price of a basket, given either as Items or, for a single article, as SKU and Quantity.
type Request struct {
	Items []Item `json:"items,omitempty"`

	SKU      string `json:"sku,omitempty"`
	Quantity int    `json:"quantity,omitempty"` // of SKU; 0 means 1

	// Region is where the goods go to, as in tax.RateRequest: "DE", "US-CA", "EU".
	Region string `json:"region"`
	// Currency is an ISO 4217 code; "" means the region's own.
	Currency string `json:"currency,omitempty"`
}

// Item is one line of a basket.
type Item struct {
	SKU      string `json:"sku"`
	Quantity int    `json:"quantity"` // 1 to 10000
}

// Reply is the price. All amounts are in minor units of Currency (cents, yen).
type Reply struct {
	Currency string `json:"currency"`
	Lines    []Line `json:"lines"` // in the order of the request

	Net   int64 `json:"net"`   // sum of the lines' Net
	Tax   int64 `json:"tax"`   // sum of the lines' Tax
	Total int64 `json:"total"` // Net + Tax

	// RatesAsOf is the date of the exchange rates, ISO 8601; "" if the price list is in Currency already.
	RatesAsOf string `json:"rates_as_of,omitempty"`
}

// Line is the price of one item.
type Line struct {
	SKU       string `json:"sku"`
	Name      string `json:"name"`
	Quantity  int    `json:"quantity"`
	UnitPrice int64  `json:"unit_price"` // without tax
	Net       int64  `json:"net"`        // Quantity * UnitPrice
	// TaxBasisPoints is the rate of tax in hundredths of a percent.
	TaxBasisPoints int   `json:"tax_basis_points"`
	Tax            int64 `json:"tax"` // Net * rate, rounded to the minor unit, half away from zero
}

// Quote is the function. It fails for an article, a region or a currency that is not known.
var Quote = sdk.Define[Request, Reply]("quote")
