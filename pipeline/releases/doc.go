// Package releases keeps the numbered records of an environment: signed, in the registry, each naming the one before, and
// with a pointer to the latest in Consul.
//
// It owns the order in which a record is written, so that none is lost or half-written; how records are found again; and
// that nothing which a registry or Consul says of them is believed before it was verified (docs/releases.md). It must not
// know what moves functions, nor what a function is.
package releases
