"""The identity in C++, in the engine: the same answers and refusals as the one in Python."""

from pathlib import Path

import numpy as np
import pytest

from despina_identity.native import IDENTITY

despina = pytest.importorskip("despina", reason="the server is not installed")

DATATYPES = {
    "BOOL": np.bool_,
    "UINT8": np.uint8,
    "INT16": np.int16,
    "INT64": np.int64,
    "FP16": np.float16,
    "FP32": np.float32,
    "FP64": np.float64,
}
BACKENDS = ["identity", "identity_python"]


def write(repository: Path, backend: str, datatype: str, extra: str = "", rows: int = 4) -> None:
    (repository / "m" / "1").mkdir(parents=True)
    (repository / "m" / "config.pbtxt").write_text(
        f'backend: "{backend}"\nmax_batch_size: {rows}\n'
        f'input [ {{ name: "INPUT0" data_type: TYPE_{datatype} dims: [ -1 ] }} ]\n'
        f'output [ {{ name: "OUTPUT0" data_type: TYPE_{datatype} dims: [ -1 ] }} ]\n{extra}'
    )


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("datatype", DATATYPES)
def test_every_datatype_comes_back(backend: str, datatype: str, tmp_path: Path):
    write(tmp_path, backend, datatype)
    array = np.arange(6).reshape(2, 3).astype(DATATYPES[datatype])
    with despina.Server(tmp_path) as server:
        for each in (array, array[:, :0]):
            output = server.infer("m", {"INPUT0": each})["OUTPUT0"]
            assert output.dtype == each.dtype
            np.testing.assert_array_equal(output, each)


@pytest.mark.parametrize("backend", BACKENDS)
def test_texts_come_back(backend: str, tmp_path: Path):
    write(tmp_path, backend, "STRING")
    texts = np.array([[b"a", b"b\0c\0"], [b"", b"\xff" * 5000]], dtype=object)
    with despina.Server(tmp_path) as server:
        np.testing.assert_array_equal(server.infer("m", {"INPUT0": texts})["OUTPUT0"], texts)


@pytest.mark.parametrize("backend", BACKENDS)
def test_pairs_are_found_by_their_suffix(backend: str, tmp_path: Path):
    (tmp_path / "m" / "1").mkdir(parents=True)
    (tmp_path / "m" / "config.pbtxt").write_text(f"""
        backend: "{backend}"
        input [ {{ name: "INPUT1" data_type: TYPE_FP32 dims: [ 1 ] }},
                {{ name: "INPUT0" data_type: TYPE_INT32 dims: [ 1 ] optional: true }} ]
        output [ {{ name: "OUTPUT0" data_type: TYPE_INT32 dims: [ 1 ] }},
                 {{ name: "OUTPUT1" data_type: TYPE_FP32 dims: [ 1 ] }} ]
    """)
    one, two = np.array([1.5], np.float32), np.array([2], np.int32)
    with despina.Server(tmp_path) as server:
        both = server.infer("m", {"INPUT0": two, "INPUT1": one})
        assert {name: array.tolist() for name, array in both.items()} == {
            "OUTPUT0": [2],
            "OUTPUT1": [1.5],
        }
        assert list(server.infer("m", {"INPUT1": one})) == ["OUTPUT1"]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(
    ("extra", "reason"),
    [
        (
            'parameters { key: "execute_delay_ms" value { string_value: "soon" } }',
            "model 'm': parameter 'execute_delay_ms' is 'soon', no whole number",
        ),
        ('output [ { name: "OUTPUT1" data_type: TYPE_FP32 dims: [ 1 ] } ]', "do not make"),
    ],
)
def test_what_it_cannot_serve_is_refused(backend: str, extra: str, reason: str, tmp_path: Path):
    write(tmp_path, backend, "FP32", extra)
    with pytest.raises(despina.DespinaError, match=reason):
        despina.Server(tmp_path)


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_delay_of_an_execution_can_be_set(backend: str, tmp_path: Path):
    delay = 'parameters { key: "execute_delay_ms" value { string_value: "60" } }'
    write(tmp_path, backend, "FP32", delay)
    with despina.Server(tmp_path) as server:
        server.infer("m", {"INPUT0": np.ones((1, 1), np.float32)})
        (statistics,) = server.statistics("m")["model_stats"]
        assert statistics["inference_stats"]["compute_infer"]["ns"] >= 60e6


def test_the_kit_and_a_server_use_the_library_side_by_side(tmp_path: Path):
    kit = pytest.importorskip("despina_sdk.testing.native")
    write(tmp_path, "identity", "FP32")
    ones = {"INPUT0": np.ones((1, 2), np.float32)}
    with despina.Server(tmp_path) as server:
        before = server.infer("m", ones)["OUTPUT0"]
        tested = kit.backend_class(IDENTITY.path())({})
        np.testing.assert_array_equal(server.infer("m", ones)["OUTPUT0"], before)
        tested.close()
