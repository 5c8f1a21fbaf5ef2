"""The teams' repositories, and "quote": {"commit": "…"} in words."""

load("//bazel:pins.bzl", "declare_pinned")

# Above.
FUNCTIONS = {
    "cash": {
        "commit": "4444444444444444444444444444444444444444",
        "ref": "main",
        "remote": "https://git.example.com/cash.git",
    },
    # Frozen until the audit.
    "fx": {
        "commit": "1111111111111111111111111111111111111111",  # the fix of ü 日本
        "remote": "//.repos/fx",
    },

    # Shop: three functions.
    "shop": {
        "remote": "https://git.example.com/shop.git",
        "functions": {
            "cart": "//cart",
            "till": "//:till",
        },
        # after review
        "commit": "2222222222222222222222222222222222222222",
        "ref": "main",
    },  # last
    # The end.
}

SDK = {
    "commit": "3333333333333333333333333333333333333333",
    "remote": "//.repos/sdk",
}

def function_repositories():
    """Declares a repository for each entry of FUNCTIONS."""
    declare_pinned(FUNCTIONS)
