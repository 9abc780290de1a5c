"""Each key of [tool.romfs]: the values it accepts, and the errors for others."""

import datetime as dt

import pytest

from hatch_romfs.errors import SettingsError
from hatch_romfs.settings.model import Settings
from hatch_romfs.settings.subtables import Bundle, Linux, ManifestSource, Mpy, Page, Source
from hatch_romfs.settings.values import ARCHS, Alignment, Device
from tests.settings.support import problems_of, project_of, settings_of

ROMFS = "tool.romfs"
ARCH_TEXT = ", ".join(f'"{arch}"' for arch in ARCHS[:-1]) + f', or "{ARCHS[-1]}"'
SOURCES_TEXT = "an array, each item a folder, or a table with `path`"
PATTERNS_TEXT = "an array, each item a gitignore pattern"
BOUNDARY_TEXT = "a power of two from 1 to 1048576"
SIZE_TEXT = 'a size such as "128 KiB" or "24 MiB"'


def test_an_empty_table_means_the_defaults():
    settings = settings_of({})
    assert settings == Settings()
    assert settings == Settings(
        format="micropython",
        sources=(Source("src", to="", include=(), exclude=()),),
        lib=(),
        lib_dir="lib",
        exclude=(),
        alignment=Alignment(1, ()),
        mpy=Mpy(arch=None, optimize=0, emit="bytecode", micropython=None, exclude=()),
        manifest=(),
        dependencies=(),
        filename="{name}.romfs",
        size=None,
        metadata=True,
        share=True,
        inventory=False,
        embed=False,
        backend=None,
        directory=None,
        board=None,
        partition=0,
        layout="compact",
        base=None,
        base_exclude=(),
        sbom=False,
        bundle=None,
        page=Page(maker=None, text=None, links={}),
    )


GOOD = [
    ("format", "micropython", "micropython"),
    ("format", "linux", "linux"),
    ("linux", {}, Linux()),
    ("manifest", "manifest.py", (ManifestSource("manifest.py"),)),
    ("manifest", ["a.py", {"path": "b"}], (ManifestSource("a.py"), ManifestSource("b"))),
    (
        "manifest",
        {"path": "m", "variables": {"PORT_DIR": "p"}, "libraries": {"x": "lib"}, "provided": ["f.py"]},
        (ManifestSource("m", {"PORT_DIR": "p"}, {"x": "lib"}, ("f.py",)),),
    ),
    ("embed", True, True),
    *[("backend", name, name) for name in ("flit_core.buildapi", "uv_build", "setuptools.build_meta:__legacy__")],
    *[("directory", folder, folder) for folder in ("images", "../ü", ".")],
    ("embed", "app/rom.romfs", "app/rom.romfs"),
    ("dependencies", ["aioble", "github:owner/repo@v1"], ("aioble", "github:owner/repo@v1")),
    ("sources", [], ()),
    ("sources", ["a", "../b", "/c", "d e/ü"], (Source("a"), Source("../b"), Source("/c"), Source("d e/ü"))),
    (
        "sources",
        [{"path": "a", "to": "b/c", "include": ["*.py"], "exclude": ["x", "!y"]}, "d"],
        (Source("a", "b/c", ("*.py",), ("x", "!y")), Source("d")),
    ),
    ("sources", [{"path": "a", "to": ""}], (Source("a"),)),
    ("lib", ["vendor", {"path": "b", "to": "c"}], (Source("vendor"), Source("b", "c"))),
    ("lib-dir", "", ""),
    ("lib-dir", "a/b/", "a/b"),
    ("lib-dir", "a/b c/ü", "a/b c/ü"),
    ("exclude", ["tests", "*.md", "!keep.md", "#1", "/a/**/b/"], ("tests", "*.md", "!keep.md", "#1", "/a/**/b/")),
    ("alignment", 4096, Alignment(4096)),
    ("alignment", 1 << 20, Alignment(1 << 20)),
    ("alignment", {}, Alignment(1)),
    ("alignment", {"default": 4, "*.tflite": 32}, Alignment(4, (("*.tflite", 32),))),
    ("mpy", True, Mpy()),
    ("mpy", False, None),
    ("mpy", {}, Mpy()),
    *[("mpy", {"arch": arch}, Mpy(arch=arch)) for arch in ARCHS],
    *[("mpy", {"optimize": level}, Mpy(optimize=level)) for level in range(4)],
    *[("mpy", {"emit": emit, "arch": "x64"}, Mpy("x64", emit=emit)) for emit in ("bytecode", "native", "viper")],
    *[("mpy", {"micropython": release}, Mpy(micropython=release)) for release in ("1.19", "1.22.2", "1.127")],
    ("mpy", {"exclude": ["boot.py"]}, Mpy(exclude=("boot.py",))),
    ("filename", "rom.img", "rom.img"),
    ("filename", "{name}-{version}.romfs", "{name}-{version}.romfs"),
    ("size", 1, 1),
    ("size", 0xFFFF_FFFF, 0xFFFF_FFFF),
    ("size", "128 KiB", 128 << 10),
    ("size", "128KiB", 128 << 10),
    ("size", "24 MiB", 24 << 20),
    ("size", "500 B", 500),
    ("size", "4095 MiB", 4095 << 20),
    ("size", "4294967295 B", 0xFFFF_FFFF),
    *[(key, value, value) for key in ("metadata", "share") for value in (True, False)],
    ("board", "OPENMV_AE3", "OPENMV_AE3"),
    ("partition", 1, 1),
    ("layout", "compact", "compact"),
    ("layout", "stable", "stable"),
    ("base", "vendor/v1.romfs", "vendor/v1.romfs"),
    ("base-exclude", ["models/", "!models/a"], ("models/", "!models/a")),
    ("bundle", {"firmware": "a.uf2"}, Bundle("a.uf2")),
    (
        "bundle",
        {"firmware": "../a.bin", "filename": "{name}.bin", "base-address": 0x8000000, "add-partition": "128 KiB"},
        Bundle("../a.bin", "{name}.bin", base_address=0x8000000, add_partition=131072),
    ),
    (
        "bundle",
        {"firmware": "a", "partition-table": "t.bin", "erase-fs": True},
        Bundle("a", partition_table="t.bin", erase_fs=True),
    ),
    ("page", {}, Page()),
    (
        "page",
        {"maker": "Müller & Söhne <GmbH>", "text": "One.\n\nTwo.", "links": {"a b": "https://ü.example/x?y#z"}},
        Page("Müller & Söhne <GmbH>", "One.\n\nTwo.", {"a b": "https://ü.example/x?y#z"}),
    ),
    ("page", {"links": {"b": "mailto:a@b", "a": "http://c"}}, Page(links={"b": "mailto:a@b", "a": "http://c"})),
    # keys of rooms that are not built yet may say what is so anyway
    ("inventory", False, False),
    ("sbom", True, True),
    ("embed", False, False),
    ("dependencies", [], ()),
]


