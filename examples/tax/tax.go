// Package tax is the API of the function "tax": which rate of value added, goods and services or sales tax applies to
// a kind of goods in a region. It owns the types of the call and knows no rates.
package tax

import "countersign.internal/sdk"

// Categories of goods.
const (
	Standard = "standard"
	Food     = "food"  // food and drink for the home; not restaurants, not alcohol
	Books    = "books" // printed
)

// RateRequest asks for one rate.
type RateRequest struct {
	// Region is an ISO 3166-1 alpha-2 country ("DE"), a country and ISO 3166-2 subdivision where the tax is a
	// state's ("US-CA"), or "EU": sales from Germany to consumers elsewhere in the Union, below the threshold of
	// EUR 10,000 a year under which the seller's own rates apply (Council Directive 2006/112/EC, article 59c).
	Region string `json:"region"`
	// Category is Standard, Food or Books; "" means Standard.
	Category string `json:"category,omitempty"`
}

// RateReply is the rate.
type RateReply struct {
	Region   string `json:"region"`
	Category string `json:"category"`
	// BasisPoints is the rate in hundredths of a percent: 1900 is 19 %.
	BasisPoints int `json:"basis_points"`
}

// Rate is the function. It fails for a region or a category that it does not know: no rate is ever guessed.
var Rate = sdk.Define[RateRequest, RateReply]("tax")
