// Package fx is the API of the function "fx": converting an amount of money between currencies. It owns the types of
// the call and what is fixed about a currency; it knows no rates.
package fx

import "countersign.internal/sdk"

// ConvertRequest asks for an amount in another currency.
type ConvertRequest struct {
	Amount int64  `json:"amount"` // in minor units of From (cents, yen); may be negative
	From   string `json:"from"`   // ISO 4217 code
	To     string `json:"to"`     // ISO 4217 code
}

// ConvertReply is the converted amount.
type ConvertReply struct {
	Amount   int64  `json:"amount"`   // in minor units of Currency, rounded half to even
	Currency string `json:"currency"` // ISO 4217 code
	// Rate is what one major unit of the source currency is worth, a decimal with up to 6 digits after the point.
	// It is for people: Amount comes from the unrounded cross rate.
	Rate string `json:"rate"`
	AsOf string `json:"as_of"` // date of the rate table, ISO 8601
}

// Convert is the function. It fails for a currency that it does not know and for an amount that does not fit.
var Convert = sdk.Define[ConvertRequest, ConvertReply]("fx")

// digits are ISO 4217's minor unit exponents of the currencies that Convert knows.
var digits = map[string]int{
	"AUD": 2, "BHD": 3, "CHF": 2, "EUR": 2, "GBP": 2, "JPY": 0, "NOK": 2, "NZD": 2, "SEK": 2, "USD": 2,
}

// Digits returns how many digits after the point an amount in the currency has, 2 for EUR: its minor unit is
// 10^-Digits. ok is false for a currency that Convert does not know.
func Digits(currency string) (n int, ok bool) {
	n, ok = digits[currency]
	return n, ok
}
