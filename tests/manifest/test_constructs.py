"""What a manifest may contain beside calls: names, sums, f-strings, loops, conditions, options, and ``try``."""

import inspect
import time

import pytest

from romfs_manifest import evaluate
from romfs_manifest.manifest import syntax, values
from tests.manifest.support import evaluated, failure, put, shown, targets
from tests.manifest.test_fuzz import broken, watched

FILES = {f"{name}.py": "" for name in "abc"} | {"d/manifest.py": "module('e.py')", "d/e.py": "", "p/f.py": ""}


CONSTRUCTS = [
    ("'''A note.'''\nmodule('a.py')", "a"),
    ("pass", ""),
    ("NAME = 'a.py'\nmodule(NAME)", "a"),
    ("x = y = 'a'\nmodule(x + '.py')\nmodule(y + '.py')", "a"),
    ("x, (y, z) = 'a', ['b', 1]\nmodule(x + '.py')\nmodule(y + '.py')", "a b"),
    ("x = 'a'\nx = x + '.py'\nmodule(x)", "a"),
    ("freeze('.', ['a.py'] + ['b.py'])", "a b"),
    ("freeze('.', ('a.py',) + ('b.py',) + ())", "a b"),
    ("module('a' + '.' + 'p' + 'y', opt=1 + 1)", "a"),
    ("x = 'a'\nmodule(f'{x}.py')\nmodule(f\"{'b'!s}.{'p' + 'y'}\")", "a b"),
    ("x = 3\nmodule('a.py', opt=x)\ninclude(f'd', y=f'{x}{None}{True}{1.5}{-1}{x!r}')", "a e"),
    ("for x in ['a', 'b']:\n  module(x + '.py')\nmodule('c.py')", "a b c"),
    ("for x in ('a', 'b'): module(f'{x}.py')\nelse: module('c.py')", "a b c"),
    ("for x in 'abc':\n  module(x + '.py')", "a b c"),
    ("for x, y in [('a', 0), ('b', 3)]:\n  module(x + '.py', opt=y)", "a b"),
    ("for x in []: module('nope.py')\nmodule('a.py')", "a"),
    ("L = ['a']\nfor x in L + ['b']:\n  for y in ['.py']: module(x + y)", "a b"),
    ("if 0:\n  import os\nelif '':\n  module('nope.py')\nelse:\n  module('a.py')", "a"),
    ("if [0]: module('a.py')\nif (): module('b.py')", "a"),
    ("if options.x: module('a.py')\nelse: module('b.py')", "b"),
    ("options.defaults(x=True, y='c')\nif options.x: module('a.py')\nmodule(options.y + '.py')", "a c"),
    ("options.defaults(x=1)\noptions.defaults(y=1)\nif options.x: module('a.py')", ""),
    ("try:\n  module('a.py')\n  freeze('nope')\n  module('b.py')\nexcept OSError:\n  pass", "a"),
    ("try: module('nope.py')\nexcept Exception as e: module('a.py')\nelse: module('b.py')", "a"),
    ("try: module('a.py')\nexcept: module('nope.py')\nelse: module('b.py')\nfinally: module('c.py')", "a b c"),
    ("try: freeze('.', ['a.py', 'nope.py', 'b.py'])\nexcept (OSError, Exception): pass", "a"),
    ("try: freeze('nope')\nexcept FileNotFoundError: module('a.py')\nexcept Exception: module('b.py')", "a"),
    ("try: module('nope.py')\nexcept OSError: module('a.py')\nexcept Exception: module('b.py')", "b"),
    ("try: package('nope')\nexcept OSError: module('a.py')\nelse: module('b.py')", "b"),
    ("try: require('nope')\nexcept Exception: module('a.py')", "a"),
    ("try: freeze('$(NOPE)/x')\nexcept OSError: module('a.py')", "a"),
    ("try:\n  try: include('nope')\n  finally: module('a.py')\nexcept IOError: pass", "a"),
]


@pytest.mark.parametrize(("text", "expected"), CONSTRUCTS)
def test_constructs(tmp_path, text, expected):
    found = evaluated(put(tmp_path, FILES), text)
    assert targets(found) == [f"{name}.py" if name != "e" else "e.py" for name in expected.split()]
    assert bool(found.warnings) == ("nope" in text.lower() and "try" in text and "except: module" not in text)


def test_options_reach_an_included_manifest(tmp_path):
    text = "options.defaults(name='b')\nmodule(options.name + '.py')\nif options.more:\n  freeze('..', options.more)"
    put(tmp_path, FILES | {"o/manifest.py": text, "o/b.py": "", "o/c.py": ""})
    assert targets(evaluated(tmp_path, "include('o')")) == ["b.py"]
    assert targets(evaluated(tmp_path, "x = 'c'\ninclude('o', name=x, more=['a.py'])")) == ["a.py", "c.py"]
    assert targets(evaluated(tmp_path, "include('o', name='c')\nmodule('a.py')", options={"name": "x"})) == [
        "a.py",
        "c.py",
    ]
    assert targets(evaluated(tmp_path, "freeze('.', options.x)", options={"x": ["a.py"]})) == ["a.py"]
    assert "an option cannot be of type set" in failure_of_options(tmp_path)


