"""Packages for mip: resolve them, lock them, and fetch what the lock names."""
