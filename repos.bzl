"""The team repositories, and the commit of each that is deployed. To release a team's change, move its pin.

A commit has to be in the history of "ref", a branch or tag; without one, of the remote's HEAD. All members of an entry
are described in bazel/pins.bzl. The remotes of the examples are repositories in this checkout, which tools/repos makes
of examples/. The remote of a team is any URL that git can fetch.
"""

load("//bazel:pins.bzl", "declare_pinned")

FUNCTIONS = {
    "fx": {
        "commit": "5aeaa8185af054c092225e11c4c28c1cb9a56e05",
        "remote": "//.repos/fx",
    },
    "quote": {
        "commit": "371542a42ee68dfc56f2e8d1ea9cd25c40a8faf6",
        "remote": "//.repos/quote",
    },
    "tax": {
        "commit": "6ccb3e949378dd4903e5d2350ad9678b3f400799",
        "remote": "//.repos/tax",
    },
    "thumbnail": {
        "commit": "d722c44ea1354deb289120caf2fe1a2753cf7339",
        "remote": "//.repos/thumbnail",
    },
}

# What teams' go.mod files have the SDK from, for `countersign modproxy`. Bazel builds functions with the SDK of the rules.
SDK = {
    "commit": "da0d5fe767c773c3400a13f98ed8381a00102c38",
    "remote": "//.repos/sdk",
}

def function_repositories():
    """Declares a repository for each entry of FUNCTIONS."""
    declare_pinned(FUNCTIONS)
