"""Backends for what stands before and behind a vision network, in C++; their source is in ``src/``.

``image_preprocess`` makes a network's input tensor of encoded images, and ``pose_postprocess``
makes keypoints of a pose network's heatmaps. Both are found through their entry points.
"""

from despina_sdk.native import NativeBackend

IMAGE_PREPROCESS = NativeBackend("despina_vision", "libdespina_image_preprocess.so")
POSE_POSTPROCESS = NativeBackend("despina_vision", "libdespina_pose_postprocess.so")
