"""A small network in the style of HRNet: parallel resolutions that exchange what they found.

The design is that of Sun et al., "Deep High-Resolution Representation Learning for Human Pose
Estimation" (CVPR 2019), cut down until it can be trained on a CPU in an hour: three resolutions
instead of four, 16/32/64 channels instead of 32/64/128/256, and far fewer blocks.

Input  ``input``     [N, 3, 256, 192] float32, RGB, scaled to 0..1, ImageNet mean and deviation.
Output ``heatmaps``  [N, 17, 64, 48]  float32, one heatmap per COCO keypoint, about 1 at its place.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

INPUT_WIDTH, INPUT_HEIGHT = 192, 256
HEATMAP_STRIDE = 4
HEATMAP_WIDTH, HEATMAP_HEIGHT = INPUT_WIDTH // HEATMAP_STRIDE, INPUT_HEIGHT // HEATMAP_STRIDE
KEYPOINT_COUNT = 17

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


class ConvNorm(nn.Sequential):
    """Convolution and batch normalisation, followed by a ReLU unless told otherwise."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int = 3, stride: int = 1, relu: bool = True
    ) -> None:
        layers: list[nn.Module] = [
            nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, bias=False),
            nn.BatchNorm2d(outputs),
        ]
        if relu:
            layers.append(nn.ReLU(inplace=True))
        super().__init__(*layers)


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions around which the input is added."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = ConvNorm(channels, channels)
        self.second = ConvNorm(channels, channels, relu=False)

    def forward(self, features: Tensor) -> Tensor:
        """[N, C, H, W] → [N, C, H, W]."""
        return functional.relu(features + self.second(self.first(features)))


class Resample(nn.Module):
    """Brings the features of resolution ``source`` to resolution ``target`` (0 is the finest)."""

    def __init__(self, channels: tuple[int, ...], source: int, target: int) -> None:
        super().__init__()
        self.scale = 2 ** max(source - target, 0)
        if source > target:
            self.convolve: nn.Module = ConvNorm(channels[source], channels[target], 1, relu=False)
        elif source < target:
            # All steps but the last keep the channels, so that the costly fine ones stay narrow.
            steps: list[nn.Module] = [
                ConvNorm(channels[source], channels[source], stride=2)
                for _ in range(target - source - 1)
            ]
            last = ConvNorm(channels[source], channels[target], stride=2, relu=False)
            self.convolve = nn.Sequential(*steps, last)
        else:
            self.convolve = nn.Identity()

    def forward(self, features: Tensor) -> Tensor:
        """[N, C_source, H, W] → [N, C_target, H', W']."""
        features = self.convolve(features)
        if self.scale > 1:
            features = functional.interpolate(features, scale_factor=self.scale, mode="nearest")
        return features


class Exchange(nn.Module):
    """Gives every resolution the sum of all resolutions, each resampled to it."""

    def __init__(self, channels: tuple[int, ...], targets: int) -> None:
        super().__init__()
        self.paths = nn.ModuleList(
            nn.ModuleList(Resample(channels, source, target) for source in range(len(channels)))
            for target in range(targets)
        )

    def forward(self, branches: list[Tensor]) -> list[Tensor]:
        """One tensor per resolution in, one per target resolution out."""
        fused = []
        for paths in self.paths:
            assert isinstance(paths, nn.ModuleList)
            parts = [path(branch) for path, branch in zip(paths, branches, strict=True)]
            total = parts[0]
            for part in parts[1:]:
                total = total + part
            fused.append(functional.relu(total))
        return fused


class Module(nn.Module):
    """Residual blocks on each resolution in parallel, then an exchange."""

    def __init__(self, channels: tuple[int, ...], blocks: int, targets: int) -> None:
        super().__init__()
        self.branches = nn.ModuleList(
            nn.Sequential(*(ResidualBlock(width) for _ in range(blocks))) for width in channels
        )
        self.exchange = Exchange(channels, targets)

    def forward(self, branches: list[Tensor]) -> list[Tensor]:
        """One tensor per resolution in, one per target resolution out."""
        worked = [work(branch) for work, branch in zip(self.branches, branches, strict=True)]
        fused: list[Tensor] = self.exchange(worked)
        return fused


class PoseNetwork(nn.Module):
    """The network of this example: [N, 3, 256, 192] images → [N, 17, 64, 48] heatmaps."""

    def __init__(self, channels: tuple[int, int, int] = (16, 32, 64), blocks: int = 2) -> None:
        super().__init__()
        fine, middle, coarse = channels
        self.stem = nn.Sequential(
            ConvNorm(3, fine, stride=2), ConvNorm(fine, fine, stride=2), ResidualBlock(fine)
        )
        self.to_middle = ConvNorm(fine, middle, stride=2)
        self.two_resolutions = Module((fine, middle), blocks, targets=2)
        self.to_coarse = ConvNorm(middle, coarse, stride=2)
        self.three_resolutions = Module(channels, blocks, targets=3)
        self.last = Module(channels, blocks, targets=1)
        self.head = nn.Conv2d(fine, KEYPOINT_COUNT, 1)
        # Heatmaps are empty nearly everywhere: start there.
        nn.init.normal_(self.head.weight, std=0.001)
        assert self.head.bias is not None
        nn.init.zeros_(self.head.bias)

    def forward(self, images: Tensor) -> Tensor:
        """[N, 3, 256, 192] float32 → [N, 17, 64, 48] float32."""
        fine = self.stem(images)
        fine, middle = self.two_resolutions([fine, self.to_middle(fine)])
        branches = self.three_resolutions([fine, middle, self.to_coarse(middle)])
        heatmaps: Tensor = self.head(self.last(branches)[0])
        return heatmaps


def parameter_count(network: nn.Module) -> int:
    """Number of learned values in ``network``."""
    return sum(parameter.numel() for parameter in network.parameters())


def multiply_adds(network: nn.Module, image: Tensor) -> int:
    """Multiply-add operations of the convolutions for ``image`` [1, 3, H, W]."""
    total = 0

    def count(layer: nn.Module, _inputs: object, output: Tensor) -> None:
        nonlocal total
        if isinstance(layer, nn.Conv2d):
            total += output.numel() * layer.weight[0].numel()

    hooks = [layer.register_forward_hook(count) for layer in network.modules()]
    with torch.no_grad():
        network(image)
    for hook in hooks:
        hook.remove()
    return total
