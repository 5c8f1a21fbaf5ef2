package hclspec

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// parseBody parses src. The body is nil if src was refused unseen; with errors it holds what could be understood.
func parseBody(filename string, src []byte) (*hclsyntax.Body, hcl.Diagnostics) {
	if diags := checkSource(filename, src); diags.HasErrors() {
		return nil, diags
	}
	file, diags := hclsyntax.ParseConfig(src, filename, hcl.InitialPos)
	for _, d := range diags {
		explain(d)
	}
	return file.Body.(*hclsyntax.Body), diags
}

// checkSource refuses what could exhaust the recursive parser, or is not what it looks like.
func checkSource(filename string, src []byte) hcl.Diagnostics {
	top := hcl.Range{Filename: filename, Start: hcl.InitialPos, End: hcl.InitialPos}
	if int64(len(src)) > MaxSourceLength {
		return hcl.Diagnostics{errorAt(top, "File too large",
			"The file has %d bytes; at most %s are read. Split it into several files.", len(src), formatSize(MaxSourceLength))}
	}
	if d := checkCharacters(filename, src); d != nil {
		return hcl.Diagnostics{d}
	}
	tokens, _ := hclsyntax.LexConfig(src, filename, hcl.InitialPos) // the parser reports invalid tokens
	depth, operators := 0, 0
	for _, t := range tokens {
		switch t.Type {
		case hclsyntax.TokenOBrace, hclsyntax.TokenOBrack, hclsyntax.TokenOParen, hclsyntax.TokenOQuote,
			hclsyntax.TokenOHeredoc, hclsyntax.TokenTemplateInterp, hclsyntax.TokenTemplateControl:
			if depth++; depth > maxNesting {
				return hcl.Diagnostics{errorAt(t.Range, "Nested too deeply",
					"At most %d braces, brackets and quotes may be open at the same time.", maxNesting)}
			}
		case hclsyntax.TokenCBrace, hclsyntax.TokenCBrack, hclsyntax.TokenCParen, hclsyntax.TokenCQuote,
			hclsyntax.TokenCHeredoc, hclsyntax.TokenTemplateSeqEnd:
			depth = max(depth-1, 0)
		}
		if recursive(t.Type) {
			if operators++; operators > maxOperators {
				return hcl.Diagnostics{errorAt(t.Range, "Too many operators",
					"The file holds more than %d operators. Write the values that they would give.", maxOperators)}
			}
		}
	}
	return nil
}

// recursive tells whether the parser goes one level deeper for a token that has no closing counterpart.
func recursive(t hclsyntax.TokenType) bool {
	switch t {
	case hclsyntax.TokenBang, hclsyntax.TokenMinus, hclsyntax.TokenPlus, hclsyntax.TokenStar, hclsyntax.TokenSlash,
		hclsyntax.TokenPercent, hclsyntax.TokenAnd, hclsyntax.TokenOr, hclsyntax.TokenQuestion, hclsyntax.TokenColon,
		hclsyntax.TokenEqualOp, hclsyntax.TokenNotEqual, hclsyntax.TokenLessThan, hclsyntax.TokenLessThanEq,
		hclsyntax.TokenGreaterThan, hclsyntax.TokenGreaterThanEq, hclsyntax.TokenTemplateControl:
		return true
	}
	return false
}

// explain replaces the text of syntax errors whose own text does not tell the fix.
func explain(d *hcl.Diagnostic) {
	switch d.Summary {
	case "Invalid single-argument block definition", "Missing newline after block definition",
		"Missing newline after argument":
		d.Detail = "On one line, a block can hold a single attribute and nothing may follow its closing brace. " +
			"Put each attribute, each block and the closing brace on a line of its own."
	case "Attribute redefined":
		d.Detail += " Remove one of them."
	}
}

func errorAt(at hcl.Range, summary, detail string, args ...any) *hcl.Diagnostic {
	return &hcl.Diagnostic{Severity: hcl.DiagError, Summary: summary, Detail: fmt.Sprintf(detail, args...), Subject: &at}
}

func warningAt(at hcl.Range, summary, detail string, args ...any) *hcl.Diagnostic {
	d := errorAt(at, summary, detail, args...)
	d.Severity = hcl.DiagWarning
	return d
}

// finish sorts diags by place and cuts off the end of a list that nobody would read. It also cuts them off from the
// values of variables: those may be secret, and a diagnostic writer would print them.
func finish(diags hcl.Diagnostics) hcl.Diagnostics {
	for _, d := range diags {
		d.Expression, d.EvalContext = nil, nil
	}
	slices.SortStableFunc(diags, func(a, b *hcl.Diagnostic) int {
		if a.Subject == nil || b.Subject == nil {
			return cmp.Compare(btoi(a.Subject != nil), btoi(b.Subject != nil))
		}
		return cmp.Or(cmp.Compare(a.Subject.Filename, b.Subject.Filename),
			cmp.Compare(a.Subject.Start.Byte, b.Subject.Start.Byte))
	})
	if len(diags) > maxDiagnostics {
		shown, rest := diags[:maxDiagnostics:maxDiagnostics], diags[maxDiagnostics:]
		more := &hcl.Diagnostic{
			Severity: hcl.DiagWarning, Summary: fmt.Sprintf("%d more diagnostics are not shown", len(rest)),
			Detail: "Mend the ones above first.", Subject: rest[0].Subject,
		}
		if rest.HasErrors() {
			more.Severity = hcl.DiagError
		}
		return append(shown, more)
	}
	return diags
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}
