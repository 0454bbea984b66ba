"""The Ray Serve application that serve_config.yaml names."""

from penstock.serving.deployment import build

__all__ = ["build"]
