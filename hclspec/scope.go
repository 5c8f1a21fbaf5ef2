package hclspec

import (
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// scope holds the variables that an environment file may use.
type scope struct {
	env map[string]string // nil: not known
}

// evaluate returns the value of an expression, which may be unknown. Only what cannot grow is evaluated: literals,
// lists, and text with variables put in; a file of a few bytes must not keep the reader busy for hours.
func (r *reader) evaluate(e hclsyntax.Expression) (cty.Value, bool) {
	if !r.permitted(e) {
		return cty.NilVal, false
	}
	v, diags := e.Value(r.scope.context())
	r.diags = append(r.diags, diags...)
	return v, !diags.HasErrors()
}

func (r *reader) permitted(e hclsyntax.Expression) bool {
	switch e := e.(type) {
	case *hclsyntax.LiteralValueExpr:
		return true
	case *hclsyntax.TupleConsExpr:
		return r.allPermitted(e.Exprs)
	case *hclsyntax.TemplateExpr:
		return r.allPermitted(e.Parts)
	case *hclsyntax.TemplateWrapExpr:
		return r.permitted(e.Wrapped)
	case *hclsyntax.ParenthesesExpr:
		return r.permitted(e.Expression)
	case *hclsyntax.UnaryOpExpr:
		return r.permitted(e.Val)
	case *hclsyntax.ScopeTraversalExpr:
		return r.permittedVariable(e)
	}
	if r.scope == nil {
		r.errorAt(e.Range(), "Value is not literal",
			"A function spec is the same everywhere, so its values are written out: text in quotes, numbers, true, false, "+
				"and lists of them.")
	} else {
		r.errorAt(e.Range(), "Expression not supported",
			`Write text in quotes, numbers, true, false, lists of them, and variables such as env.NOMAD_ADDR or `+
				`"${env.HOME}/data".`)
	}
	return false
}

func (r *reader) allPermitted(es []hclsyntax.Expression) bool {
	ok := true
	for _, e := range es {
		ok = r.permitted(e) && ok
	}
	return ok
}

// permittedVariable checks that a variable is env.NAME and that NAME is set.
func (r *reader) permittedVariable(e *hclsyntax.ScopeTraversalExpr) bool {
	at := e.Range()
	if r.scope == nil {
		if len(e.Traversal) == 1 {
			r.errorAt(at, "Text without quotes", "Write %q: text stands in quotes. A function spec has no variables.",
				e.Traversal.RootName())
			return false
		}
		r.errorAt(at, "Variable in a function spec", "A function spec has no variables: it is the same in every "+
			"environment. What differs belongs in the environment file.")
		return false
	}
	name, ok := envName(e.Traversal)
	if !ok {
		r.errorAt(at, "Unknown variable", "The only variables are env.NAME, where NAME is a variable of the process "+
			"environment, such as env.NOMAD_ADDR. Text stands in quotes.")
		return false
	}
	if _, set := r.scope.env[name]; !set && r.scope.env != nil {
		hint := ""
		if near := nearest(name, slices.Sorted(maps.Keys(r.scope.env))); near != "" {
			hint = fmt.Sprintf(" Did you mean env.%s, which is set?", near)
		}
		r.errorAt(at, "Environment variable "+strconv.Quote(name)+" is not set",
			"Set it, for example by sourcing the env file of the cluster, or write the value here.%s", hint)
		return false
	}
	return true
}

// envName returns NAME of env.NAME or env["NAME"].
func envName(t hcl.Traversal) (string, bool) {
	if len(t) != 2 || t.RootName() != "env" {
		return "", false
	}
	switch step := t[1].(type) {
	case hcl.TraverseAttr:
		return step.Name, true
	case hcl.TraverseIndex:
		if step.Key.Type() == cty.String && step.Key.IsKnown() && !step.Key.IsNull() {
			return step.Key.AsString(), true
		}
	}
	return "", false
}

// context returns what variables stand for; nil has none.
func (s *scope) context() *hcl.EvalContext {
	if s == nil {
		return nil
	}
	env := cty.DynamicVal
	if s.env != nil {
		values := make(map[string]cty.Value, len(s.env))
		for name, value := range s.env {
			values[name] = cty.StringVal(value)
		}
		env = cty.ObjectVal(values)
	}
	return &hcl.EvalContext{Variables: map[string]cty.Value{"env": env}}
}

// shown quotes a value for a diagnostic, unless it comes from a variable: it may be a secret then.
func shown(e hclsyntax.Expression, value string) string {
	if len(e.Variables()) > 0 {
		return "The value"
	}
	if len(value) > 80 {
		value = value[:80] + "…"
	}
	return strconv.Quote(value)
}