@pytest.mark.parametrize(("key", "value", "expected"), GOOD)
def test_good_values(key, value, expected):
    assert getattr(settings_of({key: value}), key.replace("-", "_")) == expected


WRONG_TYPES = [
    ("format", 1, '"micropython" or "linux", not an integer'),
    ("sources", "src", f"{SOURCES_TEXT}, not a string"),
    ("lib", {"path": "a"}, f"{SOURCES_TEXT}, not a table"),
    ("lib-dir", True, "a path inside the image, not a boolean"),
    ("exclude", "*.md", f"{PATTERNS_TEXT}, not a string"),
    ("alignment", 4.0, f'{BOUNDARY_TEXT}, or a table of "default" and patterns, each {BOUNDARY_TEXT}, not a float'),
    ("alignment", "4", f'{BOUNDARY_TEXT}, or a table of "default" and patterns, each {BOUNDARY_TEXT}, not a string'),
    ("mpy", "yes", "true or false, or a table, not a string"),
    ("mpy", 1, "true or false, or a table, not an integer"),
    ("filename", ["a"], "the name of a file, not an array"),
    ("size", 1.5, 'an integer from 1 to 4294967295, or a size such as "128 KiB", not a float'),
    ("size", True, 'an integer from 1 to 4294967295, or a size such as "128 KiB", not a boolean'),
    ("metadata", 1, "true or false, not an integer"),
    ("board", 6, "the name of a board, not an integer"),
    ("partition", "1", "an integer from 0 to 255, not a string"),
    ("partition", True, "an integer from 0 to 255, not a boolean"),
    ("layout", True, '"compact" or "stable", not a boolean'),
    ("bundle", "a.uf2", "a table with `firmware`, not a string"),
    ("page", "Acme", "a table, not a string"),
    ("share", "true", "true or false, not a string"),
    ("share", dt.date(2026, 1, 1), "true or false, not a date or time"),
    ("share", dt.datetime(2026, 1, 1, tzinfo=dt.timezone.utc), "true or false, not a date or time"),
    ("share", dt.time(1), "true or false, not a date or time"),
    # 0 is no stand-in for false where a key may only have its default
    ("sbom", "yes", "true or false, not a string"),
    ("inventory", 0, "true or false, not an integer"),
    ("base", "", "the path of a file"),
    ("base", ["a"], "a file, not an array"),
    ("base-exclude", "x", "an array, each item a gitignore pattern, not a string"),
]

