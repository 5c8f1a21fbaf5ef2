"""go_modules: the third-party Go modules of one team's repository, in the versions that its own go.mod selects.

    load("@countersign//bazel:go_modules.bzl", "go_modules")

    go_modules(
        name = "go_modules",
        go_mod = "//:go.mod",
        go_sum = "//:go.sum",
    )

in a team's own WORKSPACE makes @go_modules//github.com/google/uuid the package of that import path. A deployment declares
one for each pinned repository, and shows it to that repository alone under this name (pins.bzl). So what one team's go.mod
says changes no artifact of another team.

go.mod lists every module that a build takes part of, and go.sum their hashes, since Go 1.17: no version is chosen here.
"""

load("//bazel:repository_rules.bzl", "GO_ENV", "go_command", "run")

# What a go.mod may ask of the machine that builds. Kubernetes has some 250 modules, and a go.sum of 80 KiB.
_MAX_MODULES = 1000
_MAX_BYTES = 4 * 1024 * 1024
_MAX_SOURCE_KIB = 2 * 1024 * 1024

_PATH_CHARACTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~/"
_VERSION_CHARACTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.+"

# What a module brings besides Go is left out: build files above all, which would be run. Its tests have needs that go.mod
# does not list.
_CLEAN = """
find . -depth \\( -type d \\( -name testdata -o -name vendor \\) -o ! -type d \\( -iname BUILD -o -iname '*.bazel' \
    -o -iname '*.bzl' -o -iname '*.bzlmod' -o -iname WORKSPACE -o -iname .bazelrc -o -iname .bazelignore \
    -o -name '*_test.go' \\) -o -type l \\) -exec rm -rf {} +
"""

def _owner(rctx):
    """Returns the repository whose go.mod it is, for messages."""
    return "@" + rctx.attr.go_mod.workspace_name if rctx.attr.go_mod.workspace_name else "this repository"

def _read(rctx, label, name):
    """Returns the text of a file of the team's, which is not read if it is huge."""
    path = rctx.path(label)
    size = int(run(rctx, ["stat", "-L", "-c", "%s", str(path)]).strip())
    if size > _MAX_BYTES:
        fail("%s of %s has %d bytes; at most %d are read" % (name, _owner(rctx), size, _MAX_BYTES))
    return rctx.read(path)

def _parse(rctx):
    """Returns the team's go.mod as `go mod edit` reads it. The copy has a name by which go looks for no toolchain."""
    rctx.file("team.mod", _read(rctx, rctx.attr.go_mod, "go.mod"), executable = False)
    return json.decode(run(rctx, [go_command(rctx), "mod", "edit", "-json", "team.mod"], _ENV))

# A toolchain is not for a team to choose, and hashes are those of its go.sum.
_ENV = dict(GO_ENV, GOSUMDB = "off", GOTOOLCHAIN = "local")

def _words(line):
    return [word for word in line.replace("\t", " ").replace("\r", " ").split(" ") if word]

def _module_line(text):
    """Returns the module path that a go.mod declares."""
    for line in text.split("\n"):
        words = _words(line.split("//")[0])
        if len(words) == 2 and words[0] == "module":
            return words[1].strip("\"`")
    return None

def _check_module(rctx, path, version):
    odd = [c for c in path.elems() if c not in _PATH_CHARACTERS]
    elements = path.split("/")
    if odd or [e for e in elements if not e or e[0] == "." or e[-1] == "."] or path[0] == "-":
        fail("go.mod of %s requires %r, which is no module path" % (_owner(rctx), path))
    if "." not in elements[0]:
        fail(("go.mod of %s requires %s, whose path begins with no domain: that is the standard library's, or a module " +
              "that nothing pins") % (_owner(rctx), path))
    if version[:1] != "v" or [c for c in version.elems() if c not in _VERSION_CHARACTERS]:
        fail("go.mod of %s requires %s %r, which is no version" % (_owner(rctx), path, version))