def failure_of_options(root):
    return failure(root, "", options={"x": set()})


def test_a_missing_file_in_an_included_manifest_ends_it_and_the_try_around_it(tmp_path):
    put(
        tmp_path,
        FILES
        | {
            "o/manifest.py": "module('../nope.py')",
            "q/manifest.py": "freeze('.', ['x.py', 'nope.py', 'y.py'])\nfreeze('.', 'y.py')",
        },
    )
    put(tmp_path, {"q/x.py": "", "q/y.py": ""})
    found = evaluated(
        tmp_path, "try:\n  include('q')\n  module('b.py')\nexcept Exception: module('a.py')\nmodule('c.py')"
    )
    assert targets(found) == ["a.py", "c.py", "x.py"]
    assert [shown(tmp_path, warning) for warning in found.warnings] == [
        "q/manifest.py:1:1: skipped because of 'try': the file q/nope.py does not exist"
    ]


def test_a_try_skips_missing_files_only(tmp_path):
    put(tmp_path, FILES)
    for call in (
        "module('../a.py')",
        "module('d')",
        "modul('a.py')",
        "module('a.py', opt=9)",
        "x = {}",
        "include('a\\0')",
    ):
        text = f"try:\n  {call}\nexcept Exception: module('b.py')"
        if call == "module('d')":
            assert targets(evaluated(tmp_path, text)) == ["b.py"]
        else:
            assert failure(tmp_path, text)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("module(x)", "1:8: the name 'x' has no value"),
        ("module(module)", "1:8: the name 'module' has no value"),
        ("for x in ['a.py']: pass\nmodule(y)", "2:8: the name 'y' has no value"),
        ("try: module('nope.py')\nexcept OSError as e: include(e)", "2:30: the name 'e' has no value"),
        ("x = 'a' + 1", "1:5: cannot add a number to a string"),
        ("x = [1] + (2,)", "1:5: cannot add a tuple to a list"),
        ("x = None + None", "1:5: cannot add None to None"),
        ("x = 9000000000000000000 + 9000000000000000000", "1:5: the number is too large"),
        ("for x in 1: pass", "1:10: a list, a tuple, or a string is needed here"),
        ("x, y = 'abc'", "1:1: 2 names for 3 values"),
        ("x = " + "[" * 21 + "]" * 21, "1:5: lists are nested more than 20 deep"),
    ],
)
def test_values_that_do_not_fit(tmp_path, text, problem):
    assert failure(put(tmp_path, FILES), text) == f"manifest.py:{problem}"


BOMBS = {
    "nested loops": "L = [" + "0," * 400 + "]\nfor x in L:\n for y in L:\n  for z in L:\n   for u in L: pass",
    "loops without a body": "L = [" + "0," * 5000 + "]\nfor x in L:\n  for y in L:\n    for z in L: pass",
    "doubled strings": "x = 'aaaaaaaa'\n" + "x = x + x\n" * 60,
    "doubled lists": "x = [1]\n" + "x = x + x\n" * 60,
    "lists of lists": "x = [1]\n" + "x = [x, x]\n" * 60,
    "f-strings": "x = 'aaaaaaaa'\n" + "x = f'{x}{x}'\n" * 60,
    "lists of long strings": "x = 'a'\n" + "x = x + x\n" * 16 + "y = [" + "x + 'b'," * 7000 + "]",
    "many strings": "x = 'a'\n" + "x = x + x\n" * 16 + "for y in [" + "0," * 20_000 + "]: z = f'{x}'",
    "calls": "for x in [" + "0," * 30_000 + "]: module('a.py')",
    "includes": "for x in [" + "0," * 30_000 + "]: include('d', y=x)",
    "unknown values": "x = {}\nfor y in [" + "0," * 5000 + "]: z = [x, " + "1," * 20_000 + "]",
    "handlers": "for y in [" + "0," * 5000 + "]:\n  try: pass\n  except (" + "OSError," * 6000 + "): pass",
    "keywords": "for y in [" + "0," * 5000 + "]: options.defaults(" + ",".join(f"k{n}=1" for n in range(5000)) + ")",
    "lists of includes": "x = ['d']\n" + "x = x + x\n" * 16 + "include(x)",
    "lists of scripts": "x = ['a.py']\n" + "x = x + x\n" * 16 + "freeze('.', x)",
    "lists of files": "x = ['f.py']\n" + "x = x + x\n" * 16 + "package('p', x)",
    "long paths": "x = '$(X)'\n" + "x = x + x\n" * 14 + "for y in x:\n  try: freeze(x)\n  except: pass",
    "long names": "x = 'aaaaaaaa'\n" + "x = x + x\n" * 13 + "for y in [" + "0," * 60 + "]: require(x + f'{y}')",
    "numbers": "x = 1\n" + "x = x + x\n" * 5000,
    "operators": "x = " + "1+" * 30_000 + "1",
    "chained calls": "x" + "()" * 30_000,
    "indexes": "x" + "[0]" * 20_000,
    "conditions": "if 0: pass\n" + "elif 0: pass\n" * 4900,
    "comparisons": "x = " + "not " * 15_000 + "1",
    "expressions in f-strings": "x = f'{" + "1+" * 30_000 + "1}'",
    "lambdas": "x = " + "lambda: " * 8000 + "1",
}  # fmt: skip


