"""``romfs-image info`` of a damaged image: status 3 wherever the strict reader rejects it, and never a traceback."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hatch_romfs import ImageError, build, open_image
from hatch_romfs.cli import command, image
from tests.projects import make_project

FILES = {"a.txt": b"a" * 300, "d/e/f.bin": bytes(range(256)), "d/e/empty": b"", "ünï.txt": b"x", "d/same": b"a" * 300}
SETTINGS = {
    "micropython": {},
    "micropython without metadata": {"metadata": False, "alignment": 32},
    "linux": {"format": "linux"},
}


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """The bytes of a sound image of each kind."""
    root = make_project(tmp_path_factory.mktemp("damaged") / "app", FILES)
    return {
        name: build(root, root.parent / "image" / name, overrides=table).path.read_bytes()
        for name, table in SETTINGS.items()
    }


def is_sound(path, offset=None):
    try:
        with open_image(path, offset=offset) as opened:
            opened.check()
    except ImageError:
        return False
    return True


def run(capsys, *arguments):
    capsys.readouterr()
    try:
        status = command._status(image.command, list(map(str, arguments)))
    except SystemExit as ended:
        status = int(ended.code or 0)
    return status, *capsys.readouterr()


DAMAGE = st.one_of(
    st.tuples(st.just("flip"), st.integers(0, 1 << 16), st.integers(1, 255)),
    st.tuples(st.just("overwrite"), st.integers(0, 1 << 16), st.binary(min_size=1, max_size=40)),
    st.tuples(st.just("cut"), st.integers(0, 1 << 16), st.none()),
    st.tuples(st.just("insert"), st.integers(0, 1 << 16), st.binary(min_size=1, max_size=40)),
    st.tuples(st.just("remove"), st.integers(0, 1 << 16), st.integers(1, 64)),
)


def damaged(data, kind, at, value):
    at %= len(data)
    match kind:
        case "flip":
            return data[:at] + bytes([data[at] ^ value]) + data[at + 1 :]
        case "overwrite":
            return data[:at] + value + data[at + len(value) :]
        case "cut":
            return data[:at]
        case "insert":
            return data[:at] + value + data[at:]
        case "remove":
            return data[:at] + data[at + value :]


@pytest.mark.parametrize("kind", SETTINGS)
@given(steps=st.lists(DAMAGE, min_size=1, max_size=3))
@settings(deadline=None, max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_the_damage(kind, steps, images, tmp_path, capsys):
    data = images[kind]
    for step in steps:
        data = damaged(data, *step) or b"\0"
    path = tmp_path / "image"
    path.write_bytes(data)
    expected = 0 if is_sound(path) else 3
    for name in ("info", "verify"):
        status, _, err = run(capsys, name, path)
        assert status == expected
        assert err.startswith("error: ") == bool(status)
    status, out, _ = run(capsys, "info", path, "--json")
    assert status == expected
    document = json.loads(out)
    assert status == 3 or document["content_matches"] is not False
    path.write_bytes(b"before" + data)
    assert run(capsys, "info", path, "--offset", 6)[0] == (0 if is_sound(path, 6) else 3)


@pytest.mark.parametrize("data", [b"", b"\xd2", b"\xd2\xcd1", b"-rom1fs-", b"\xd2\xcd1\xff\xff\xff\xff", b"text\n"])
def test_what_was_never_an_image(data, tmp_path, capsys):
    path = tmp_path / "image"
    path.write_bytes(data)
    for name in ("info", "tree", "verify"):
        status, out, err = run(capsys, name, path)
        assert (status, out) == (3, "")
        assert err.startswith(f"error: {path}: ")
