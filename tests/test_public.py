"""Commands, options, settings, and public functions are promises: none ever disappears."""

import inspect
import re
import shutil
import subprocess
import sys
import sysconfig

import pytest

import hatch_romfs
from hatch_romfs.settings.schema import tool_schema

FUNCTIONS = {
    "CArray": "symbol section const header",
    "PortOptions": "port baudrate dtr rts wait origin on_message boot identify",
    "build": "source out overrides cache emit image on_progress",
    "build_all": "source overrides cache on_progress",
    "bundle": "firmware images out partitions board base_address partition_table add_partition erase_fs",
    "erase": "port partition on_event trace",
    "erase_filesystem": "port folder dry_run on_event trace",
    "flash": "image port partition force full dry_run reset on_board on_event on_replace on_flashed trace",
    "image_diff": "a b block",
    "image_map": "image",
    "installed_image": "name image",
    "list_files": "port trace",
    "list_filesystem": "port folder trace",
    "open_image": "path",
    "query": "port trace",
    "read": "port partition whole on_event trace",
    "verify": "image port partition on_board on_event trace",
    "verify_filesystem": "image port folder on_board on_event trace",
    "write_filesystem": "image port folder force full dry_run reset on_board on_event on_written trace",
    "RomImage": "buffer",
    "LinuxImage": "buffer",
}
STATUSES = {
    "RomfsError": 1,
    "BuildError": 1,
    "SettingsError": 2,
    "ImageError": 3,
    "LinkError": 4,
    "BoardError": 5,
    "VerifyError": 6,
}
COMMON = "-h --help --json -q --quiet -v --verbose"
PLACES = "--address --size --board --base-address --partition-table"
OPTIONS = {
    "romfs-image": "-h --help --version --print-completion",
    "romfs-image build": "-o --output --image --format --mpy --no-mpy --align --volume --no-cache --emit --symbol"
    f" --section --no-const --header --address --family --firmware {COMMON}",
    "romfs-image bundle": f"-o --output --add-partition --erase-fs {PLACES} {COMMON}",
    "romfs-image info": f"{PLACES} {COMMON}",
    "romfs-image tree": f"--partition {PLACES} {COMMON}",
    "romfs-image cat": f"--partition {PLACES} {COMMON}",
    "romfs-image extract": f"-o --output --partition {PLACES} {COMMON}",
    "romfs-image verify": f"--inventory --against --partition {PLACES} {COMMON}",
    "romfs-image map": "--image --sort --blocks --partition-size --html --markdown --budget --baseline --save-baseline"
    f" {COMMON}",
    "romfs-image diff": f"--image --port --partition --blocks --html --markdown {COMMON}",
    "romfs-image page": f"-o --output --image --maker --text --link --bundle {COMMON}",
    "romfs-image run": f"-m -c {COMMON}",
    "romfs-image settings": COMMON,
    "romfs-image import-openmv": COMMON,
    "romfs-flash": "--version --print-completion --installed --image --port --partition --query --verify --read --erase"
    f" --list-ports --files --whole --dry-run --full --force --no-reset --baudrate --dtr --rts"
    f" --wait --folder --serve --no-boot --watch --run --monitor --autostart --yes --to-filesystem -vv {COMMON}"
    " --all --watch-ports --fleet --filter --jobs --canary --stop-after --expect --report --summary",
    "romfs-manifest": "-h --help --version --print-completion",
    "romfs-manifest show": f"--var --library {COMMON}",
    "romfs-manifest lock": f"--upgrade --form --index --cache {COMMON}",
    "romfs-manifest check": COMMON,
    "romfs-manifest fetch": f"--index --cache {COMMON}",
    "romfs-manifest outdated": f"--index {COMMON}",
    "romfs-manifest tree": COMMON,
    "romfs-manifest mirror": f"--index --cache {COMMON}",
    "python -m hatch_romfs.genromfs": "-h --help -f -d -v -V -a -A -x --readdir-order",
}
MPY = "mpy.arch mpy.emit mpy.exclude mpy.micropython mpy.optimize mpy.arch-flags"
NESTED = "image.alignment image.layout image.metadata image.mpy image.share " + re.sub(r"\bmpy\.", "image.mpy.", MPY)
SOURCE = f"path to include exclude image {NESTED}"
TABLE = (
    "format sources lib lib-dir exclude alignment mpy manifest dependencies filename size metadata share linux images"
    " inventory embed board partition directory backend layout base base-exclude sbom bundle page"
)
INNER = {
    "sources": SOURCE,
    "lib": SOURCE,
    "manifest": "path variables libraries provided",
    "linux": "volume follow-symlinks executable devices fifos sockets",
    "bundle": "firmware filename address base-address partition-table add-partition erase-fs",
    "page": "maker text links",
}
KEYS = {*TABLE.split(), *MPY.split(), *(f"{key}.{name}" for key, names in INNER.items() for name in names.split())}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_public_function_keeps_its_parameters(name):
    parameters = inspect.signature(getattr(hatch_romfs, name)).parameters
    assert set(FUNCTIONS[name].split()) <= set(parameters)


@pytest.mark.parametrize("name", STATUSES)
def test_an_error_keeps_its_exit_status(name):
    assert getattr(hatch_romfs, name).status == STATUSES[name]


def test_every_public_name_can_be_imported():
    assert {*FUNCTIONS, *STATUSES} <= set(hatch_romfs.__all__)
    for name in hatch_romfs.__all__:
        assert getattr(hatch_romfs, name).__name__ == name


@pytest.mark.parametrize("command", OPTIONS)
def test_a_command_keeps_its_options(command):
    program, *rest = command.split()
    found = sys.executable if program == "python" else shutil.which(program, path=sysconfig.get_path("scripts"))
    done = subprocess.run([found, *rest, "--help"], capture_output=True, text=True, encoding="utf-8", check=True)
    assert set(OPTIONS[command].split()) <= set(re.findall(r"(?<![\w-])--?[A-Za-z][\w-]*", done.stdout))


def keys(schema, path=""):
    """Return the path of every key in a schema."""
    found = set()
    for one in [schema, *schema.get("anyOf", [])]:
        for name, inner in one.get("properties", {}).items():
            found |= {f"{path}{name}"} | keys(inner, f"{path}{name}.")
        found |= keys(one["items"], path) if "items" in one else set()
    return found


def test_every_setting_still_exists():
    assert keys(tool_schema()) >= KEYS
