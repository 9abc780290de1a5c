"""Tokens for private packages: sent where they belong, and seen nowhere else."""

import base64
import json
import os
import subprocess
import sys

import pytest

from romfs_manifest import ManifestError, fetch, make_lock, write_lock
from romfs_manifest.mip.credentials import Credentials
from tests.manifest.server import Index, Proxy, answer
from tests.manifest.test_cli import CODE
from tests.manifest.test_client import moved

TOKEN = "s3cr3t-t0k3n"  # noqa: S105 - of no service
LOGIN = base64.b64encode(f"me:{TOKEN}".encode()).decode()


@pytest.fixture
def private(secure, certificate, monkeypatch):
    """An index that wants a token for everything."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    for path, page in list(secure.pages.items()):
        secure.put(path, page)
    secure.add("a", deps=[["b", ""]])
    secure.add("b")
    for path, page in list(secure.pages.items()):
        secure.put(path, lambda handler, page=page: guarded(handler, page))
    return secure


def guarded(handler, page):
    allowed = (f"Bearer {TOKEN}", f"Basic {LOGIN}")
    answer(handler, *((200, page) if handler.headers.get("Authorization") in allowed else (401,)))


def host(index):
    return index.site.removeprefix("https://")


def write_netrc(path, text):
    path.write_text(text)
    path.chmod(0o600)


def test_a_token_from_the_environment(private, cache, monkeypatch):
    with pytest.raises(ManifestError, match="access denied") as caught:
        make_lock(["a"], index=private.url, cache=cache)
    assert "ROMFS_TOKENS" in str(caught.value.hint)
    monkeypatch.setenv("ROMFS_TOKENS", f"example.org=other {host(private)}={TOKEN}")
    made = make_lock(["a"], index=private.url, cache=cache)
    assert [package.name for package in made.packages] == ["a", "b"]
    monkeypatch.setenv("ROMFS_TOKENS", f"{host(private)}=wrong")
    with pytest.raises(ManifestError, match="access denied") as caught:
        make_lock(["a"], index=private.url, cache=cache)
    assert "the server rejected it" in str(caught.value.hint)
    assert "wrong" not in f"{caught.value}{caught.value.hint}"


def test_a_login_from_netrc(private, cache, monkeypatch, tmp_path):
    netrc = tmp_path / "netrc"
    monkeypatch.setenv("NETRC", str(netrc))
    write_netrc(netrc, f"default login me password {TOKEN}\n")
    with pytest.raises(ManifestError, match="access denied"):
        make_lock(["a"], index=private.url, cache=cache)
    assert not any("Authorization" in headers for headers in private.headers)
    write_netrc(netrc, f"machine 127.0.0.1 login me password {TOKEN}\n")
    assert len(make_lock(["a"], index=private.url, cache=cache).packages) == 2


@pytest.mark.parametrize(
    ("variables", "url", "expected"),
    [
        ({"GITHUB_TOKEN": "t"}, "https://raw.githubusercontent.com/o/r/HEAD/x", {"Authorization": "Bearer t"}),
        ({"GITLAB_TOKEN": "t"}, "https://gitlab.com/o/r/-/raw/HEAD/x", {"PRIVATE-TOKEN": "t"}),
        ({"CODEBERG_TOKEN": "t"}, "https://codeberg.org/api/v1/repos/o/r/raw/x", {"Authorization": "Bearer t"}),
        ({"GITHUB_TOKEN": "t"}, "https://raw.githubusercontent.com:8443/x", {}),
        ({"GITHUB_TOKEN": "t"}, "https://raw.githubusercontent.com.example.org/x", {}),
        ({"GITHUB_TOKEN": "t"}, "http://raw.githubusercontent.com/x", {}),
        ({"GITHUB_TOKEN": "t"}, "https://gitlab.com/x", {}),
        ({"ROMFS_TOKENS": "example.org=t"}, "https://example.org/x", {"Authorization": "Bearer t"}),
        ({"ROMFS_TOKENS": "EXAMPLE.org:443=t"}, "https://example.org/x", {"Authorization": "Bearer t"}),
        ({"ROMFS_TOKENS": "example.org=t"}, "https://example.org:8443/x", {}),
        ({"ROMFS_TOKENS": "example.org=t"}, "https://www.example.org/x", {}),
        ({"ROMFS_TOKENS": "example.org=t"}, "http://example.org/x", {}),
        ({"ROMFS_TOKENS": "gitlab.com=t"}, "https://gitlab.com/x", {"PRIVATE-TOKEN": "t"}),
    ],
)
def test_which_token_is_for_which_host(variables, url, expected, monkeypatch):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert Credentials().headers(url) == expected


@pytest.mark.parametrize(
    "text", [TOKEN, f"={TOKEN}", f"h={TOKEN}\x7f", f"h={TOKEN}\u00e4", f"example.org={TOKEN} {TOKEN}"]
)
def test_a_malformed_variable_is_not_shown(text, monkeypatch):
    monkeypatch.setenv("ROMFS_TOKENS", text)
    with pytest.raises(ManifestError) as caught:
        Credentials()
    assert TOKEN not in f"{caught.value}{caught.value.hint}{caught.value.__cause__}"


@pytest.mark.parametrize(
    "text", [f"machine h login me {TOKEN}\n", f"{TOKEN}\n", f"machine h login me password {TOKEN}\xff"]
)
def test_a_malformed_netrc_is_not_shown(text, monkeypatch, tmp_path):
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    (tmp_path / "netrc").write_bytes(text.encode("latin-1"))
    (tmp_path / "netrc").chmod(0o600)
    with pytest.raises(ManifestError) as caught:
        Credentials()
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    assert TOKEN not in f"{caught.value}{caught.value.hint}{caught.value.__cause__}"


def test_a_token_is_not_sent_to_where_a_redirect_leads(private, certificate, cache, monkeypatch):
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    elsewhere = Index(context)
    try:
        elsewhere.put("/x.py", moved(f"{private.site}/back.py"))
        private.put("/x.py", moved(f"{elsewhere.site}/x.py"))
        private.put("/back.py", b"x")
        private.put("/same.py", moved("/back.py"))
        # Even if there is a token for the other site, a redirect must not make use of it.
        monkeypatch.setenv("ROMFS_TOKENS", f"{host(private)}={TOKEN} {host(elsewhere)}=other")
        named = f"{elsewhere.site}/nothing.py"
        with pytest.raises(ManifestError, match="nothing.py: no such file"):
            make_lock([named], index=private.url, cache=cache)
        elsewhere.put("/nothing.py", b"")
        make_lock([f"{private.site}/x.py", named], index=private.url, cache=cache)
        seen = [headers.get("Authorization") for headers in elsewhere.headers]
        assert set(zip(elsewhere.requests, seen, strict=True)) == {("/nothing.py", "Bearer other"), ("/x.py", None)}
        by_path = {
            path: headers.get("Authorization") for path, headers in zip(private.requests, private.headers, strict=True)
        }
        assert by_path == {"/x.py": f"Bearer {TOKEN}", "/back.py": None}
        make_lock([f"{private.site}/same.py"], index=private.url, cache=cache)
        assert private.headers[-1]["Authorization"] == f"Bearer {TOKEN}"
    finally:
        elsewhere.close()


def everything_below(folder):
    return b"\n".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


@pytest.mark.usefixtures("short_waits")
@pytest.mark.parametrize("source", ["environment", "netrc", "proxy"])
def test_no_file_no_message_and_no_other_request_contains_a_token(  # noqa: PLR0915 - one secret, everywhere
    source, private, other, tmp_path, certificate
):
    """Of all commands, with and without tracebacks, for success and for failures of every kind."""
    project, caches = tmp_path / "project", tmp_path / "caches"
    project.mkdir()
    proxy = Proxy(f"me:{TOKEN}")
    environment = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    environment |= {
        "PYTHONPATH": os.pathsep.join(sys.path),
        "XDG_CACHE_HOME": str(caches),
        "SSL_CERT_FILE": str(certificate),
    }
    netrc = tmp_path / "home" / "netrc"
    netrc.parent.mkdir()
    if source == "netrc":
        write_netrc(netrc, f"machine 127.0.0.1 login me password {TOKEN}\n")
        environment["NETRC"] = str(netrc)
    else:
        environment["ROMFS_TOKENS"] = f"{host(private)}={TOKEN}"
    if source == "proxy":
        environment["HTTPS_PROXY"] = f"http://me:{TOKEN}@{proxy.address}"
    shown = b""

    def run(*arguments, status=0):
        nonlocal shown
        command = [sys.executable, "-c", CODE, *map(str, arguments), "-v"]
        done = subprocess.run(command, env=environment, capture_output=True, stdin=subprocess.DEVNULL, check=False)
        assert done.returncode == status, done.stdout + done.stderr
        shown += done.stdout + done.stderr

    def depend(*names):
        (project / "pyproject.toml").write_text(f"[tool.romfs]\ndependencies = {json.dumps(names)}\n")

    private.put("/moved.py", moved(f"{other.site}/x.py"))
    private.put("/secret-moved.py", moved(f"https://me:{TOKEN}@127.0.0.1:1/?token={TOKEN}"))
    private.put(
        "/reflected.py", lambda handler: answer(handler, 302, Location=f"https://h/?{handler.headers['Authorization']}")
    )
    private.describe("broken", {"v": 1, "hashes": [["../x", "12345678"]]})
    depend("a")
    run("lock", project, "--index", private.url)
    run("lock", project, "--index", private.url, "--upgrade", "--json")
    run("fetch", project, "--cache", tmp_path / "other-cache", "--index", private.url)
    run("check", project)
    run("tree", project)
    run("outdated", project, "--index", private.url)
    run("mirror", tmp_path / "mirror", project, "--index", private.url)
    for path in ("moved.py", "secret-moved.py", "reflected.py", "nope.py"):
        depend(f"{private.site}/{path}")
        run("lock", project, "--index", private.url, status=1)
    for name in (
        "broken",
        "missing",
        f"https://me:{TOKEN}@127.0.0.1/x.py",
        f"https://h/x.py?token={TOKEN}",
        f"https://me:{TOKEN}/x",
    ):
        depend(name)
        run("lock", project, "--index", private.url, status=2 if TOKEN in name else 1)
    depend("a")
    run("lock", project, "--index", f"https://me:{TOKEN}@127.0.0.1", status=2)
    lock = make_lock([], index="https://example.org")
    write_lock(project / "romfs.lock", lock._replace(index_url=f"https://me:{TOKEN}@127.0.0.1"))
    run("check", project, status=1)
    (project / "romfs.lock").unlink()
    private.close()
    run("lock", project, "--index", private.url, status=1)
    proxy.close()
    (project / "pyproject.toml").unlink()
    private.pages.clear()
    sent_elsewhere = [str(headers) for headers in other.headers]
    for secret in (TOKEN.encode(), LOGIN.encode()):
        assert not [line for line in shown.splitlines() if secret in line]
        assert secret not in everything_below(project)
        assert secret not in everything_below(caches)
        assert secret not in everything_below(tmp_path / "mirror")
        assert secret not in everything_below(tmp_path / "other-cache")
        assert not any(secret.decode() in text for text in sent_elsewhere)
    assert len(private.requests) > 10


def test_a_token_in_the_environment_does_not_change_a_lock(private, cache, monkeypatch, tmp_path):
    monkeypatch.setenv("ROMFS_TOKENS", f"{host(private)}={TOKEN}")
    made = make_lock(["a"], index=private.url, cache=cache)
    write_lock(tmp_path / "romfs.lock", made)
    assert TOKEN not in (tmp_path / "romfs.lock").read_text()
    assert fetch(made, cache)["a.py"] == b"a = '1.0'\n"
