"""What is to be done about each reason why a backend is refused.

The reasons are those of the registry, of the engine (``cpp/host``), of Python and of the loader.
"""

from __future__ import annotations

import re
from typing import NamedTuple


class Refusal(NamedTuple):
    """A reason, taken apart.

    Attributes:
        subject: what the check is called that has failed.
    """

    subject: str
    text: str
    remedy: str


SHARED_LIBRARIES, UNDEFINED_SYMBOLS = "shared libraries", "undefined symbols"
"""Subjects of what the system's loader says."""

# A pattern of the reason → the subject and the remedy. Where the reason names the remedy itself,
# the pattern takes it out of it as `remedy`. The first that fits counts.
_KNOWN: tuple[tuple[str, str, str], ...] = (
    (
        r"cannot open shared object file|=> not found",
        SHARED_LIBRARIES,
        "install the package of the system that has the library; one that comes with the plugin"
        " belongs beside it, found by the rpath $ORIGIN (auditwheel repair does both in a wheel)",
    ),
    (
        r"version `\w+_[\d.]+' not found",
        SHARED_LIBRARIES,
        "it was built on a newer system than this one: build it here, or on the oldest that it is"
        " to run on (the manylinux images)",
    ),
    (
        r"undefined symbol: ",
        UNDEFINED_SYMBOLS,
        "link the library that has the symbol (target_link_libraries), or the missing source; if it"
        " is linked, what is installed is another version of it",
    ),
    (r"Triton's backend interface[^:]*: (?P<remedy>.+)", "symbols", ""),
    (r"exports no '[^']+': (?P<remedy>.+)", "symbols", ""),
    (r"of the backend interface, this server has [^:]+: (?P<remedy>.+)", "interface", ""),
    (
        r"its table has",
        "interface",
        "write it with despina/backend.hpp, which fills in the whole table, or fill in every"
        " function of despina_backend_api in despina/abi.h",
    ),
    (
        r"declares capabilities",
        "interface",
        "declare only what despina/abi.h of this server's despina-sdk has, and compile it again",
    ),
    (
        r"calls itself '",
        "name",
        "use one name: in DESPINA_BACKEND(...) or the attribute `name` of the class, as the entry"
        " point, and as `backend` in config.pbtxt",
    ),
    (
        r"is neither a subclass of",
        "entry point",
        "let the entry point name a subclass of despina_sdk.Backend, what @batch_function makes, or"
        " a despina_sdk.native.NativeBackend, and install it again",
    ),
    (
        r"was it built\?",
        "library",
        "build it: install the plugin again, or run its CMake build where it is installed editable",
    ),
    (r"it is not a shared library: (?P<remedy>.+)", "library", ""),
    (
        r"made for another machine",
        "library",
        "build it on this machine, or install the wheel for this one's processor",
    ),
    (r"its file was overwritten while it was loaded: (?P<remedy>.+)", "library", ""),
    (
        r"it is not a library|it is damaged|it cannot be read",
        "library",
        "build it again, or copy it again: all of it, and as the user that serves",
    ),
    (
        r"^import failed: ModuleNotFoundError",
        "import",
        "install what has that module into this environment, and name it in the plugin's"
        " dependencies",
    ),
    (
        r"^import failed: (SyntaxError|IndentationError|TabError)",
        "import",
        "correct the file and line that the trace ends with",
    ),
    (r"offered by .*; (?P<remedy>uninstall .+)", "entry point", ""),
    (r"^import failed", "import", "correct the line of the plugin that the trace points at"),
    (
        r"abstract method",
        "load",
        "define the methods that the class has left abstract: `load` of a Backend, `instance` of a"
        " Model, `execute` of an Instance",
    ),
)
_OTHER = "its own code refuses: see what it says, and the line of the trace, if there is one"


def explain(reason: str) -> Refusal:
    """What kind of reason it is, and what to do."""
    for pattern, subject, remedy in _KNOWN:
        if found := re.search(pattern, reason):
            if own := found.groupdict().get("remedy"):
                return Refusal(subject, reason.removesuffix(own).rstrip(":; "), own)
            return Refusal(subject, reason, remedy)
    return Refusal("load", reason, _OTHER)
