"""500 packages with 5,000 files, resolved and locked from an index on the loopback."""

from romfs_manifest import check_lock, fetch, read_lock, write_lock
from romfs_manifest.mip.workers import WORKERS


def test_many_packages_and_files_over_few_connections(index, lock, cache, tmp_path):
    for number in range(500):
        files = {f"p{number}/m{n}.py": f"# {number} {n}\n".encode() * 50 for n in range(10)}
        deps = [[f"p{other}", "latest"] for other in (2 * number + 1, 2 * number + 2) if other < 500]
        index.add(f"p{number}", files=files, deps=deps)
    made = lock("p0")
    write_lock(tmp_path / "romfs.lock", made)
    assert len(made.packages) == 500
    assert len(index.requests) == 5500
    assert index.connections <= WORKERS
    read = read_lock(tmp_path / "romfs.lock")
    check_lock(read, ["p0"])
    files = fetch(read, cache)
    assert len(files) == 5000
    assert len(index.requests) == 5500
