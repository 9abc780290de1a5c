"""Shells complete the commands: a real bash does, at the press of the Tab key."""

import shutil
import sys

import pexpect
import pytest

from hatch_romfs.cli import command, flash, image, manifest
from tests import judges
from tests.commands import run

COMMANDS = {"romfs-image": image, "romfs-flash": flash, "romfs-manifest": manifest}


@pytest.fixture(scope="module")
def scripts(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scripts")
    for name in COMMANDS:
        (folder / name).write_text(run(judges.command(name), "--print-completion", "bash", cwd=folder))
    return folder


@pytest.fixture
def bash(scripts, tmp_path):
    """Return what completes a line in a real bash, and the line that this results in."""
    if shutil.which("bash") is None:
        judges.missing("bash")
    environment = {"INPUTRC": "/dev/null", "TERM": "dumb", "PATH": "/usr/bin:/bin", "PS1": "ready> "}
    options = ["--norc", "--noprofile", "-i"]
    shell = pexpect.spawn("bash", options, cwd=tmp_path, env=environment, encoding="utf-8", echo=False, timeout=30)
    shell.sendline("bind 'set enable-bracketed-paste off'; PS1=; PS2=; echo 'be''gin'")
    shell.expect("begin")
    for name in COMMANDS:
        shell.sendline(f". {scripts / name}")

    def complete(line: str) -> str:
        # Instead of the command, a function with its name runs, and prints the line.
        name = line.split(maxsplit=1)[0]
        shell.sendline(f"{name}() {{ printf '<%s>' {name} \"$@\"; echo; }}")
        shell.sendline(f"{line}\t")
        shell.expect(f"(<{name}>.*)\r?\n")
        return str(shell.match[1]).strip().strip("<>").replace("><", " ")

    yield complete
    shell.close(force=True)


@pytest.mark.parametrize(
    ("typed", "completed"),
    [
        ("romfs-image ver", "romfs-image verify"),
        ("romfs-image build --ali", "romfs-image build --align"),
        ("romfs-image build --format lin", "romfs-image build --format linux"),
        ("romfs-image info my", "romfs-image info my-app.romfs"),
        ("romfs-image extract my-app.romfs -o fold", "romfs-image extract my-app.romfs -o folder/"),
        ("romfs-flash --list", "romfs-flash --list-ports"),
        ("romfs-flash my", "romfs-flash my-app.romfs"),
        ("romfs-manifest out", "romfs-manifest outdated"),
        ("romfs-manifest show fol", "romfs-manifest show folder/"),
    ],
)
def test_the_tab_key_completes(typed, completed, bash, tmp_path):
    (tmp_path / "my-app.romfs").touch()
    (tmp_path / "folder").mkdir()
    assert bash(typed) == completed


@pytest.mark.parametrize("name", COMMANDS)
def test_other_shells_get_a_script(name, capsys):
    for shell in ("zsh", "tcsh"):
        with pytest.raises(SystemExit) as ended:
            command._status(COMMANDS[name].command, ["--print-completion", shell])
        assert ended.value.code in (0, None)
        assert name in capsys.readouterr().out


def test_an_unknown_shell(capsys):
    assert command._status(image.command, ["--print-completion", "cmd"]) == 2
    assert capsys.readouterr().err.startswith("error: --print-completion: 'cmd' is not one of bash, zsh, ")


def test_without_the_extra_the_message_names_it(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "shtab", None)
    assert command._status(flash.command, ["--print-completion", "bash"]) == 2
    assert capsys.readouterr() == (
        "",
        'error: --print-completion needs the package shtab\nInstall it: pip install "hatch-romfs[completion]"\n',
    )
