"""What gRPC's messages are: as clients know them, and beside the clients' own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    FileDescriptorProto,
    FileDescriptorSet,
    ServiceDescriptorProto,
)
from google.protobuf.descriptor_pool import DescriptorPool

from despina.control import descriptors
from despina.control.descriptors import descriptor_files, message_class

FOLDER = Path(descriptors.__file__).parent / "protos"
CORE = FOLDER.parents[2]
PROTOS = (
    "inference/service.proto",
    "grpc/health/v1/health.proto",
    "grpc/reflection/v1/reflection.proto",
)


def test_the_compiled_descriptors_are_current(tmp_path: Path):
    pytest.importorskip("grpc_tools", reason="grpcio-tools compiles them")
    fresh = tmp_path / "fresh.binpb"
    command = [sys.executable, "-m", "grpc_tools.protoc", f"-I{CORE}", f"-I{FOLDER}"]
    subprocess.run([*command, f"--descriptor_set_out={fresh}", *PROTOS], check=True)
    committed = FileDescriptorSet.FromString((FOLDER / "descriptors.binpb").read_bytes())
    hint = "compile them as the head of service.proto says, and commit the result"
    assert committed == FileDescriptorSet.FromString(fresh.read_bytes()), hint
    assert {path.relative_to(FOLDER).as_posix() for path in FOLDER.rglob("*.proto")} == set(PROTOS)


def test_reflection_tells_of_each_service_with_what_it_imports():
    files = {file.name: file for file in descriptor_files()}
    assert [service for file in files.values() for service in file.services] == [
        "inference.GRPCInferenceService",
        "grpc.health.v1.Health",
        "grpc.reflection.v1.ServerReflection",
        "grpc.reflection.v1alpha.ServerReflection",
    ]
    service = files["inference/service.proto"]
    assert service.dependencies == ("inference/model_config.proto",)
    assert files["inference/model_config.proto"].dependencies == ()
    for symbol in (
        "inference.GRPCInferenceService.ModelInfer",
        "inference.ModelInferRequest.InferInputTensor",
    ):
        assert symbol in service.symbols
    enumeration = "inference.ModelInstanceGroup.Kind"
    assert enumeration in files["inference/model_config.proto"].symbols


def test_what_reflection_tells_can_be_put_together_by_clients():
    pool = DescriptorPool()
    for file in descriptor_files():
        pool.AddSerializedFile(file.serialized)
        for symbol in file.symbols:
            if symbol.startswith(tuple(f"{service}." for service in file.services)):
                found = pool.FindMethodByName(symbol).containing_service.file
            else:
                found = pool.FindFileContainingSymbol(symbol)
            assert found.name == file.name
    config = pool.FindMessageTypeByName("inference.ModelConfigResponse").fields_by_name["config"]
    assert config.message_type.full_name == "inference.ModelConfig"
    assert b"despina" not in b"".join(file.serialized for file in descriptor_files())


def without_options(service: ServiceDescriptorProto) -> ServiceDescriptorProto:
    for method in service.method:
        method.ClearField("options")
    return service


def normalised(messages: Any) -> dict[str, DescriptorProto]:
    """Messages by name, without what only their order or their text makes different."""

    def clean(message: DescriptorProto) -> DescriptorProto:
        for nested in message.nested_type:
            clean(nested)
        message.field.sort(key=lambda field: field.number)
        message.nested_type.sort(key=lambda nested: nested.name)
        for field in message.field:
            field.ClearField("json_name")
        return message

    return {message.name: clean(message) for message in messages}


def declared(descriptor: Any) -> FileDescriptorProto:
    file = FileDescriptorProto()
    descriptor.CopyToProto(file)
    return file


@pytest.fixture(scope="module")
def ours() -> FileDescriptorProto:
    (file,) = (each for each in descriptor_files() if each.name == "inference/service.proto")
    return FileDescriptorProto.FromString(file.serialized)


def test_messages_and_methods_are_those_that_clients_know(ours: FileDescriptorProto):
    service_pb2 = pytest.importorskip("tritonclient.grpc.service_pb2")
    theirs = declared(service_pb2.DESCRIPTOR)
    assert normalised(ours.message_type) == normalised(theirs.message_type)
    (our_service,), (their_service,) = ours.service, theirs.service
    our_methods = {each.name: each for each in without_options(our_service).method}
    their_methods = {each.name: each for each in without_options(their_service).method}
    assert our_methods == their_methods
    assert len(our_methods) == 20


@pytest.mark.parametrize("version", ["v1", "v1alpha"])
def test_reflection_has_the_messages_of_both_of_its_versions(version: str):
    name = f"grpc/reflection/{version}/reflection.proto"
    (file,) = (each for each in descriptor_files() if each.name == name)
    package = f"grpc.reflection.{version}"
    assert f"{package}.ServerReflectionRequest" in file.symbols
    (service,) = FileDescriptorProto.FromString(file.serialized).service
    (method,) = service.method
    assert (method.client_streaming, method.server_streaming) == (True, True)
    assert method.input_type == f".{package}.ServerReflectionRequest"
    assert method.output_type == f".{package}.ServerReflectionResponse"


@pytest.mark.parametrize(
    ("name", "module"),
    [
        ("grpc/health/v1/health.proto", "grpc_health.v1.health_pb2"),
        ("grpc/reflection/v1alpha/reflection.proto", "grpc_reflection.v1alpha.reflection_pb2"),
    ],
)
def test_what_is_grpcs_own_is_what_its_clients_know(name: str, module: str):
    theirs = declared(pytest.importorskip(module).DESCRIPTOR)
    (file,) = (each for each in descriptor_files() if each.name == name)
    ours = FileDescriptorProto.FromString(file.serialized)
    assert ours.package == theirs.package
    assert normalised(ours.message_type) == normalised(theirs.message_type)
    assert without_options(ours.service[0]) == without_options(theirs.service[0])


OURS, THEIRS = "despina.control.descriptors", "tritonclient.grpc"


@pytest.mark.parametrize(("first", "second"), [(OURS, THEIRS), (THEIRS, OURS)])
def test_server_and_client_live_in_one_process(first: str, second: str):
    pytest.importorskip("tritonclient.grpc")
    program = f"""
import {first}, {second}
from despina.control.descriptors import message_class
from tritonclient.grpc import service_pb2
theirs = service_pb2.RepositoryModelLoadRequest(model_name="m")
theirs.parameters["config"].string_param = "{{}}"
ours = message_class("RepositoryModelLoadRequest").FromString(theirs.SerializeToString())
assert ours.parameters["config"].string_param == "{{}}", ours
assert type(ours) is not type(theirs)
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


def test_a_message_is_read_and_written():
    request = message_class("TraceSettingRequest")(model_name="m")
    request.settings["trace_rate"].value.append("7")
    again = message_class("TraceSettingRequest").FromString(request.SerializeToString())
    assert list(again.settings["trace_rate"].value) == ["7"]
