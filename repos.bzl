"""The team repositories, and the commit of each that is deployed. To release a team's change, move its pin.

The remotes of the examples are repositories in this checkout, which tools/repos makes of examples/. The remote of a
team is any URL that git can fetch.
"""

load("//bazel:function_repository.bzl", "function_repository")

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
    for name, pin in FUNCTIONS.items():
        function_repository(
            name = name,
            commit = pin["commit"],
            remote = pin["remote"],
        )
