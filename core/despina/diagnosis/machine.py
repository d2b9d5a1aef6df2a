"""What a server finds on this machine, and what may be too little."""

from __future__ import annotations

import os
import platform
import resource
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

from despina.diagnosis.check import Check, Verdict
from despina.diagnosis.limits import memory, processors
from despina.settings import Settings
from despina.settings.model import flag_name

MIB = 1 << 20
FEATURES = (
    "avx", "avx2", "fma", "f16c", "avx512f", "avx512_vnni", "avx_vnni", "avx512_bf16", "amx_int8",
    "asimd", "asimddp", "i8mm", "bf16", "sve",
)  # fmt: skip
"""Of processors, as the kernel calls them: what networks on the CPU gain from."""
ENOUGH_FILES = 4096
"""Connections and files of models, with room."""
SMALL_SHARED_MEMORY = 64 * MIB
"""What containers get if nobody asks for more."""


def check_machine(settings: Settings) -> list[Check]:
    """All of it; ``settings`` say which ports a server would take."""
    return [
        _system(),
        _processor(),
        _cores(),
        _memory(),
        _files(),
        _shared_memory(),
        *_ports(settings),
        _gpu(),
    ]


def _system() -> Check:
    try:
        name = platform.freedesktop_os_release().get("PRETTY_NAME", "")
    except OSError:
        name = ""
    libc = " ".join(part for part in platform.libc_ver() if part) or "no glibc"
    text = f"{name or sys.platform}, Linux {platform.release()}, {libc}"
    return Check("system", Verdict.OK, text)


def _processor() -> Check:
    fields: dict[str, str] = {}
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    for line in lines:
        key, _, value = line.partition(":")
        fields.setdefault(key.strip(), value.strip())
    flags = (fields.get("flags") or fields.get("Features", "")).split()
    known = " ".join(each for each in FEATURES if each in flags) or "none that matters"
    model = fields.get("model name", "unknown model")
    return Check("processor", Verdict.OK, f"{model}, {platform.machine()}, with {known}")


def _cores() -> Check:
    there, ours, quota = os.cpu_count() or 1, len(os.sched_getaffinity(0)), processors()
    text = f"{there}, of which this process may use {ours}"
    if quota is None:
        return Check("cores", Verdict.OK, text)
    text += f", and by its control group {quota:g} of their time"
    if quota >= ours:
        return Check("cores", Verdict.OK, text)
    remedy = (
        "frameworks start a thread for each core that they see, and wait for each other then: set"
        f" their threads to {max(1, int(quota))} (intra_op_thread_count of onnxruntime)"
    )
    return Check("cores", Verdict.NOTE, text, remedy)


def _memory() -> Check:
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    text = f"{_mib(total)}, {_mib(free)} of it unused"
    limit = memory()
    if limit is not None and limit < total:
        text += f"; its control group allows {_mib(limit)}"
    space, _ = resource.getrlimit(resource.RLIMIT_AS)
    if space == resource.RLIM_INFINITY:
        return Check("memory", Verdict.OK, text)
    remedy = "address space is more than memory: lift the limit (ulimit -v unlimited)"
    return Check("memory", Verdict.NOTE, f"{text}; address space up to {_mib(space)}", remedy)


def _files() -> Check:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    text = f"{soft} open files; a server takes up to {hard}"
    if hard == resource.RLIM_INFINITY or hard >= ENOUGH_FILES:
        return Check("files", Verdict.OK, text)
    remedy = (
        "each connection is one: raise it (LimitNOFILE= of systemd, --ulimit nofile= of Docker)"
    )
    return Check("files", Verdict.NOTE, text, remedy)


def _shared_memory() -> Check:
    try:
        there = os.statvfs("/dev/shm")
    except OSError as error:
        text = f"/dev/shm: {error.strerror}"
        remedy = "only clients that send tensors in shared memory need it: mount a tmpfs there"
        return Check("shared memory", Verdict.NOTE, text, remedy)
    size, free = there.f_blocks * there.f_frsize, there.f_bavail * there.f_frsize
    text = f"/dev/shm has {_mib(size)}, {_mib(free)} of it unused"
    if size > SMALL_SHARED_MEMORY:
        return Check("shared memory", Verdict.OK, text)
    remedy = "only clients that send tensors in shared memory need more (--shm-size of Docker)"
    return Check("shared memory", Verdict.NOTE, text, remedy)


def _ports(settings: Settings) -> Iterator[Check]:
    http, metrics = settings.http_address, settings.metrics_address or settings.http_address
    for name, address in (("http_port", http), ("metrics_port", metrics)):
        port = getattr(settings, name)
        subject, where = name.replace("_", " "), f"{address}:{port}"
        try:
            family, *_, place = socket.getaddrinfo(address, port, type=socket.SOCK_STREAM)[0]
            with socket.socket(family) as listener:
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                listener.bind(place)
        except OSError as error:
            remedy = f"end what uses it, or serve on another: --{flag_name(name)}=PORT"
            yield Check(subject, Verdict.NOTE, f"{where}: {error.strerror}", remedy)
        else:
            yield Check(subject, Verdict.OK, f"{where} is free")


def _gpu() -> Check:
    try:
        (first, *_) = Path("/proc/driver/nvidia/version").read_text().splitlines()
    except (OSError, ValueError):
        return Check("GPU", Verdict.OK, "no NVIDIA driver: models run on the CPU")
    cards = len(list(Path("/proc/driver/nvidia/gpus").glob("*")))
    return Check("GPU", Verdict.OK, f"{cards} NVIDIA, {first.partition(':')[2].strip()}")


def _mib(size: float) -> str:
    return f"{size / MIB:,.0f} MiB".replace(",", " ")
