"""Stage two of a WORKSPACE that builds Countersign functions: the Go SDK and what go_repository needs."""

load("@bazel_gazelle//internal:go_repository_cache.bzl", "go_repository_cache")
load("@bazel_gazelle//internal:go_repository_config.bzl", "go_repository_config")
load("@io_bazel_rules_go//go:deps.bzl", "go_register_toolchains", "go_rules_dependencies", "go_wrap_sdk")
load("//bazel:repository_rules.bzl", "goroot")

# The Go release of every artifact: part of what makes a build reproducible, so it is pinned like a dependency.
GO_VERSION = "1.26.8"

def countersign_toolchains():
    """Declares and registers the Go toolchain. Call it after a WORKSPACE's own go_repository rules, which then win."""
    goroot(
        name = "goroot",
        version = GO_VERSION,
    )
    go_wrap_sdk(
        name = "go_sdk",
        root_file = "@goroot//:ROOT",
    )

    # What gazelle_dependencies() would declare besides the tools that it cannot build here.
    go_repository_cache(
        name = "bazel_gazelle_go_repository_cache",
        go_sdk_name = "goroot",
    )
    go_repository_config(
        name = "bazel_gazelle_go_repository_config",
        # That of Countersign names go_deps.bzl, in which it finds what repository a module is.
        config = str(Label("//:WORKSPACE")),
    )
    go_rules_dependencies()
    go_register_toolchains()