BAD = [
    ("format", "micropyhton", "\"micropython\" or \"linux\", not 'micropyhton'; did you mean 'micropython'?"),
    ("format", "ext4", '"micropython" or "linux", not \'ext4\''),
    *[("alignment", size, f"{BOUNDARY_TEXT}, not {size}") for size in (0, -1, 3, 6, 1 << 21)],
    *[("size", size, f"an integer from 1 to 4294967295, not {size}") for size in (0, -1, 1 << 32)],
    *[
        ("size", size, f"{SIZE_TEXT}, not {size!r}")
        for size in ("", "128", "128 kB", "0 B", "1.5 MiB", " 1 B", "1 GiB")
    ],
    *[("partition", number, f"an integer from 0 to 255, not {number}") for number in (-1, 256)],
    *[
        ("backend", name, f"a build backend such as 'flit_core.buildapi', not {name!r}")
        for name in ("", "flit-core", "a.", "a:", "ü")
    ],
    ("backend", "hatch_romfs.plugins.backend", "the backend that builds the wheel, not 'hatch_romfs.plugins.backend'"),
    ("directory", "", "the path of a folder"),
    ("size", "4096 MiB", "less than 4 GiB, not '4096 MiB'"),
    ("size", "4294967296 B", "less than 4 GiB, not '4294967296 B'"),
    *[
        ("filename", name, f"the name of a file, without folders, not {name!r}")
        for name in ("", ".", "..", "a/b", "a\\b", "C:x", "a*", "a\0", "{", "{name}/x", '"x"')
    ],
]


@pytest.mark.parametrize(("key", "value", "text"), [*WRONG_TYPES, *BAD])
def test_bad_values(key, value, text):
    assert problems_of({key: value}) == [f"{ROMFS}.{key}: must be {text}"]


@pytest.mark.parametrize("name", ["{nam}", "{name}-{}", "{ name}"])
def test_unknown_placeholders_of_a_file_name(name):
    unknown = name[name.rindex("{") :]
    knows = "can contain {name}, {version}, and {image}, not"
    assert problems_of({"filename": name}) == [f"{ROMFS}.filename: {knows} {unknown}"]


IMAGE_PATHS = [
    ("/", "'/' is absolute; paths inside an image are relative to its root"),
    ("/lib", "'/lib' is absolute; paths inside an image are relative to its root"),
    ("C:/lib", "'C:/lib' is absolute; paths inside an image are relative to its root"),
    ("a\\b", "'a\\\\b' contains a backslash; separate folders with '/'"),
    ("a/../b", "'..' is not a name"),
    (".", "'.' is not a name"),
    ("a//b", "'' is not a name"),
    ("a\0", "the name 'a\\x00' contains a '/' or a NUL"),
]


@pytest.mark.parametrize(("path", "text"), IMAGE_PATHS)
def test_paths_inside_the_image(path, text):
    assert problems_of({"lib-dir": path, "sources": [{"path": "src", "to": path}]}) == [
        f"{ROMFS}.lib-dir: {text}",
        f"{ROMFS}.sources[0].to: {text}",
    ]


SOURCES = [
    ("", ["[0]: must be the path of a folder"]),
    ("a\0", ["[0]: must be the path of a folder"]),
    (3, ["[0]: must be a folder, or a table with `path`, not an integer"]),
    ({}, ["[0].path: is required: The folder, relative to `pyproject.toml`."]),
    ({"path": ""}, ["[0].path: must be the path of a folder"]),
    ({"path": "a", "from": "b"}, ["[0].from: unknown key"]),
    (
        {"pathh": "a"},
        [
            "[0].pathh: unknown key; did you mean 'path'?",
            "[0].path: is required: The folder, relative to `pyproject.toml`.",
        ],
    ),
    ({"path": "a", "include": "x"}, [f"[0].include: must be {PATTERNS_TEXT}, not a string"]),
    (
        {"path": "a", "exclude": ["x", 1]},
        ["[0].exclude[1]: must be a gitignore pattern, not an integer: put it in quotes"],
    ),
    ({"path": "a", "exclude": ["x", ""]}, ["[0].exclude[1]: must not be empty"]),
]


