"""Files that programs look for and do without: that one of them is missing is no reason for anything. Pure."""

import re

# By the call's arguments, in which a path stands in quotes; each was the last missing file of a program that ended with
# an error for another reason.
_OPTIONAL = re.compile(
    r"""
    "/(?:proc|sys)/                        # what this kernel may have
    | "/usr/(?:local/)?lib/                # parts of a runtime, which has its own reasons to do without
    | "[^"]*(?:
        /locale/ | \.mo"                   # translations
        | /ld\.so\. | \.so(?:\.[0-9]+)*"   # the folders of libraries, one after the other
        | /pyvenv\.cfg" | /pybuilddir\.txt" | \._pth" | /__pycache__/  # where CPython is
        | /package\.json"                 # where Node looks for the kind of a script's modules
        | /include/ | /lib/ext"            # the folders of headers, and of extensions of Java
        | /\.\w+rc" | /\.config/           # what a person prefers
    )
    | "/etc/(?:netsvc|svc|host|gai|nsswitch)\.conf" | "/etc/gnutls/config"   # of resolvers and of TLS
    | /nscd/socket\b                       # glibc's cache of names, which hardly anybody runs
    """,
    re.VERBOSE,
)


def names_one(arguments: str) -> bool:
    """Tell whether a call that found no file asked for one that its program can do without."""
    return _OPTIONAL.search(arguments) is not None
