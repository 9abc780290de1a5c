"""Settings to a tree: what goes into an image, read from folders, manifests, and locked packages."""
