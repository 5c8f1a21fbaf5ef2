"""Pins: where each function comes from, as repos.bzl says it. What a team's repository says of itself counts for nothing.

An entry of FUNCTIONS in repos.bzl is a repository by its name:

    "shop": {
        "commit": "f22b4e785fb7c107d2b65e345a6fd00fa081d88b",       full commit id
        "functions": {"cart": "//cart", "quote": "//:quote"},       optional; by default {"shop": "//:shop"}
        "module": "git.example.com/shop/basket",                    optional; by default its last element has to be shop
        "ref": "main",                                              optional; by default the remote's HEAD
        "remote": "https://git.example.com/shop/shop.git",
    },
"""

load("//bazel:function_repository.bzl", "DEFAULT_REF", "function_repository", "pinned_source")
load("//bazel:go_modules.bzl", "go_modules")

_MEMBERS = ["commit", "functions", "module", "ref", "remote"]
_REQUIRED = ["commit", "remote"]

# The end of the name of what holds a repository's third-party Go modules.
_MODULES = ".go_modules"

def _split(repository, label):
    """Returns package and name of a label within a repository."""
    package, colon, name = label[2:].partition(":")
    if not colon:
        name = package.split("/")[-1]
    if not label.startswith("//") or not name or ":" in name or "@" in label:
        fail("repos.bzl: %r of %s is not a label such as //:quote" % (label, repository))
    return package, name

def pinned_functions(repositories):
    """Returns what repos.bzl says of each function.

    Args:
        repositories: FUNCTIONS of repos.bzl.

    Returns:
        a dict: (repository, package, target name) -> struct of name, commit, ref and remote.
    """
    pins = {}
    names = {}
    for repository, entry in repositories.items():
        if repository.endswith(_MODULES):
            fail("repos.bzl: a repository can't be named %s: names that end with %s are the build's" % (repository, _MODULES))
        for member in entry:
            if member not in _MEMBERS:
                fail("repos.bzl: %s has a member %r; there are %s" % (repository, member, ", ".join(_MEMBERS)))
        for member in _REQUIRED:
            if member not in entry:
                fail("repos.bzl: %s has no %r" % (repository, member))
        for name, label in entry.get("functions", {repository: "//:" + repository}).items():
            if name in names:
                fail("repos.bzl: function %s is in %s and in %s" % (name, names[name], repository))
            names[name] = repository
            package, target = _split(repository, label)
            key = (repository, package, target)
            if key in pins:
                fail("repos.bzl: %s of %s is two functions, %s and %s" % (label, repository, pins[key].name, name))
            pins[key] = struct(
                name = name,
                commit = entry["commit"],
                ref = entry.get("ref", DEFAULT_REF),
                remote = entry["remote"],
            )
    return pins

# Begins the names of repositories that vouch for another one.
_CHECK = "countersign_pinned_"

def check_of(repository):
    """Returns the label of a file that is only there if a repository is what repos.bzl pins.

    Args:
        repository: name of an entry of FUNCTIONS.
    """
    return "@%s%s//:checked" % (_CHECK, repository)

def pinned_targets(repositories):
    """Returns the labels of all functions, for a deploy target.

    Args:
        repositories: FUNCTIONS of repos.bzl.
    """
    return ["@%s//%s:%s" % key for key in sorted(pinned_functions(repositories))]

def declare_pinned(repositories):
    """Declares a repository for each entry, and one that vouches for it. For a WORKSPACE.

    Args:
        repositories: FUNCTIONS of repos.bzl.
    """
    pinned_functions(repositories)
    for name, entry in repositories.items():
        if name.startswith(_CHECK):
            fail("repos.bzl: %s: names that begin with %s are those of the build" % (name, _CHECK))
        pin = {"commit": entry["commit"], "ref": entry.get("ref", DEFAULT_REF), "remote": entry["remote"]}
        function_repository(
            name = name,
            # What a team's build files call @go_modules are the modules of its own go.mod.
            repo_mapping = {"@go_modules": "@" + name + _MODULES},
            **pin
        )
        go_modules(
            name = name + _MODULES,
            go_mod = "@%s//:go.mod" % name,
            go_sum = "@%s//:go.sum" % name,
            named = {other["module"]: of for of, other in repositories.items() if of != name and "module" in other},
            pins = [other for other in repositories if other != name],
        )
        pinned_source(name = _CHECK + name, pin = json.encode(pin), repository = name)
