// Package callgraph makes the observed call graph, and an overview of functions and hosts, from the metrics of hosts.
//
// It owns how two scrapes become rates, quantiles and shares, and how these are drawn: as a table, DOT, Mermaid, SVG,
// JSON or a screen of text, which package terminal lays out. It must not know how hosts are found, nor how they count;
// it reads what package telemetry names.
package callgraph
