package main

import "countersign.example/tax"

// article is an entry of the price list.
type article struct {
	name     string
	category string // of tax
	price    int64  // in minor units of listCurrency, without tax
}

// listCurrency is the currency of the price list.
const listCurrency = "GBP"

var articles = map[string]article{
	"atlas":    {"Atlas of tea gardens", tax.Books, 2450},
	"biscuits": {"Butter biscuits, 300 g", tax.Food, 395},
	"coffee":   {"Coffee beans, 500 g", tax.Food, 890},
	"kettle":   {"Kettle, 1.2 l", tax.Standard, 5999},
	"mug":      {"Stoneware mug", tax.Standard, 1250},
	"tea":      {"Darjeeling, first flush, 100 g", tax.Food, 1180},
	"teapot":   {"Teapot, cast iron", tax.Standard, 4800},
}

// currencies are the regions' own.
var currencies = map[string]string{
	"AU":    "AUD",
	"CH":    "CHF",
	"DE":    "EUR",
	"EU":    "EUR",
	"FR":    "EUR",
	"GB":    "GBP",
	"JP":    "JPY",
	"NL":    "EUR",
	"NO":    "NOK",
	"NZ":    "NZD",
	"US-CA": "USD",
	"US-OR": "USD",
}