@pytest.mark.parametrize("key", ["sources", "lib"])
@pytest.mark.parametrize(("source", "texts"), SOURCES)
def test_bad_sources(key, source, texts):
    assert problems_of({key: [source]}) == [f"{ROMFS}.{key}{text}" for text in texts]


MPY = [
    ("arch", "armv7emdq", f"{ARCH_TEXT}, not 'armv7emdq'; did you mean 'armv7emdp'?"),
    ("arch", "z80", f"{ARCH_TEXT}, not 'z80'"),
    ("arch", ["x64"], f"{ARCH_TEXT}, not an array"),
    ("optimize", 4, "an integer from 0 to 3, not 4"),
    ("optimize", -1, "an integer from 0 to 3, not -1"),
    ("optimize", "2", "an integer from 0 to 3, not a string"),
    ("emit", "nativ", '"bytecode", "native", or "viper", not \'nativ\'; did you mean \'native\'?'),
    ("micropython", "v1.22", "a MicroPython release such as \"1.27\", not 'v1.22'"),
    ("micropython", "1", "a MicroPython release such as \"1.27\", not '1'"),
    ("micropython", "1.२", "a MicroPython release such as \"1.27\", not '1.२'"),
    ("micropython", "1.22\n", "a MicroPython release such as \"1.27\", not '1.22\\n'"),
    ("micropython", 1.22, 'a MicroPython release such as "1.27", not a float: put it in quotes'),
    ("exclude", "boot.py", f"{PATTERNS_TEXT}, not a string"),
]


@pytest.mark.parametrize(("key", "value", "text"), MPY)
def test_bad_values_of_mpy(key, value, text):
    assert problems_of({"mpy": {key: value}}) == [f"{ROMFS}.mpy.{key}: must be {text}"]


def test_bad_alignments_name_their_pattern():
    assert problems_of({"alignment": {"default": 0, "*.bin": 4, "a.b": 5, "c": True}}) == [
        f'{ROMFS}.alignment."default": must be {BOUNDARY_TEXT}, not 0',
        f'{ROMFS}.alignment."a.b": must be {BOUNDARY_TEXT}, not 5',
        f'{ROMFS}.alignment."c": must be {BOUNDARY_TEXT}, not a boolean',
    ]


@pytest.mark.parametrize("emit", ["native", "viper"])
def test_native_code_by_default_needs_an_architecture(emit):
    assert problems_of({"mpy": {"emit": emit}}) == [
        f'{ROMFS}.mpy.emit: "{emit}" needs tool.romfs.mpy.arch, the board\'s'
    ]
    assert settings_of({"mpy": {"emit": emit, "arch": "armv6m"}}).mpy == Mpy("armv6m", emit=emit)


@pytest.mark.parametrize(
    ("table", "text"),
    [
        ({"sorces": []}, "sorces: unknown key; did you mean 'sources'?"),
        ({"lib_dir": "lib"}, "lib_dir: unknown key; did you mean 'lib-dir'?"),
        ({"qqq": 1}, "qqq: unknown key"),
        ({"mpy": {"optimise": 1}}, "mpy.optimise: unknown key; did you mean 'optimize'?"),
        ({"mpy": {"march": "x64"}}, "mpy.march: unknown key; did you mean 'arch'?"),
    ],
)
def test_unknown_keys(table, text):
    assert problems_of(table) == [f"{ROMFS}.{text}"]


@pytest.mark.parametrize("key", ["size", "alignment"])
def test_numbers_too_long_to_be_written_out(key):
    # Python refuses to write integers of more than 4300 digits; TOML's hexadecimal ones may be as long as one likes.
    (problem,) = problems_of({key: 1 << 20000})
    assert problem.startswith(f"{ROMFS}.{key}: must be ")


def linux_of(table):
    return settings_of({"format": "linux", "linux": table}).linux


def test_what_only_linux_has():
    linux = linux_of(
        {
            "volume": "my vol",
            "follow-symlinks": True,
            "executable": ["bin/*", "*.sh"],
            "devices": {"dev/console": "c 5 1", "dev/sda": "b 8 65535"},
            "fifos": ["run/f"],
            "sockets": ["run/s"],
        }
    )
    assert linux == Linux(
        volume="my vol",
        follow_symlinks=True,
        executable=("bin/*", "*.sh"),
        devices={"dev/console": Device("character device", 5, 1), "dev/sda": Device("block device", 8, 65535)},
        fifos=("run/f",),
        sockets=("run/s",),
    )