def _last_element(path):
    """Returns the last element of a module path, without a major version."""
    elements = path.split("/")
    if len(elements) > 1 and elements[-1][:1] == "v" and elements[-1][1:].isdigit():
        elements = elements[:-1]
    return elements[-1]

def _is_pinned(rctx, path):
    """Tells whether a module is a repository of functions that is pinned: it is built from there, under its own label."""
    if path in rctx.attr.named:
        return True
    name = _last_element(path)
    return name in rctx.attr.pins and _module_line(_read(rctx, Label("@%s//:go.mod" % name), "go.mod")) == path

def _replaced(rctx, mod):
    """Returns the modules that are replaced by a directory. That one is the team's own matter: no such module is taken."""
    local = {}
    for replace in mod.get("Replace") or []:
        old, new = replace["Old"]["Path"], replace["New"]
        if new.get("Version"):
            fail(("go.mod of %s replaces %s by %s %s. A deployment builds the modules that are required, each under its own " +
                  "name; require the other module, or release a fixed version") %
                 (_owner(rctx), old, new["Path"], new["Version"]))
        local[old] = new["Path"]
    return local

def _required(rctx, mod):
    """Returns what is to be fetched: module path -> version."""
    requires = mod.get("Require") or []
    if len(requires) > _MAX_MODULES:
        fail("go.mod of %s requires %d modules; at most %d are fetched" % (_owner(rctx), len(requires), _MAX_MODULES))
    local = _replaced(rctx, mod)
    sdk = _module_line(rctx.read(rctx.path(Label("//sdk:go.mod"))))
    modules = {}
    for require in requires:
        path, version = require["Path"], require["Version"]
        if path == sdk or _is_pinned(rctx, path):
            continue
        if path in local:
            if require.get("Indirect"):
                continue
            fail(("go.mod of %s replaces %s by the directory %s, and that is neither the SDK nor a pinned repository of " +
                  "functions (one whose module path ends with the name of its pin): a deployment can't build it") %
                 (_owner(rctx), path, local[path]))
        _check_module(rctx, path, version)
        if path in modules:
            fail("go.mod of %s requires %s in two versions, %s and %s" % (_owner(rctx), path, modules[path], version))
        modules[path] = version
    return modules

def _hashes(rctx):
    """Returns what go.sum says: "path version" -> hash of the module's files."""
    sums = {}
    for line in _read(rctx, rctx.attr.go_sum, "go.sum").split("\n"):
        words = _words(line)
        if len(words) != 3 or words[1].endswith("/go.mod"):
            continue
        key = words[0] + " " + words[1]
        if sums.get(key, words[2]) != words[2]:
            fail("go.sum of %s has two hashes of %s" % (_owner(rctx), key))
        sums[key] = words[2]
    return sums

def _download(rctx, modules):
    """Fetches modules, and returns what `go mod download` says of each: module path -> struct."""
    sums = _hashes(rctx)
    for path, version in modules.items():
        if path + " " + version not in sums:
            fail("go.sum of %s has no hash of %s %s: run `go mod tidy` there" % (_owner(rctx), path, version))
    names = ["%s@%s" % item for item in modules.items()]
    out = rctx.execute([go_command(rctx), "mod", "download", "-json"] + names, environment = _ENV, timeout = 1800)
    fetched = {}
    for text in out.stdout.split("\n}\n"):
        if not text.strip():
            continue
        got = json.decode(text + "\n}")
        path, version = got["Path"], got.get("Version", "")
        if got.get("Error"):
            fail("fetch %s %s, which go.mod of %s requires: %s" % (path, modules.get(path, version), _owner(rctx), got["Error"]))
        want = sums["%s %s" % (path, modules[path])]
        if version != modules[path] or got["Sum"] != want:
            fail("%s %s has the hash %s, and go.sum of %s says %s: what is served is not what the team built with" %
                 (path, version, got["Sum"], _owner(rctx), want))
        fetched[path] = got["Dir"]
    if out.return_code != 0 or len(fetched) != len(modules):
        fail("fetch the modules that go.mod of %s requires: exit code %d\n%s" % (_owner(rctx), out.return_code, out.stderr))
    return fetched

