"""HRNet for human pose as it was published, with the parameter names of its checkpoints.

Sun et al., "Deep High-Resolution Representation Learning for Human Pose Estimation" (CVPR 2019).
Four resolutions run in parallel from stride 4 on; each stage adds one, and every module ends with
an exchange between all of them. Width W is the number of channels of the finest resolution, which
doubles with each coarser one. Attributes are named so that the keys of a state dict are those of
the released checkpoints (``conv1``, ``layer1``, ``transition1``, ``stage2``, …, ``final_layer``).
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

WIDTHS = (32, 48)
KEYPOINT_COUNT = 17

_STEM_CHANNELS = 64
_EXPANSION = 4  # a bottleneck's output is this much wider than its middle
_BLOCKS = 4  # residual blocks per resolution and module
_MODULES = {2: 1, 3: 4, 4: 3}  # modules per stage


def _convolution(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, bias=False)


def _downward(inputs: int, outputs: int, relu: bool) -> nn.Sequential:
    """A convolution that halves the resolution."""
    layers: list[nn.Module] = [_convolution(inputs, outputs, 3, 2), nn.BatchNorm2d(outputs)]
    if relu:
        layers.append(nn.ReLU(inplace=True))
    return nn.Sequential(*layers)


class BasicBlock(nn.Module):
    """Two 3x3 convolutions around which the input is added."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = _convolution(channels, channels, 3)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = _convolution(channels, channels, 3)
        self.bn2 = nn.BatchNorm2d(channels)

    def forward(self, features: Tensor) -> Tensor:
        """[N, C, H, W] → [N, C, H, W]."""
        inner = functional.relu(self.bn1(self.conv1(features)))
        return functional.relu(features + self.bn2(self.conv2(inner)))


class Bottleneck(nn.Module):
    """1x1, 3x3 and 1x1 convolution; the input, widened where needed, is added to the result."""

    def __init__(self, inputs: int, middle: int) -> None:
        super().__init__()
        outputs = middle * _EXPANSION
        self.conv1 = _convolution(inputs, middle, 1)
        self.bn1 = nn.BatchNorm2d(middle)
        self.conv2 = _convolution(middle, middle, 3)
        self.bn2 = nn.BatchNorm2d(middle)
        self.conv3 = _convolution(middle, outputs, 1)
        self.bn3 = nn.BatchNorm2d(outputs)
        self.downsample: nn.Module = nn.Identity()
        if inputs != outputs:
            self.downsample = nn.Sequential(
                _convolution(inputs, outputs, 1), nn.BatchNorm2d(outputs)
            )

    def forward(self, features: Tensor) -> Tensor:
        """[N, C, H, W] → [N, 4 × middle, H, W]."""
        inner = functional.relu(self.bn1(self.conv1(features)))
        inner = functional.relu(self.bn2(self.conv2(inner)))
        return functional.relu(self.downsample(features) + self.bn3(self.conv3(inner)))


def _exchange_path(channels: list[int], source: int, target: int) -> nn.Module:
    """What brings features of resolution ``source`` to resolution ``target`` (0 is the finest)."""
    if source == target:
        return nn.Identity()
    if source > target:
        return nn.Sequential(
            _convolution(channels[source], channels[target], 1),
            nn.BatchNorm2d(channels[target]),
            nn.Upsample(scale_factor=2 ** (source - target), mode="nearest"),
        )
    steps = [
        _downward(channels[source], channels[source], relu=True) for _ in range(target - source - 1)
    ]
    return nn.Sequential(*steps, _downward(channels[source], channels[target], relu=False))


class HighResolutionModule(nn.Module):
    """Four residual blocks on each resolution, then the exchange to the first ``targets``."""

    def __init__(self, channels: list[int], targets: int) -> None:
        super().__init__()
        self.branches = nn.ModuleList(
            nn.Sequential(*(BasicBlock(width) for _ in range(_BLOCKS))) for width in channels
        )
        self.fuse_layers = nn.ModuleList(
            nn.ModuleList(
                _exchange_path(channels, source, target) for source in range(len(channels))
            )
            for target in range(targets)
        )

    def forward(self, resolutions: list[Tensor]) -> list[Tensor]:
        """One tensor per resolution in, one per target resolution out."""
        worked = [work(features) for work, features in zip(self.branches, resolutions, strict=True)]
        fused = []
        for paths in self.fuse_layers:
            assert isinstance(paths, nn.ModuleList)
            total = paths[0](worked[0])
            for path, features in zip(paths[1:], worked[1:], strict=True):
                total = total + path(features)
            fused.append(functional.relu(total))
        return fused


def _stage(number: int, width: int) -> nn.Sequential:
    channels = [width * 2**level for level in range(number)]
    count = _MODULES[number]
    # Of the last stage only the finest resolution is used: its last module makes no other.
    targets = [number] * count
    if number == max(_MODULES):
        targets[-1] = 1
    return nn.Sequential(*(HighResolutionModule(channels, target) for target in targets))


def _transition(number: int, width: int) -> nn.ModuleList:
    """From stage ``number`` to the next: a further resolution, made of the coarsest."""
    if number == 1:
        wide = _STEM_CHANNELS * _EXPANSION
        same = nn.Sequential(
            _convolution(wide, width, 3), nn.BatchNorm2d(width), nn.ReLU(inplace=True)
        )
        return nn.ModuleList([same, nn.Sequential(_downward(wide, 2 * width, relu=True))])
    coarsest = width * 2 ** (number - 1)
    further = nn.Sequential(_downward(coarsest, 2 * coarsest, relu=True))
    return nn.ModuleList([*(nn.Identity() for _ in range(number)), further])


class HRNet(nn.Module):
    """HRNet-W``width``: [N, 3, H, W] images → [N, 17, H/4, W/4] heatmaps.

    H and W are multiples of 32; the checkpoints were trained on 256 × 192 or 384 × 288. Images are
    RGB, scaled to 0..1, with the mean and deviation of ImageNet taken out.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = _convolution(3, _STEM_CHANNELS, 3, 2)
        self.bn1 = nn.BatchNorm2d(_STEM_CHANNELS)
        self.conv2 = _convolution(_STEM_CHANNELS, _STEM_CHANNELS, 3, 2)
        self.bn2 = nn.BatchNorm2d(_STEM_CHANNELS)
        wide = _STEM_CHANNELS * _EXPANSION
        self.layer1 = nn.Sequential(
            Bottleneck(_STEM_CHANNELS, _STEM_CHANNELS),
            *(Bottleneck(wide, _STEM_CHANNELS) for _ in range(_BLOCKS - 1)),
        )
        self.transition1 = _transition(1, width)
        self.stage2 = _stage(2, width)
        self.transition2 = _transition(2, width)
        self.stage3 = _stage(3, width)
        self.transition3 = _transition(3, width)
        self.stage4 = _stage(4, width)
        self.final_layer = nn.Conv2d(width, KEYPOINT_COUNT, 1)

    def forward(self, images: Tensor) -> Tensor:
        """[N, 3, H, W] float32 → [N, 17, H/4, W/4] float32."""
        features = functional.relu(self.bn1(self.conv1(images)))
        features = functional.relu(self.bn2(self.conv2(features)))
        features = self.layer1(features)
        resolutions = self.stage2([start(features) for start in self.transition1])
        for transition, stage in (
            (self.transition2, self.stage3),
            (self.transition3, self.stage4),
        ):
            resolutions = stage([*resolutions, transition[-1](resolutions[-1])])
        heatmaps: Tensor = self.final_layer(resolutions[0])
        return heatmaps
