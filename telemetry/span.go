package telemetry

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	status "go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"countersign"
	"countersign/telemetry/metric"
)

// Kind says which side of a call a span is of.
type Kind int

// The kinds of spans.
const (
	Client Kind = iota // from the start of a call to its verified return
	Server             // from the arrival of a call to its return
)

// Attr is an attribute of a span.
type Attr struct{ key, value string }

// The attributes that spans have besides those of the conventions. docs/tracing.md lists them.
const (
	attrCaller     = "countersign.caller"
	attrCallee     = "countersign.callee"
	attrRoute      = "countersign.route"
	attrAllocation = "countersign.allocation"
	attrRelease    = "countersign.release"
	attrNode       = "server.address"
	attrCall       = "faas.invocation_id"
)

// Caller is the function that calls, or "" for a call from outside.
func Caller(name string) Attr {
	if name == "" {
		name = metric.Outside
	}
	return Attr{attrCaller, name}
}

// Route is RouteLocal, RouteRemote or RouteIngress.
func Route(route string) Attr { return Attr{attrRoute, route} }

// Allocation is the instance that is called.
func Allocation(id string) Attr { return Attr{attrAllocation, id} }

// Release is the release of the instance that is called.
func Release(id string) Attr { return Attr{attrRelease, id} }

// Node is the node on which the called instance runs.
func Node(name string) Attr { return Attr{attrNode, name} }

// Call is the ID of the call, the same on both sides.
func Call(id string) Attr { return Attr{attrCall, id} }

// Span is one side of a call. The zero value does nothing.
type Span struct {
	span   trace.Span // nil: spans are off
	parent string     // what came in, when spans are off
}

// Start begins the span of one side of a call of function. traceparent is the one in the call that led to this span: on
// the Server side that of the call, on the Client side that of the call during which the function makes this one. If it
// is not a valid W3C traceparent, or "", the span continues what ctx holds, or else begins a trace.
//
// When spans are off, Start allocates nothing and returns ctx itself.
func (t *Telemetry) Start(ctx context.Context, traceparent string, kind Kind, function string, attrs ...Attr) (
	context.Context, Span) {
	if t.tracer == nil {
		return ctx, Span{parent: traceparent}
	}
	return t.tracer.start(ctx, traceparent, kind, function, attrs)
}

func (tr *tracer) start(ctx context.Context, traceparent string, kind Kind, function string, attrs []Attr) (
	context.Context, Span) {
	ctx = propagation.TraceContext{}.Extract(ctx, carrier(traceparent))
	all := make([]attribute.KeyValue, 0, len(attrs)+5)
	all = append(all, attribute.String("rpc.system.name", "countersign"), attribute.String("rpc.method", function),
		attribute.String(attrCallee, function))
	service, route := function, ""
	for _, a := range attrs {
		all = append(all, attribute.String(a.key, a.value))
		switch {
		case a.key == attrRoute:
			route = a.value
		case a.key == attrCaller && kind == Client:
			service = a.value
		}
	}
	side := trace.SpanKindServer
	switch {
	case kind == Client:
		side = trace.SpanKindClient
		all = append(all, attribute.String("faas.invoked_name", function))
	case route == RouteIngress:
		all = append(all, attribute.String("faas.trigger", "http"))
	default:
		all = append(all, attribute.String("faas.trigger", "other"))
	}
	ctx, span := tr.scopes.get(labels{service}).Start(ctx, function, trace.WithSpanKind(side), trace.WithAttributes(all...))
	return ctx, Span{span: span}
}

// Traceparent returns what the calls that this one leads to have to carry: this span's, or what came in, unchanged,
// when spans are off. It may be "".
func (s Span) Traceparent() string {
	if s.span == nil {
		return s.parent
	}
	sc := s.span.SpanContext()
	return "00-" + sc.TraceID().String() + "-" + sc.SpanID().String() + "-" + (sc.TraceFlags() & trace.FlagsSampled).String()
}

// End ends the span of a call that ended with code, "" for success, with attributes that were not known at the start.
func (s Span) End(code countersign.Code, attrs ...Attr) {
	if s.span == nil {
		return
	}
	s.end(code, attrs)
}

func (s Span) end(code countersign.Code, attrs []Attr) {
	for _, a := range attrs {
		s.span.SetAttributes(attribute.String(a.key, a.value))
	}
	if code == "" {
		s.span.SetAttributes(attribute.String("rpc.response.status_code", "ok"))
	} else {
		s.span.SetAttributes(attribute.String("rpc.response.status_code", string(code)),
			attribute.String("error.type", string(code)))
		s.span.SetStatus(status.Error, string(code))
	}
	s.span.End()
}

// carrier is a traceparent as the propagator wants it.
type carrier string

// Get implements propagation.TextMapCarrier.
func (c carrier) Get(key string) string {
	if key == "traceparent" {
		return string(c)
	}
	return ""
}

// Set implements propagation.TextMapCarrier; nothing is injected.
func (carrier) Set(string, string) {}

// Keys implements propagation.TextMapCarrier.
func (carrier) Keys() []string { return []string{"traceparent"} }
