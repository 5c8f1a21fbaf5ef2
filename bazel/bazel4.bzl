"""What rules_go 0.57.0 and gazelle 0.36.0 need to load in Bazel 4.2.3, the one that Debian packages.

They ask for Bazel 6.5. Each edit below replaces, in one of their files, something newer than 4.2.3 by the nearest
thing that 4.2.3 has. An edit whose text is gone fails the build, so a new version of either cannot be half edited.
Nothing in this file takes effect with another Bazel.
"""

load("//bazel:repository_rules.bzl", "generated")

# Bazel 6: a toolchain that may be missing. The C++ one then has to be there, though only cgo uses it.
_OPTIONAL_TOOLCHAIN = [
    [
        "go/private/context.bzl",
        "config_common.toolchain_type(\"@bazel_tools//tools/cpp:toolchain_type\", mandatory = False)",
        "\"@bazel_tools//tools/cpp:toolchain_type\"",
    ],
    ["go/private/context.bzl", "find_cpp_toolchain(ctx, mandatory = False)", "find_cpp_toolchain(ctx)"],
    ["go/private/context.bzl", "optional_current_cc_toolchain", "current_cc_toolchain"],
]

# Bazel 6: actions say which toolchain they use, for execution groups.
_ACTION_TOOLCHAIN = [
    ["go/private/actions/compilepkg.bzl", "toolchain = GO_TOOLCHAIN_LABEL,", ""],
    ["go/private/actions/link.bzl", "toolchain = GO_TOOLCHAIN_LABEL,", ""],
    ["go/private/actions/stdlib.bzl", "toolchain = GO_TOOLCHAIN_LABEL,", ""],
    ["go/private/rules/binary.bzl", "toolchain = None,", ""],
    ["go/private/rules/nogo.bzl", "toolchain = GO_TOOLCHAIN,", ""],
    ["go/private/rules/test.bzl", "toolchain = GO_TOOLCHAIN_LABEL,", ""],
]

# Bazel 5: runfiles.merge_all.
_MERGE_ALL = [
    [
        "go/private/actions/archive.bzl",
        "    runfiles = source.runfiles.merge_all(files)\n",
        "    runfiles = source.runfiles\n    for more in files:\n        runfiles = runfiles.merge(more)\n",
    ],
    [
        "go/private/context.bzl",
        "    return go._ctx.runfiles(transitive_files = files).merge_all(",
        "    return _merge_runfiles(\n        go._ctx.runfiles(transitive_files = files),",
    ],
    [
        "go/private/context.bzl",
        "def _collect_runfiles(",
        "def _merge_runfiles(all, others):\n    for more in others:\n        all = all.merge(more)\n" +
        "    return all\n\ndef _collect_runfiles(",
    ],
]

# Bazel 6: Label.repo_name. Without bzlmod the names are the same.
_REPO_NAME = [
    ["go/private/context.bzl", ".repo_name", ".workspace_name"],
    ["go/private/rules/test.bzl", "ctx.label.repo_name", "ctx.label.workspace_name"],
]

# Bazel 5.3: RunEnvironmentInfo. Tests have a provider of their own; `bazel run` then sets no variables.
_RUN_ENVIRONMENT = [
    ["go/private/rules/binary.bzl", "providers.append(RunEnvironmentInfo(environment = env))", "pass"],
    ["go/private/rules/test.bzl", "RunEnvironmentInfo(env, ctx.attr.env_inherit)", "testing.TestEnvironment(env)"],
]

# Bazel 6: read_user_netrc, for credentials when archives are downloaded.
_NETRC = ["\"patch\", \"read_user_netrc\", \"use_netrc\"", "\"patch\", \"use_netrc\", read_user_netrc = \"read_netrc\""]

_SMALLER = [
    # Bazel 5: the coverage configuration knows the report generator.
    [
        "go/private/rules/test.bzl",
        "default = configuration_field(fragment = \"coverage\", name = \"output_generator\")",
        "default = None",
    ],
    # Bazel 5: labels in a transition are relative to the file's repository, not to the main one.
    ["go/private/rules/transition.bzl", "\"//go/", "\"@io_bazel_rules_go//go/"],
    # Bazel 5.1: repository_os.arch.
    ["go/private/sdk.bzl", "ctx.os.arch", "ctx.execute([\"uname\", \"-m\"]).stdout.strip()"],
    # The @platforms of 4.2.3 is older, too.
    ["go/private/platforms.bzl", "    \"ppc64le\": \"@platforms//cpu:ppc64le\",\n", ""],
    [
        "go/private/rules/go_bin_for_host.bzl",
        "@platforms//host:constraints.bzl",
        "@local_config_platform//:constraints.bzl",
    ],
]

RULES_GO_EDITS = (
    _OPTIONAL_TOOLCHAIN + _ACTION_TOOLCHAIN + _MERGE_ALL + _REPO_NAME + _RUN_ENVIRONMENT +
    [["go/private/sdk.bzl"] + _NETRC] + _SMALLER
)

GAZELLE_EDITS = [["internal/go_repository.bzl"] + _NETRC]

def _native_rules(names):
    return "".join(["{0} = native.{0}\n".format(name) for name in names])

def bazel4_repositories():
    """Repositories that 4.2.3 would download to resolve a toolchain or to run any test, as shells of native rules."""
    native.local_repository(name = "platforms", path = "/usr/share/bazel/platforms")
    generated(
        name = "remote_coverage_tools",
        files = {
            "BUILD.bazel": "filegroup(\n    name = \"coverage_report_generator\",\n" +
                           "    visibility = [\"//visibility:public\"],\n)\n",
        },
    )
    generated(
        name = "rules_cc",
        files = {
            "cc/BUILD.bazel": "",
            "cc/defs.bzl": _native_rules([
                "cc_binary",
                "cc_import",
                "cc_library",
                "cc_proto_library",
                "cc_test",
                "cc_toolchain",
                "cc_toolchain_suite",
            ]) + "objc_library = native.objc_import\n",
        },
    )
    generated(
        name = "rules_java",
        files = {
            "java/BUILD.bazel": "",
            "java/defs.bzl": _native_rules([
                "java_binary",
                "java_import",
                "java_library",
                "java_proto_library",
                "java_runtime",
                "java_toolchain",
            ]),
        },
    )
    generated(
        name = "rules_shell",
        files = {
            "shell/BUILD.bazel": "",
            "shell/sh_test.bzl": "sh_test = native.sh_test\n",
        },
    )
