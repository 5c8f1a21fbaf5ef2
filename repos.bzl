"""The team repositories, and the commit of each that is deployed. To release a team's change, move its pin.

A commit has to be in the history of "ref", a branch or tag; without one, of the remote's HEAD. All members of an entry
are described in bazel/pins.bzl. The remotes of the examples are repositories in this checkout, which tools/repos makes
of examples/. The remote of a team is any URL that git can fetch.
"""

load("//bazel:pins.bzl", "declare_pinned")

FUNCTIONS = {
    "fx": {
        "commit": "07d5c6d8f87e50867780d3c7bf2468556cc6ff41",
        "remote": "//.repos/fx",
    },
    "quote": {
        "commit": "6000166bdf23738455b0a5803a2c2436acb15616",
        "remote": "//.repos/quote",
    },
    "tax": {
        "commit": "057723a75a2728261746176f37900395d993623e",
        "remote": "//.repos/tax",
    },
    "thumbnail": {
        "commit": "545bd1fe9f6c579cfb9f5256c30939030aac43ba",
        "remote": "//.repos/thumbnail",
    },
}

# What teams' go.mod files have the SDK from, for `countersign modproxy`. Bazel builds functions with the SDK of the rules.
SDK = {
    "commit": "a1af5624f7bec828aaf00d33d3135abac2baad7d",
    "remote": "//.repos/sdk",
}

def function_repositories():
    """Declares a repository for each entry of FUNCTIONS."""
    declare_pinned(FUNCTIONS)
