// Package deployment makes a deployment repository: the one in which people who run a platform pin teams' repositories, keep
// their environments, and start `bazel run //:deploy`.
//
// It owns what such a repository holds at the beginning: files/. It knows git, to find the commit of Countersign that the
// repository pins. It must not know a server, a build, or what becomes of the repository later: from then on it is its owner's,
// and nothing here ever writes to it again.
package deployment
