"""The team repositories, and the commit of each that is deployed. To release a team's change, move its pin.

A commit has to be in the history of "ref", a branch or tag; without one, of the remote's HEAD. All members of an entry
are described in bazel/pins.bzl. The remotes of the examples are repositories in this checkout, which tools/repos makes
of examples/. The remote of a team is any URL that git can fetch.
"""

load("//bazel:pins.bzl", "declare_pinned")

FUNCTIONS = {
    "fx": {
        "commit": "7f609ca31b471edb388823524760c8d7f20f614d",
        "remote": "//.repos/fx",
    },
    "quote": {
        "commit": "f22b4e785fb7c107d2b65e345a6fd00fa081d88b",
        "remote": "//.repos/quote",
    },
    "tax": {
        "commit": "c07cf50913919388ab41e6df531f341cc78bc1f9",
        "remote": "//.repos/tax",
    },
    "thumbnail": {
        "commit": "28120ad3bf2b1ae6396d960aea2cda21dd625a7d",
        "remote": "//.repos/thumbnail",
    },
}

def function_repositories():
    """Declares a repository for each entry of FUNCTIONS."""
    declare_pinned(FUNCTIONS)
