"""The teams' repositories, and "quote": {"commit": "…"} in words."""

load("//bazel:pins.bzl", "declare_pinned")

# Above.
FUNCTIONS = {
    "cash": {
        "commit": "4444444444444444444444444444444444444444",
        "ref": "main",
        "remote": "https://git.example.com/cash.git",
    },
    # Shop: three functions.
    "shop": {
        "remote": "https://git.example.com/shop.git",
        "functions": {
            "cart": "//cart",
            "till": "//:till",
        },
        # after review
        "commit": "4444444444444444444444444444444444444444",
        "ref": "main",
    },  # last
    # The end.
    "zoo": {
        "commit": "2222222222222222222222222222222222222222",
        "functions": {
            "ape": "//ape",
            "lion": "//:lion",
        },
        "module": "git.example.com/x/zoo2",
        "remote": "//.repos/zoo",
    },
}

SDK = {
    "commit": "3333333333333333333333333333333333333333",
    "remote": "//.repos/sdk",
}

def function_repositories():
    """Declares a repository for each entry of FUNCTIONS."""
    declare_pinned(FUNCTIONS)
