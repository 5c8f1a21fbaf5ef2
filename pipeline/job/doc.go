// Package job is the text of a function's Nomad job: what it asks Nomad for, and what it tells about itself in meta and
// tags.
//
// It owns the template, its file, and both ways of the job's meta. The text is a pure function of a spec, an environment
// and a release. It must not know Nomad's API, nor how a job comes to run.
package job
