"""Plain manifests for Kubernetes: a Kustomize base and two overlays."""