@pytest.mark.parametrize("name", BOMBS)
def test_bombs_end_in_an_error_within_a_second(tmp_path, name):
    put(tmp_path, FILES)
    begun = time.process_time()
    message = failure(tmp_path, BOMBS[name], variables={"X": "x" * 100})
    assert time.process_time() - begun < 1
    assert any(
        text in message for text in ("more than", "too large", "nested", "longer than", "no library", "a dictionary")
    )
    assert len(message) < 100_000


def test_blocks_and_manifests_that_are_nested_too_deeply(tmp_path):
    for number in range(45):
        put(tmp_path, {f"{number}.py": f"if 1:\n include('{number + 1}.py')\n"})
    put(tmp_path, {"45.py": ""})
    limit = "blocks and manifests are nested more than 60 deep"
    assert limit in failure(tmp_path, "include('0.py')")
    assert limit in failure(tmp_path, "".join(f"{' ' * n}if 1:\n" for n in range(90)) + " " * 90 + "pass")
    assert evaluate(tmp_path / "20.py").entries == ()
    # From deep in a program the limit of Python can come first, which is an error as well.
    assert "nested too deeply" in from_deep_in_a_program(lambda: failure(tmp_path, "include('25.py')"), 870)


def from_deep_in_a_program(work, depth):
    """Call ``work`` with only a part of Python's stack left."""
    return work() if len(inspect.stack(0)) > depth else from_deep_in_a_program(work, depth)


def test_the_memory_of_values_is_bounded(tmp_path):
    import tracemalloc

    put(tmp_path, FILES)
    for name in ("doubled strings", "doubled lists", "lists of lists", "lists of long strings", "many strings"):
        tracemalloc.start()
        failure(tmp_path, BOMBS[name])
        assert tracemalloc.get_traced_memory()[1] < 100 * values.MAX_CELLS
        tracemalloc.stop()


@pytest.mark.parametrize(
    "text",
    [
        "x = " + "1+" * 3000 + "1",
        "x" + "()" * 3000,
        "x" + "\\\n()" * 3000,
        "(x" + "#\n()" * 3000 + ")",
        "x" + "[0]" * 3000,
        "x" + ".y" * 3000,
        "x = f'{" + "1+" * 3000 + "1}'",
        'x = f\'{""' + "+1" * 3000 + "}' # \"",
        "x = '\\'' + " + "1+" * 3000 + "1  # '",
        "x = " + "- " * 3000 + "1",
        "x = " + "lambda: " * 3000 + "1",
        "if 0: pass\n" + "elif 0: pass\n" * 3000,
        "x = " + "1 if 1 else " * 3000 + "1",
    ],
)
def test_deep_expressions_never_reach_the_parser(tmp_path, monkeypatch, text):
    monkeypatch.setattr(syntax, "ast", None)
    assert "more than 2,000 operators" in failure(tmp_path, text)


def test_text_that_only_looks_deep_is_parsed(tmp_path):
    put(tmp_path, FILES)
    text = "# 1+1+1.1.1" * 500 + "\nmodule('a.py', '.')\n" + "include('d/../d/../d/../d')\n" * 700
    assert targets(evaluated(tmp_path, text)) == ["a.py", "e.py"]
    assert syntax.count_nesting('module(\'a.py\', \'../b\')\n"""x+\n+y"""') == 0
    assert syntax.count_nesting("x = f'{a}' + 'b.c'") == 2


def test_what_is_evaluated_is_never_run(tmp_path):
    """An audit hook sees no outside file, no file that is written, no process, no socket, and no code."""
    put(tmp_path, FILES)
    for text, _ in CONSTRUCTS:
        evaluated(tmp_path, text)  # modules are imported when they are first used
        with watched(tmp_path):
            evaluate(tmp_path)
    assert not broken
    with pytest.raises(RuntimeError), watched(tmp_path):
        (tmp_path / "../outside").open()
    broken.clear()
