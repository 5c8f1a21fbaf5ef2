"""The team repositories, and the commit of each that is deployed. To release a team's change, move its pin.

A commit has to be in the history of "ref", a branch or tag; without one, of the remote's HEAD. All members of an entry
are described in bazel/pins.bzl. The remotes of the examples are repositories in this checkout, which tools/repos makes
of examples/. The remote of a team is any URL that git can fetch.
"""

load("//bazel:pins.bzl", "declare_pinned")

FUNCTIONS = {
    "fx": {
        "commit": "f0d44345e8924afe8298205f40a00a3236182b51",
        "remote": "//.repos/fx",
    },
    "quote": {
        "commit": "be04339c28ee6bbbd2b2686ad76c72b5f4a0bdd1",
        "remote": "//.repos/quote",
    },
    "tax": {
        "commit": "3d2cfa243a814336549e1f358434171cefb2e7a8",
        "remote": "//.repos/tax",
    },
    "thumbnail": {
        "commit": "5787ace9aaccd33852f3f6be8a4bb20ad30a2364",
        "remote": "//.repos/thumbnail",
    },
}

# What teams' go.mod files have the SDK from, for `countersign modproxy`. Bazel builds functions with the SDK of the rules.
SDK = {
    "commit": "787af93d8ac6b17c02eafe67dbeee5ab5715d331",
    "remote": "//.repos/sdk",
}

def function_repositories():
    """Declares a repository for each entry of FUNCTIONS."""
    declare_pinned(FUNCTIONS)
