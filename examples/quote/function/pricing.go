package main

import (
	"context"
	"fmt"

	"countersign.example/fx"
	"countersign.example/quote"
	"countersign.example/tax"
)

// pricing prices the lines of one basket. It asks tax once per category and fx once per article.
type pricing struct {
	region, currency string

	taxes     map[string]int   // category -> basis points
	prices    map[string]int64 // SKU -> price in minor units of currency
	ratesAsOf string
}

// line prices one item. The unit price is converted and rounded first and multiplied then, so that a customer can
// check the line with the figures on it.
func (p *pricing) line(ctx context.Context, item quote.Item) (quote.Line, error) {
	article := articles[item.SKU]
	rate, err := p.taxRate(ctx, article.category)
	if err != nil {
		return quote.Line{}, err
	}
	unit, err := p.unitPrice(ctx, item.SKU, article.price)
	if err != nil {
		return quote.Line{}, err
	}
	net := unit * int64(item.Quantity)
	return quote.Line{
		SKU:            item.SKU,
		Name:           article.name,
		Quantity:       item.Quantity,
		UnitPrice:      unit,
		Net:            net,
		TaxBasisPoints: rate,
		Tax:            share(net, rate),
	}, nil
}

func (p *pricing) taxRate(ctx context.Context, category string) (int, error) {
	if rate, ok := p.taxes[category]; ok {
		return rate, nil
	}
	reply, err := tax.Rate.Call(ctx, tax.RateRequest{Region: p.region, Category: category})
	if err != nil {
		return 0, fmt.Errorf("tax on %s in region %q: %w", category, p.region, err)
	}
	p.taxes[category] = reply.BasisPoints
	return reply.BasisPoints, nil
}

func (p *pricing) unitPrice(ctx context.Context, sku string, listed int64) (int64, error) {
	if p.currency == listCurrency {
		return listed, nil
	}
	if unit, ok := p.prices[sku]; ok {
		return unit, nil
	}
	reply, err := fx.Convert.Call(ctx, fx.ConvertRequest{Amount: listed, From: listCurrency, To: p.currency})
	if err != nil {
		return 0, fmt.Errorf("price of %q in %s: %w", sku, p.currency, err)
	}
	p.prices[sku], p.ratesAsOf = reply.Amount, reply.AsOf
	return reply.Amount, nil
}

// share returns basisPoints of net, rounded half away from zero. Neither is negative.
func share(net int64, basisPoints int) int64 { return (net*int64(basisPoints) + 5000) / 10_000 }
