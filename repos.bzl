"""The team repositories, and the commit of each that is deployed. To release a team's change, move its pin.

A commit has to be in the history of "ref", a branch or tag; without one, of the remote's HEAD. All members of an entry
are described in bazel/pins.bzl. The remotes of the examples are repositories in this checkout, which tools/repos makes
of examples/. The remote of a team is any URL that git can fetch.
"""

load("//bazel:pins.bzl", "declare_pinned")

FUNCTIONS = {
    "fx": {
        "commit": "dcb2b8a8fc822876ed73172e131ed4340507ec1c",
        "remote": "//.repos/fx",
    },
    "quote": {
        "commit": "4add46aa8285270bbc1fe773a0a979986cbfd3cf",
        "remote": "//.repos/quote",
    },
    "tax": {
        "commit": "c05e7bf0be8f5437e2ceb7189e83be113b828c7f",
        "remote": "//.repos/tax",
    },
    "thumbnail": {
        "commit": "5b2d46c2f9abb6b1b1de1d9ecc9e005066df7b34",
        "remote": "//.repos/thumbnail",
    },
}

# What teams' go.mod files have the SDK from, for `countersign modproxy`. Bazel builds functions with the SDK of the rules.
SDK = {
    "commit": "376ffb862fcbf2c6fb63102dc75100e44fcfb8a0",
    "remote": "//.repos/sdk",
}

def function_repositories():
    """Declares a repository for each entry of FUNCTIONS."""
    declare_pinned(FUNCTIONS)
