"""``python -m despina_sdk.cmake``: where CMake finds the SDK, for ``-DDespinaSDK_DIR=...``."""

from __future__ import annotations

from pathlib import Path


def folder() -> Path:
    """The folder of ``DespinaSDKConfig.cmake``."""
    return Path(__file__).resolve().parent / "cmake"


def include_folder() -> Path:
    """The folder of the headers, for builds without CMake."""
    return Path(__file__).resolve().parent / "include"


if __name__ == "__main__":
    print(folder())
