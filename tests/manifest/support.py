"""Trees with manifests in them, evaluated."""

import os
import sys
from pathlib import Path

import pytest

from romfs_manifest import Manifest, ManifestError, evaluate
from tests.projects import make_project as put

__all__ = ["evaluated", "failure", "linked", "linux", "put", "shown", "targets"]

linked = pytest.mark.skipif(os.name == "nt", reason="links need rights on Windows")
linux = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere every name is valid Unicode")


def evaluated(root: Path, text: str | bytes, **more) -> Manifest:
    """Evaluate ``text`` as the manifest of ``root``."""
    return evaluate(put(root, {"manifest.py": text}) / "manifest.py", **more)


def targets(manifest: Manifest) -> list[str]:
    return [entry.target for entry in manifest.entries]


def failure(root: Path, text: str | bytes, **more) -> str:
    """Return the message of the error that ``text`` ends in, with paths as they are from ``root``."""
    with pytest.raises(ManifestError) as caught:
        evaluated(root, text, **more)
    assert caught.value.hint
    return shown(root, str(caught.value))


def shown(root: Path, text: str) -> str:
    return text.replace(f"{root}{os.sep}", "").replace(os.sep, "/")