def _copy(rctx, fetched):
    """Puts each module below its path. The module cache is shared and read-only."""
    kib = 0
    for path in sorted(fetched):
        kib += int(run(rctx, ["du", "-s", "-k", fetched[path]]).split("\t")[0])
        if kib > _MAX_SOURCE_KIB:
            fail("the modules that go.mod of %s requires have more than %d MiB" % (_owner(rctx), _MAX_SOURCE_KIB // 1024))
        if rctx.path(path).exists:
            outer = [p for p in fetched if path.startswith(p + "/")]
            fail(("%s is a directory of %s and a module of its own in the versions that go.mod of %s requires; require " +
                  "versions that go together") % (path, " or ".join(outer), _owner(rctx)))
        run(rctx, ["mkdir", "-p", path])
        run(rctx, ["cp", "-R", fetched[path] + "/.", path])
    run(rctx, ["chmod", "-R", "u+w", "."])
    run(rctx, ["sh", "-c", _CLEAN])
    for path in sorted(fetched):
        rctx.file(path + "/BUILD.bazel", "# gazelle:prefix %s\n" % path, executable = False)

_PLATFORM = "\"@io_bazel_rules_go//go/platform:linux\": ["

def _with_wasip1(text):
    """Has dependencies for every other system be those for Linux. Gazelle 0.36 knows no wasip1.

    A file that is built for wasip1 is one for "unix" or "not windows", so what it imports is among them. What Linux alone
    needs is empty elsewhere, as the compiler sees it.
    """
    lines, linux, inside = [], [], False
    for line in text.split("\n"):
        if line.strip() == "})," or line.strip() == "})":
            linux = []
        if line.strip() == _PLATFORM:
            linux, inside = [], True
        elif inside and line.strip() == "],":
            inside = False
        elif inside:
            linux.append(line)
        if line.strip() == "\"//conditions:default\": []," and linux:
            lines.extend([line.replace("[],", "[")] + linux + [line[:-len(line.lstrip())] + "],"])
        else:
            lines.append(line)
    return "\n".join(lines)

def _generate(rctx):
    """Writes the build files, by gazelle. Imports are resolved among the modules that are there, and nowhere else."""
    run(rctx, [
        rctx.path(rctx.attr.gazelle),
        "fix",
        "-repo_root=" + str(rctx.path(".")),
        "-external=static",
        "-go_naming_convention=import",
        "-go_naming_convention_external=import",
        "-proto=disable_global",
        str(rctx.path(".")),
    ], _ENV)
    selecting = rctx.execute(["grep", "-rlF", "--include=BUILD.bazel", _PLATFORM, "."])
    for path in selecting.stdout.splitlines():
        rctx.file(path, _with_wasip1(rctx.read(path)), executable = False)

def _go_modules_impl(rctx):
    rctx.file("WORKSPACE", "workspace(name = %r)\n" % rctx.name, executable = False)
    modules = _required(rctx, _parse(rctx))
    rctx.delete("team.mod")
    if not modules:
        return
    _copy(rctx, _download(rctx, modules))
    _generate(rctx)

go_modules = repository_rule(
    doc = "The third-party modules that a go.mod requires, each below its path, checked against its go.sum.",
    implementation = _go_modules_impl,
    attrs = {
        "gazelle": attr.label(default = "@bazel_gazelle_go_repository_tools//:bin/gazelle"),
        "go_mod": attr.label(mandatory = True, doc = "the team's go.mod"),
        "go_sum": attr.label(mandatory = True, doc = "the go.sum beside it; read if third-party modules are required"),
        "named": attr.string_dict(doc = "path of a module -> the pinned repository that repos.bzl says it is"),
        "pins": attr.string_list(doc = "repositories of functions: a module that is one of them is not fetched"),
    },
)
