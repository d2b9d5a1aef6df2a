"""Backends for what stands before and behind a vision network.

``image_preprocess`` makes a network's input tensor of encoded images, and ``pose_postprocess``
makes keypoints of a pose network's heatmaps. Both are found through their entry points.
"""
