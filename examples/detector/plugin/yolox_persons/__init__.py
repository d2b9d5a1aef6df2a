"""Persons from the predictions of a YOLOX network: backends, and what they compute."""
