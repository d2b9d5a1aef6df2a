"""What messages gRPC has: classes for those that Python reads, and what server reflection tells.

The messages live in a pool of their own. A program that has the server and a client of the protocol
in one process has all of them twice, and protobuf allows a name once in a pool.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FileDescriptorProto,
    FileDescriptorSet,
)
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

from despina.config import model_config_pb2

_COMPILED = Path(__file__).parent / "protos" / "descriptors.binpb"


@dataclass(frozen=True)
class DescriptorFile:
    """A file of declarations, as server reflection gives it.

    Attributes:
        name: by which other files import it.
        serialized: a ``google.protobuf.FileDescriptorProto``.
        dependencies: names of the files that it imports.
        services: with their packages.
        symbols: services, their methods, messages and enumerations, with their packages.
    """

    name: str
    serialized: bytes
    dependencies: tuple[str, ...]
    services: tuple[str, ...]
    symbols: tuple[str, ...]


def message_class(name: str) -> Any:
    """The class of a message of the service, as ``RepositoryModelLoadRequest``."""
    return GetMessageClass(_pool().FindMessageTypeByName(f"inference.{name}"))


@cache
def descriptor_files() -> tuple[DescriptorFile, ...]:
    """All files, each after those that it imports."""
    return tuple(
        DescriptorFile(
            name=file.name,
            serialized=file.SerializeToString(deterministic=True),
            dependencies=tuple(file.dependency),
            services=tuple(f"{file.package}.{service.name}" for service in file.service),
            symbols=tuple(f"{file.package}.{name}" for name in _names(file)),
        )
        for file in _files()
    )


@cache
def _pool() -> DescriptorPool:
    pool = DescriptorPool()
    for file in descriptor_files():
        pool.AddSerializedFile(file.serialized)
    return pool


def _files() -> Iterator[FileDescriptorProto]:
    compiled = FileDescriptorSet.FromString(_COMPILED.read_bytes())
    files = {file.name: file for file in compiled.file}
    config = FileDescriptorProto()
    model_config_pb2.DESCRIPTOR.CopyToProto(config)
    # Clients know the configuration as a message of the service's package.
    to_inference = _Move(config.name, "inference/model_config.proto", config.package, "inference")
    yield to_inference.apply(config)
    yield to_inference.apply(files["inference/service.proto"])
    yield files["grpc/health/v1/health.proto"]
    reflection = files["grpc/reflection/v1/reflection.proto"]
    yield reflection
    alpha = "grpc.reflection.v1alpha"
    path = f"{alpha.replace('.', '/')}/reflection.proto"
    yield _Move(reflection.name, path, reflection.package, alpha).apply(reflection)


@dataclass(frozen=True)
class _Move:
    """Of a file to another name, and of what it declares to another package."""

    old_name: str
    new_name: str
    old_package: str
    new_package: str

    def apply(self, file: FileDescriptorProto) -> FileDescriptorProto:
        """The file after that: the moved one, or one that imports it."""
        moved = FileDescriptorProto()
        moved.CopyFrom(file)
        if file.name == self.old_name:
            moved.name, moved.package = self.new_name, self.new_package
        moved.dependency[:] = [
            self.new_name if name == self.old_name else name for name in file.dependency
        ]
        for message in _messages(moved.message_type):
            for field in message.field:
                if field.HasField("type_name"):
                    field.type_name = self._type(field.type_name)
        for service in moved.service:
            for method in service.method:
                method.input_type = self._type(method.input_type)
                method.output_type = self._type(method.output_type)
        return moved

    def _type(self, name: str) -> str:
        rest = name.removeprefix(f".{self.old_package}.")
        return name if rest == name else f".{self.new_package}.{rest}"


def _messages(messages: Iterable[DescriptorProto]) -> Iterator[DescriptorProto]:
    """These, and those within them."""
    for message in messages:
        yield message
        yield from _messages(message.nested_type)


def _names(file: FileDescriptorProto) -> Iterator[str]:
    """What a file declares, without its package."""
    for service in file.service:
        yield service.name
        yield from (f"{service.name}.{method.name}" for method in service.method)
    yield from _type_names("", file.message_type, file.enum_type)


def _type_names(
    prefix: str, messages: Iterable[DescriptorProto], enums: Iterable[EnumDescriptorProto]
) -> Iterator[str]:
    yield from (f"{prefix}{enum.name}" for enum in enums)
    for message in messages:
        yield f"{prefix}{message.name}"
        yield from _type_names(f"{prefix}{message.name}.", message.nested_type, message.enum_type)
