// Command function implements the function "tax". It owns the rate table.
package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"countersign.example/tax"
	"countersign.internal/sdk"
)

func init() { sdk.Handle(tax.Rate, rate) }

func main() { sdk.Main() }

// rates are basis points per category.
type rates struct{ standard, food, books int }

var (
	germany = rates{standard: 1900, food: 700, books: 700}

	// table holds the rates of 2025. Where one category has several rates, the one for packed groceries and
	// printed books is given.
	table = map[string]rates{
		"AU":    {standard: 1000, food: 0, books: 1000},
		"CH":    {standard: 810, food: 260, books: 260},
		"DE":    germany,
		"EU":    germany, // see tax.RateRequest
		"FR":    {standard: 2000, food: 550, books: 550},
		"GB":    {standard: 2000, food: 0, books: 0},
		"JP":    {standard: 1000, food: 800, books: 1000},
		"NL":    {standard: 2100, food: 900, books: 900},
		"NO":    {standard: 2500, food: 1500, books: 0},
		"NZ":    {standard: 1500, food: 1500, books: 1500},
		"US-CA": {standard: 725, food: 0, books: 725}, // state-wide base; districts may add to it
		"US-OR": {},                                   // has no sales tax
	}
)

func rate(_ context.Context, req tax.RateRequest) (tax.RateReply, error) {
	region, ok := table[req.Region]
	if !ok {
		known := slices.Sorted(maps.Keys(table))
		return tax.RateReply{}, fmt.Errorf("no tax rates for region %q; known are %s",
			req.Region, strings.Join(known, ", "))
	}
	reply := tax.RateReply{Region: req.Region, Category: req.Category}
	switch req.Category {
	case "", tax.Standard:
		reply.Category, reply.BasisPoints = tax.Standard, region.standard
	case tax.Food:
		reply.BasisPoints = region.food
	case tax.Books:
		reply.BasisPoints = region.books
	default:
		return tax.RateReply{}, fmt.Errorf("no category %q; known are %s, %s, %s",
			req.Category, tax.Standard, tax.Food, tax.Books)
	}
	return reply, nil
}
