"""The teams' repositories, and "quote": {"commit": "…"} in words."""

load("//bazel:pins.bzl", "declare_pinned")

# Above.
FUNCTIONS = {
    # Frozen until the audit.
    "fx": {
        "commit": "1111111111111111111111111111111111111111",  # the fix of ü 日本
        "remote": "//.repos/fx",
    },

    # The end.
}

SDK = {
    "commit": "3333333333333333333333333333333333333333",
    "remote": "//.repos/sdk",
}

def function_repositories():
    """Declares a repository for each entry of FUNCTIONS."""
    declare_pinned(FUNCTIONS)