@pytest.mark.parametrize(
    ("table", "key", "text"),
    [
        ({"devices": {"x": "c 5"}}, '"x"', 'must be a type (b or c) and two numbers below 65536, such as "c 5 1"'),
        ({"devices": {"x": "c 65536 1"}}, '"x"', "below 65536"),
        ({"devices": {"x": "c 4096 1"}}, '"x"', "Linux keeps only 12 bits: it must be at most 4095"),
        ({"devices": {"../x": "c 5 1"}}, '"../x"', "is not a name"),
        ({"fifos": [""]}, "fifos[0]", "must not be empty"),
        ({"volume": "ü" * 64}, "volume", "must be 1 to 127 bytes"),
        ({"volumes": "x"}, "volumes", "did you mean 'volume'?"),
    ],
)
def test_what_linux_does_not_take(table, key, text):
    with pytest.raises(SettingsError) as caught:
        linux_of(table)
    (problem,) = caught.value.problems
    assert problem.key.startswith("tool.romfs.linux.")
    assert problem.key.endswith(key)
    assert text in problem.text


def test_what_is_only_for_linux_is_refused_elsewhere():
    with pytest.raises(SettingsError, match='tool.romfs.linux: is only for format = "linux"'):
        settings_of({"linux": {"volume": "x"}})


def test_a_stable_layout_is_refused_in_linux():
    with pytest.raises(SettingsError, match='tool.romfs.layout: "stable" is only for format = "micropython"'):
        settings_of({"format": "linux", "layout": "stable"})
    assert settings_of({"format": "linux", "layout": "compact"}).layout == "compact"


def test_python_files_stay_python_files_in_linux_unless_asked_for():
    assert settings_of({"format": "linux"}).mpy is None
    assert not settings_of({"format": "linux"}).share
    assert settings_of({"format": "linux", "share": True}).share
    assert settings_of({"format": "linux", "mpy": True}).mpy == Mpy()
    assert settings_of({}).mpy == Mpy()


def test_a_bundle_needs_firmware_and_for_an_address_a_size():
    assert problems_of({"bundle": {}})[0].startswith("tool.romfs.bundle.firmware: is required: The firmware, relative")
    assert problems_of({"bundle": {"firmware": ""}}) == ["tool.romfs.bundle.firmware: must be the path of a file"]
    wanted = {"firmware": "a.hex", "address": 0x081E0000}
    assert problems_of({"bundle": wanted}) == [
        "tool.romfs.bundle.address: needs tool.romfs.size, the size of the partition"
    ]
    assert settings_of({"bundle": wanted, "size": "128 KiB"}).bundle.address == 0x081E0000
    assert settings_of({"bundle": wanted, "board": "OPENMV4"}).bundle.address == 0x081E0000


LINKS = ["javascript:alert(1)", "JAVASCRIPT:x", "data:text/html,x", "//host", "example.com", "https://", "https:///x",
    "mailto:", "https://a b", "https://a\tb", " https://a", "https://a\n", "file:///etc", ""]  # fmt: skip


@pytest.mark.parametrize("url", LINKS)
def test_a_link_of_the_page_leads_to_the_web_or_to_mail(url):
    (problem,) = problems_of({"page": {"links": {"Support": url}}})
    assert problem.startswith("tool.romfs.page.links.\"Support\": must be a link such as 'https://example.com' or ")


@pytest.mark.parametrize("name", ["", "a\nb", "a\0", "x" * 101, "\x1b[2J"])
def test_the_maker_and_the_texts_of_links_are_one_line(name):
    short = "must be one line of at most 100 characters"
    assert problems_of({"page": {"maker": name}}) == [f"tool.romfs.page.maker: {short}"]
    (problem,) = problems_of({"page": {"links": {name: "https://a"}}})
    assert problem.endswith(short)
    assert problems_of({"page": {"text": ""}}) == ["tool.romfs.page.text: must not be empty"]


def test_all_images_share_one_page():
    table = {"page": {"maker": "Acme"}, "images": {"a": {}, "b": {}}}
    assert [image.page.maker for image in project_of(table).images.values()] == ["Acme", "Acme"]
    assert problems_of({"images": {"a": {"page": {}}}}) == [
        "tool.romfs.images.a.page: belongs in [tool.romfs]: all images share one page"
    ]


def test_a_bundle_is_refused_in_linux():
    assert problems_of({"format": "linux", "bundle": {"firmware": "a.hex"}}) == [
        'tool.romfs.bundle: is only for format = "micropython"'
    ]
