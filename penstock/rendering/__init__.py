"""What operators run a project with elsewhere: the Serve config, the environment, and Kubernetes manifests."""
