"""docs/from-triton-backend.md and docs/from-model-py.md name nothing of ours that is not there."""

from __future__ import annotations

import re
from collections import Counter
from itertools import chain
from pathlib import Path

import pytest
from harness.pages import codes, rows
from header_pages import cpp_page

import despina_sdk

OWNERS = ("ModelSpec", "Request", "Batch", "Placement", "Model", "Instance")
OF_THE_AUTHOR = {"Model::signature", "Model::check_ready", "Instance::execute"}
OF_THE_AUTHOR |= {"Instance::cancelled"}

# Of Triton 2.51 to 2.73: those that a backend calls, and those that it may implement.
CALLED, IMPLEMENTED = 91, 14
# What `model.py` finds in `pb_utils`, and is asked for.
PB_UTILS = """
Tensor.name Tensor.as_numpy Tensor.triton_dtype Tensor.shape Tensor.is_cpu Tensor.to_dlpack
Tensor.from_dlpack InferenceRequest InferenceResponse TritonError TritonModelException
request.inputs request.request_id request.correlation_id request.flags request.set_flags
request.timeout request.parameters request.trace request.requested_output_names
request.is_cancelled request.get_response_sender request.set_release_flags exec async_exec
sender.send sender.is_cancelled ResponseIterator Logger PreferredMemory MetricFamily increment
observe load_model unload_model is_model_ready get_model_dir get_input_tensor_by_name
get_output_tensor_by_name get_input_config_by_name get_output_config_by_name
using_decoupled_model_transaction_policy triton_to_numpy_type numpy_to_triton_type
triton_string_to_numpy serialize_byte_tensor deserialize_bytes_tensor
TRITONSERVER_RESPONSE_COMPLETE_FINAL auto_complete_config set_max_batch_size set_dynamic_batching
add_input add_output set_model_transaction_policy initialize execute finalize is_ready
"""


@pytest.fixture(scope="module")
def docs(checkout: Path) -> Path:
    return checkout / "docs"


def test_every_function_of_cpp_is_in_the_headers(docs: Path) -> None:
    page = (docs / "from-triton-backend.md").read_text()
    used = set(chain.from_iterable(map(names_of_cpp, codes(page))))
    headers = cpp_page()
    assert len(used) > 20
    for name in used - OF_THE_AUTHOR:
        owner, _, member = name.partition("::")
        (body,) = re.findall(rf"^(?:class|struct) {owner} .*?^\}};", headers, re.M | re.S)
        assert re.search(rf"\b{member}\b", body), name


def names_of_cpp(code: str) -> list[str]:
    return re.findall(rf"\b(?:{'|'.join(OWNERS)})::\w+", code)


def test_every_function_of_triton_has_one_place(docs: Path) -> None:
    page = (docs / "from-triton-backend.md").read_text()
    found = Counter(
        code for row in rows(page) for code in codes(row[0]) if code.startswith("TRITONBACKEND_")
    )
    assert len(found) == CALLED + IMPLEMENTED
    assert set(found.values()) == {1}


def test_everything_of_pb_utils_has_a_place(docs: Path) -> None:
    page = (docs / "from-model-py.md").read_text()
    told = " ".join(code for row in rows(page) for code in codes(row[0]))
    for name in PB_UTILS.split():
        assert re.search(rf"\b{re.escape(name)}\b", told), name


def test_every_name_of_the_sdk_is_there(docs: Path) -> None:
    page = (docs / "from-model-py.md").read_text()
    answers = [code for row in rows(page) for code in codes(row[1])]
    holders = {
        "spec": despina_sdk.ModelSpec,
        "placement": despina_sdk.Placement,
        "batch": despina_sdk.Batch,
        "request": despina_sdk.Request,
        "Model": despina_sdk.Model,
        "Backend": despina_sdk.Backend,
        "Instance": despina_sdk.Instance,
    }
    used = {found for code in answers for found in re.findall(r"\b([A-Za-z]+)\.(\w+)", code)}
    ours = [(holders[name], member) for name, member in used if name in holders]
    assert len(ours) > 15
    for holder, member in ours:
        assert member in {*dir(holder), *holder.__annotations__}, (holder, member)
