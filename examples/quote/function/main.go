// Command function implements the function "quote": it prices a basket with the help of the functions tax and fx. It
// owns the price list, the limits of a basket and the order of rounding.
package main

import (
	"context"
	"errors"
	"fmt"

	"countersign.example/quote"
	"countersign.internal/sdk"
)

func init() { sdk.Handle(quote.Quote, price) }

func main() { sdk.Main() }

// The limits keep every sum far inside 64 bits, whatever the currency.
const (
	maxItems    = 100
	maxQuantity = 10_000
)

func price(ctx context.Context, req quote.Request) (quote.Reply, error) {
	items, err := basket(req)
	if err != nil {
		return quote.Reply{}, err
	}
	currency, err := currencyOf(req)
	if err != nil {
		return quote.Reply{}, err
	}
	p := pricing{region: req.Region, currency: currency, taxes: map[string]int{}, prices: map[string]int64{}}
	reply := quote.Reply{Currency: currency, Lines: make([]quote.Line, 0, len(items))}
	for _, item := range items {
		line, err := p.line(ctx, item)
		if err != nil {
			return quote.Reply{}, err
		}
		reply.Lines = append(reply.Lines, line)
		reply.Net += line.Net
		reply.Tax += line.Tax
	}
	reply.Total = reply.Net + reply.Tax
	reply.RatesAsOf = p.ratesAsOf
	return reply, nil
}

// basket returns the items of either form of req, checked.
func basket(req quote.Request) ([]quote.Item, error) {
	items := req.Items
	switch {
	case req.SKU != "" && len(items) > 0:
		return nil, errors.New(`give either "items" or "sku", not both`)
	case req.SKU != "":
		items = []quote.Item{{SKU: req.SKU, Quantity: req.Quantity}}
		if req.Quantity == 0 {
			items[0].Quantity = 1
		}
	case req.Quantity != 0:
		return nil, errors.New(`"quantity" needs a "sku"`)
	case len(items) == 0:
		return nil, errors.New(`the basket is empty: give "items", or "sku" for a single article`)
	case len(items) > maxItems:
		return nil, fmt.Errorf("a basket has at most %d items, not %d", maxItems, len(items))
	}
	for _, item := range items {
		if _, ok := articles[item.SKU]; !ok {
			return nil, fmt.Errorf("no article %q", item.SKU)
		}
		if item.Quantity < 1 || item.Quantity > maxQuantity {
			return nil, fmt.Errorf("article %q: quantity %d is not between 1 and %d",
				item.SKU, item.Quantity, maxQuantity)
		}
	}
	return items, nil
}

// currencyOf returns the currency that req asks for.
func currencyOf(req quote.Request) (string, error) {
	if req.Currency != "" {
		return req.Currency, nil
	}
	if currency, ok := currencies[req.Region]; ok {
		return currency, nil
	}
	return "", fmt.Errorf(`no default currency for region %q; name one in "currency"`, req.Region)
}
