"""Stage one of a WORKSPACE that builds Countersign functions: the rules. Stage two is toolchains.bzl."""

load("//bazel:bazel4.bzl", "GAZELLE_EDITS", "RULES_GO_EDITS", "bazel4_repositories")
load("//bazel:repository_rules.bzl", "gazelle_tools", "go_module", "skylib")

# tools/gazelle reads this line.
GAZELLE_VERSION = "v0.36.0"

def countersign_rules():
    """Declares rules_go, gazelle and bazel_skylib. Call countersign_toolchains() after it."""

    # Debian's build of 4.2.3 has no version; every released Bazel has one.
    bazel4 = not native.bazel_version
    if bazel4:
        bazel4_repositories()
    skylib(name = "bazel_skylib")
    go_module(
        name = "io_bazel_rules_go",
        edits = json.encode(RULES_GO_EDITS if bazel4 else []),
        importpath = "github.com/bazelbuild/rules_go",
        sum = "h1:qBFxjy29iJg22xWlu5A3mNwrXtCHiEnHcIt91SsiFGU=",
        version = "v0.57.0",
    )
    go_module(
        name = "bazel_gazelle",
        edits = json.encode(GAZELLE_EDITS if bazel4 else []),
        importpath = "github.com/bazelbuild/bazel-gazelle",
        sum = "h1:n41ODckCkU9D2BEwBxYN+xu5E92Vd0gaW6QmsIW9l00=",
        version = GAZELLE_VERSION,
    )
    gazelle_tools(
        name = "bazel_gazelle_go_repository_tools",
        version = GAZELLE_VERSION,
    )
