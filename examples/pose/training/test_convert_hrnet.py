"""What the conversion of published HRNet checkpoints promises, on randomly initialised ones."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest

_REASON = "needs the training requirements (training/requirements.txt)"
pytest.importorskip("torch", reason=_REASON)
pytest.importorskip("onnx", reason=_REASON)
pytest.importorskip("onnxruntime", reason=_REASON)

import onnxruntime  # type: ignore[import-untyped]  # noqa: E402
import torch  # noqa: E402

from convert_hrnet import (  # noqa: E402
    SIZES,
    CheckpointError,
    build_hrnet,
    convert,
    read_state_dict,
)
from hrnet import WIDTHS, HRNet  # noqa: E402


def random_hrnet(width: int) -> HRNet:
    """An HRNet with random weights and random statistics of its batch normalisations."""
    torch.manual_seed(width)
    network = HRNet(width).eval()
    for layer in network.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(layer.get_buffer("running_mean"), -0.1, 0.1)
            torch.nn.init.uniform_(layer.get_buffer("running_var"), 0.5, 1.5)
            torch.nn.init.uniform_(layer.weight, 0.4, 0.8)
    return network


@pytest.fixture(scope="module")
def w32() -> HRNet:
    return random_hrnet(32)


@pytest.fixture
def state(w32: HRNet) -> dict[str, torch.Tensor]:
    return dict(w32.state_dict())


@pytest.mark.parametrize(("width", "millions"), [(32, 28.5), (48, 63.6)])
def test_has_the_published_number_of_parameters(width: int, millions: float) -> None:
    count = sum(parameter.numel() for parameter in HRNet(width).parameters())
    assert round(count / 1e6, 1) == millions


def test_has_the_keys_of_the_released_checkpoints(state: dict[str, torch.Tensor]) -> None:
    shapes = {key: list(value.shape) for key, value in state.items()}
    for key, shape in {
        "conv1.weight": [64, 3, 3, 3],
        "bn2.running_var": [64],
        "layer1.0.downsample.0.weight": [256, 64, 1, 1],
        "layer1.3.conv3.weight": [256, 64, 1, 1],
        "transition1.0.0.weight": [32, 256, 3, 3],
        "transition1.1.0.0.weight": [64, 256, 3, 3],
        "stage2.0.branches.1.3.conv2.weight": [64, 64, 3, 3],
        "stage2.0.fuse_layers.0.1.0.weight": [32, 64, 1, 1],
        "transition2.2.0.0.weight": [128, 64, 3, 3],
        "stage3.3.fuse_layers.2.0.0.0.weight": [32, 32, 3, 3],
        "stage3.3.fuse_layers.2.0.1.0.weight": [128, 32, 3, 3],
        "transition3.3.0.1.weight": [256],
        "stage4.1.fuse_layers.3.0.2.0.weight": [256, 32, 3, 3],
        "stage4.2.fuse_layers.0.3.1.bias": [32],
        "final_layer.weight": [17, 32, 1, 1],
        "final_layer.bias": [17],
    }.items():
        assert shapes[key] == shape, key
    assert not any(key.startswith("stage4.2.fuse_layers.1") for key in shapes)
    groups = {key.split(".")[0] for key in shapes}
    assert groups == {
        "conv1", "bn1", "conv2", "bn2", "layer1", "transition1", "stage2", "transition2",
        "stage3", "transition3", "stage4", "final_layer",
    }  # fmt: skip


@pytest.mark.parametrize(("width", "size"), [(32, "384x288"), (48, "256x192")])
def test_onnx_gives_what_torch_gives(width: int, size: str, tmp_path: Path) -> None:
    network = random_hrnet(width)
    checkpoint, output = tmp_path / "pose.pth", tmp_path / "model.onnx"
    torch.save(network.state_dict(), checkpoint)

    converted_width, _ = convert(checkpoint, output, size)

    assert converted_width == width
    assert [path.name for path in tmp_path.glob("*.onnx*")] == ["model.onnx"]
    session = onnxruntime.InferenceSession(str(output), providers=["CPUExecutionProvider"])
    height, across = SIZES[size]
    (entry,), (result,) = session.get_inputs(), session.get_outputs()
    assert (entry.name, entry.type, entry.shape[1:]) == (
        "input",
        "tensor(float)",
        [3, height, across],
    )
    assert isinstance(entry.shape[0], str), "the batch dimension is dynamic"
    assert result.name == "heatmaps"
    images = np.random.default_rng(5).standard_normal((2, 3, height, across), dtype=np.float32)
    (heatmaps,) = session.run(["heatmaps"], {"input": images})
    with torch.no_grad():
        expected = network(torch.from_numpy(images)).numpy()
    assert heatmaps.shape == (2, 17, height // 4, across // 4)
    np.testing.assert_allclose(heatmaps, expected, atol=1e-3 * np.abs(expected).max())


@pytest.mark.parametrize("wrapper", [None, "state_dict", "model"])
@pytest.mark.parametrize("prefix", ["", "module."])
def test_reads_wrapped_and_prefixed_checkpoints(
    wrapper: str | None, prefix: str, state: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    content: object = OrderedDict((prefix + key, value) for key, value in state.items())
    if wrapper:
        content = {"epoch": 210, wrapper: content}
    torch.save(content, tmp_path / "pose.pth")

    read = read_state_dict(tmp_path / "pose.pth")

    assert read.keys() == state.keys()
    assert build_hrnet(read, "pose.pth").final_layer.in_channels == 32


def test_the_width_is_read_off_the_weights() -> None:
    for width in WIDTHS:
        assert build_hrnet(HRNet(width).state_dict(), "x").final_layer.in_channels == width


def test_step_counters_of_batch_normalisation_may_be_absent(state: dict[str, torch.Tensor]) -> None:
    old = {key: value for key, value in state.items() if not key.endswith("num_batches_tracked")}
    build_hrnet(old, "pose.pth")


def test_missing_and_unexpected_keys_are_named(state: dict[str, torch.Tensor]) -> None:
    del state["final_layer.weight"], state["stage3.2.branches.1.0.bn1.bias"]
    state["classifier.weight"] = torch.zeros(1000, 2048)
    with pytest.raises(CheckpointError) as caught:
        build_hrnet(state, "imagenet.pth")
    message = str(caught.value)
    assert message.startswith("imagenet.pth: not the weights of HRNet-W32; ")
    assert "2 missing: stage3.2.branches.1.0.bn1.bias, final_layer.weight" in message
    assert "1 unexpected: classifier.weight" in message


def test_a_wrong_shape_is_named(state: dict[str, torch.Tensor]) -> None:
    state["final_layer.weight"] = torch.zeros(16, 32, 1, 1)
    expected = r"final_layer\.weight \[16, 32, 1, 1\] instead of \[17, 32, 1, 1\]"
    with pytest.raises(CheckpointError, match=expected):
        build_hrnet(state, "mpii.pth")


def test_a_long_list_of_keys_is_cut(state: dict[str, torch.Tensor]) -> None:
    kept = {key: value for key, value in state.items() if not key.startswith("stage4")}
    with pytest.raises(CheckpointError, match=r"\d+ missing: .*, and \d+ more"):
        build_hrnet(kept, "cut.pth")


@pytest.mark.parametrize("key", ["layer1.0.conv1.weight", "transition1.0.0.weight"])
def test_another_network_is_refused(key: str) -> None:
    message = rf"resnet\.pth: key 'transition1\.0\.0\.weight' is missing or .* keys are: {key}"
    with pytest.raises(CheckpointError, match=message):
        build_hrnet({key: torch.tensor(1.0)}, "resnet.pth")


def test_another_width_is_refused() -> None:
    with pytest.raises(CheckpointError, match=r"HRNet-W18; known are W32 and W48"):
        build_hrnet({"transition1.0.0.weight": torch.zeros(18, 256, 3, 3)}, "w18.pth")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"not a checkpoint", "not a PyTorch file of tensors"),
        (b"", "not a PyTorch file of tensors"),
    ],
)
def test_a_file_that_is_no_checkpoint_is_refused(
    content: bytes, message: str, tmp_path: Path
) -> None:
    (tmp_path / "pose.pth").write_bytes(content)
    with pytest.raises(CheckpointError, match=message):
        read_state_dict(tmp_path / "pose.pth")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([1, 2, 3], "holds a list, not a state dict"),
        ({"epoch": 210}, "holds no tensors"),
        (Path("code"), "not a PyTorch file of tensors"),
    ],
)
def test_content_that_is_no_state_dict_is_refused(
    content: object, message: str, tmp_path: Path
) -> None:
    torch.save(content, tmp_path / "pose.pth")
    with pytest.raises(CheckpointError, match=message):
        read_state_dict(tmp_path / "pose.pth")


def test_an_absent_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"absent\.pth: no such file"):
        read_state_dict(tmp_path / "absent.pth")
