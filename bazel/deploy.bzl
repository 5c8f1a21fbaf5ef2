"""deploy: an executable target that builds functions and hands them to `countersign deploy`.

`bazel run //:deploy -- -env prod.hcl` runs

    countersign deploy --manifest <runfiles>/<workspace>/<package>/<name>.manifest.json -env prod.hcl

in the directory in which bazel was started; all that follows `--` is passed on, such as `-canary 10%`. The manifest is one JSON object:

    {"functions": [{
        "name": "quote",
        "target": "@quote//:quote",             Bazel label
        "runtime": "wasm",                      or "native"
        "wasm": "quote/quote.wasm",             always there
        "native": {                             empty unless the runtime is native
            "linux/amd64": "quote/quote_linux_amd64_/quote_linux_amd64",
            "linux/arm64": "quote/quote_linux_arm64_/quote_linux_arm64"
        },
        "spec": "quote/quote.hcl",
        "repository": "https://git.example.com/shop/quote",     as pinned in repos.bzl
        "commit": "2f7c0e0b9d6f43f1a5b0a0f1f9d3f2a1c4e5b6d7"    full commit id
    }, ...]}

Functions are sorted by name. Paths are relative to the root of the runfiles tree, that is, they begin with the name
of a workspace.
"""

load("//bazel:function.bzl", "FunctionInfo")

def _runfile(ctx, file):
    """Returns the path of a file below the root of the runfiles tree."""
    path = file.short_path
    return path[len("../"):] if path.startswith("../") else ctx.workspace_name + "/" + path

def _canonical(label):
    text = str(label)
    return text if text.startswith("@") else "@" + text

def _entry(ctx, target):
    info = target[FunctionInfo]
    if not info.source:
        fail(("%s is not built from a pinned commit: only a repository that repos.bzl pins can be deployed, and " +
              "not while it is overridden") % target.label)
    return struct(
        name = info.name,
        native = {platform: _runfile(ctx, file) for platform, file in info.native.items()},
        runtime = info.runtime,
        spec = _runfile(ctx, info.spec),
        target = _canonical(target.label),
        wasm = _runfile(ctx, info.wasm),
    )

def _write_manifest(ctx, functions):
    """Writes the manifest. Remote and commit are in files, which Starlark can't read: an action puts them in."""
    inputs = []
    for i, target in enumerate(functions):
        entry = ctx.actions.declare_file("%s.manifest.%d.json" % (ctx.label.name, i))
        ctx.actions.write(entry, json.encode(_entry(ctx, target)) + "\n")
        inputs += [entry, target[FunctionInfo].source]
    manifest = ctx.actions.declare_file(ctx.label.name + ".manifest.json")
    args = ctx.actions.args()
    args.add(manifest)
    args.add_all(inputs)
    ctx.actions.run_shell(
        arguments = [args],
        command = _MERGE,
        inputs = inputs,
        mnemonic = "CountersignManifest",
        outputs = [manifest],
        progress_message = "Listing the functions of %s" % ctx.label,
    )
    return manifest

# Arguments: the manifest, then pairs of files with one JSON object on one line each, joined into one object.
_MERGE = """
set -eu
out="$1"
shift
{
    printf '{"functions":['
    separator=''
    while [ "$#" -gt 0 ]; do
        read -r entry < "$1"
        read -r source < "$2"
        printf '%s\\n%s,%s' "$separator" "${entry%\\}}" "${source#\\{}"
        separator=','
        shift 2
    done
    printf '\\n]}\\n'
} > "$out"
"""

_SCRIPT = """#!/bin/sh
set -eu
runfiles="${{RUNFILES_DIR:-$0.runfiles}}"
case "$runfiles" in /*) ;; *) runfiles="$PWD/$runfiles" ;; esac
export RUNFILES_DIR="$runfiles"
cd "${{BUILD_WORKING_DIRECTORY:-.}}"
exec "$runfiles/{tool}" deploy --manifest "$runfiles/{manifest}" "$@"
"""

def _name(target):
    return target[FunctionInfo].name

def _deploy_impl(ctx):
    functions = sorted(ctx.attr.functions, key = _name)
    manifest = _write_manifest(ctx, functions)
    script = ctx.actions.declare_file(ctx.label.name)
    ctx.actions.write(script, is_executable = True, content = _SCRIPT.format(
        manifest = _runfile(ctx, manifest),
        tool = _runfile(ctx, ctx.executable.tool),
    ))
    files = [manifest, ctx.executable.tool]
    for target in functions:
        info = target[FunctionInfo]
        files += [info.spec, info.wasm] + info.native.values()
    runfiles = ctx.runfiles(files = files).merge(ctx.attr.tool[DefaultInfo].default_runfiles)
    return [DefaultInfo(
        executable = script,
        files = depset([script, manifest]),
        runfiles = runfiles,
    )]

deploy = rule(
    doc = "Builds functions and runs `countersign deploy` on them; see the top of the file.",
    implementation = _deploy_impl,
    executable = True,
    attrs = {
        "functions": attr.label_list(
            mandatory = True,
            allow_empty = False,
            providers = [FunctionInfo],
            doc = "countersign_function targets of pinned repositories",
        ),
        "tool": attr.label(
            default = "//cmd/countersign",
            executable = True,
            # Not "exec": that would compile the tool and the standard library a second time.
            cfg = "target",
            doc = "the countersign command",
        ),
    },
)
