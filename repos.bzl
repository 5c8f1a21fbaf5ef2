"""The team repositories, and the commit of each that is deployed. To release a team's change, move its pin.

A commit has to be in the history of "ref", a branch or tag; without one, of the remote's HEAD. All members of an entry
are described in bazel/pins.bzl. The remotes of the examples are repositories in this checkout, which tools/repos makes
of examples/. The remote of a team is any URL that git can fetch.
"""

load("//bazel:pins.bzl", "declare_pinned")

FUNCTIONS = {
    "fx": {
        "commit": "3e76431cdb8577584487a91a6395bcb2344a6241",
        "remote": "//.repos/fx",
    },
    "quote": {
        "commit": "13fe456cc787e2503951898e0cec8c0ff517fab5",
        "remote": "//.repos/quote",
    },
    "tax": {
        "commit": "e960b9771029460e7ce124c3d4e529a919a5baee",
        "remote": "//.repos/tax",
    },
    "thumbnail": {
        "commit": "7bbbf9c5a211cc3674bb4efc1d96072f36dacbd1",
        "remote": "//.repos/thumbnail",
    },
}

# What teams' go.mod files have the SDK from, for `countersign modproxy`. Bazel builds functions with the SDK of the rules.
SDK = {
    "commit": "ea4a73b8ae942b4208593f7ecb10bd5e464494b6",
    "remote": "//.repos/sdk",
}

def function_repositories():
    """Declares a repository for each entry of FUNCTIONS."""
    declare_pinned(FUNCTIONS)
