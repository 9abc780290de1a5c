"""Run by ``make demo``: build an example with a real, isolated ``hatch build``, inspect it, run it, and flash it.

hatch-romfs itself is built first, and Hatch installs that wheel as if it came from the package index.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

from hatch_romfs.board.session import PortOptions, session

HERE = Path(__file__).parent
SCRIPTS = sysconfig.get_path("scripts")


def run(name: str, *arguments: object, cwd: Path, shown: bool = True) -> None:
    """Print and run a command of this environment."""
    if shown:
        print(f"\n$ {name} {' '.join(map(str, arguments))}", flush=True)
    command = shutil.which(name, path=SCRIPTS) or name
    subprocess.run([command, *map(str, arguments)], cwd=cwd, check=True)


def run_on_board(port: str, code: str) -> None:
    """Run code on the board after a reset, with the image mounted as for its own programs."""
    print(f"\non the board, after a reset: {code}", flush=True)
    with session(PortOptions(port)) as board:
        board.restart()
        print(board.repl.run(code))


def main() -> None:
    """Build, inspect, run, and flash, in a temporary folder, so that the checkout does not change."""
    with tempfile.TemporaryDirectory() as folder:
        wheels, project = Path(folder) / "wheels", Path(folder) / "greenhouse"
        run("uv", "build", "--quiet", "--wheel", "--out-dir", wheels, HERE.parent, cwd=HERE.parent, shown=False)
        shutil.copytree(HERE / "greenhouse", project)
        os.environ["PIP_FIND_LINKS"] = f"{os.environ.get('PIP_FIND_LINKS', '')} {wheels}".strip()
        os.environ["UV_FIND_LINKS"] = ",".join(filter(None, (os.environ.get("UV_FIND_LINKS"), str(wheels))))
        os.environ["HATCH_DATA_DIR"] = f"{folder}/hatch"  # do not reuse an environment with an older version
        run("hatch", "build", "-t", "romfs", cwd=project)
        run("romfs-image", "tree", "dist/greenhouse.romfs", cwd=project)
        run("romfs-image", "run", "dist/greenhouse.romfs", "-m", "greenhouse.app", cwd=project)
        run("romfs-flash", "dist/greenhouse.romfs", "--port", "sim:rom.bin", cwd=project)
        run("romfs-flash", "--verify", "dist/greenhouse.romfs", "--port", "sim:rom.bin", cwd=project)
        run_on_board(f"sim:{project / 'rom.bin'}", "import greenhouse.app")


if __name__ == "__main__":
    try:
        main()
    except subprocess.CalledProcessError as error:
        sys.exit(f"the demo stopped: {error}")
