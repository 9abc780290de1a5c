"""The simulated board behaves as boards do: mpremote is the judge, and what is known of the ports."""

from pathlib import Path

import pytest
from mpremote.transport import TransportExecError

from hatch_romfs.errors import SettingsError
from hatch_romfs.sim.board import SimOptions, SimulatedBoard, parse_sim_url
from tests.board.faulty import Faults
from tests.board.hosts import BANNER, SMALL, mpremote, mpremote_image, need_linux, running


@pytest.fixture(autouse=True, scope="module")
def _linux():
    need_linux()


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    return mpremote_image(tmp_path_factory.mktemp("image"))


class TestUrl:
    def test_defaults(self):
        options = parse_sim_url("sim:")
        assert options == SimOptions()
        assert (options.file, options.port, options.size, options.block, options.unit) == (
            None,
            "rp2",
            1 << 19,
            4096,
            256,
        )
        assert options.machine == "Simulated board with rp2"

    def test_everything(self):
        url = "sim:a b.bin?port=stm32&size=1MiB&block=128k&unit=16&partitions=2&ram=64 KB&machine=Nucleo%20H7"
        assert parse_sim_url(url) == SimOptions(
            Path("a b.bin"), "stm32", 1 << 20, 128 << 10, 16, partitions=2, ram=64 << 10, machine="Nucleo H7"
        )

    def test_the_former_name_of_the_port_still_works(self):
        assert parse_sim_url("sim:?family=stm32") == SimOptions(port="stm32")
        with pytest.raises(SettingsError, match="sim: port: given twice"):
            parse_sim_url("sim:?family=stm32&port=stm32")

    @pytest.mark.parametrize(("text", "size"), [("65536", 65536), ("64K", 65536), ("64KiB", 65536), ("2m", 2 << 20)])
    def test_sizes(self, text, size):
        assert parse_sim_url(f"sim:?size={text}").size == size

    def test_everything_about_the_line_and_the_flash(self):
        url = (
            "sim:?port=stm32&size=256K&block=128K&real-block=16K&unit=16&real-unit=32&ecc=no&unusable=0:none"
            "&baud=115200&ring=256&gc=100&erase=45ms&program=0.7ms&hash=300us&latency=16&vanish=2s&root=files"
        )
        assert parse_sim_url(url) == SimOptions(
            port="stm32",
            size=256 << 10,
            block=128 << 10,
            real_block=16 << 10,
            unit=16,
            real_unit=32,
            ecc=False,
            unusable=((0, "none"),),
            baud=115200,
            ring=256,
            gc=100,
            erase=45,
            program=0.7,
            hash=0.3,
            latency=16,
            vanish=2000,
            root=Path("files"),
        )

    @pytest.mark.parametrize(
        ("query", "access", "programs", "platform"),
        [
            ("port=rp2", "object", "nor", "rp2"),
            ("port=nrf", "object", "twice", "nrf"),
            ("port=samd", "object", "ecc", "samd"),
            ("port=samd&ecc=no", "object", "nor", "samd"),
            ("port=stm32", "ranged", "nor", "pyboard"),
            ("port=stm32&unit=16", "ranged", "ecc", "pyboard"),
            ("port=alif", "mram", "overwrite", "alif"),
            ("port=alif&unit=4", "ranged", "nor", "alif"),
            ("port=esp8266", "whole", "nor", "esp8266"),
            ("port=renesas-ra", "whole", "ecc", "renesas-ra"),
        ],
    )
    def test_kinds_of_flash(self, query, access, programs, platform):
        options = parse_sim_url(f"sim:?{query}")
        assert (options.access, options.programs, options.platform) == (access, programs, platform)

    @pytest.mark.parametrize(
        ("url", "words"),
        [
            ("sim:?real_unit=32", ["unknown key", "did you mean 'real-unit'?"]),
            ("sim:?unit=16&real-unit=24", ["sim: real-unit: must be a multiple of the unit (16)"]),
            ("sim:?block=128K&real-block=16K&size=24K", ["sim: size: must be whole blocks of 16384 bytes"]),
            ("sim:?gc=5m", ["sim: gc: must be milliseconds, or such as 45ms, 0.7ms or 2s, not '5m'"]),
            ("sim:?gc=5000s", ["sim: gc: must be at most 60 seconds"]),
            ("sim:?baud=9", ["sim: baud: must be 300 to 10000000, or 0"]),
            ("sim:?baud=fast", ["sim: baud: must be a number"]),
            ("sim:?ring=2", ["sim: ring: must be 16 bytes to 1 MiB, or 0"]),
            ("sim:?ecc=maybe", ["sim: ecc: must be yes or no"]),
            ("sim:?unusable=1:none", ["sim: unusable: must name partitions 0 to 0"]),
            (
                "sim:?unusable=0:broken",
                ["unusable: must be such as 1:none; there are einval, none, raises, empty"],
            ),
            ("sim:?fam=rp2", ["sim: fam: unknown key", "did you mean 'port'?"]),  # once it was called family
            ("sim:?prt=rp2", ["sim: prt: unknown key", "port, size, block", "did you mean 'port'?"]),
            ("sim:?port=rp3", ["sim: port: must be one of rp2, esp32", "not 'rp3'", "did you mean 'rp2'?"]),
            ("sim:?size=12Q", ["sim: size: must be bytes, or such as 512K or 2MiB, not '12Q'"]),
            ("sim:?size=5000", ["sim: size: must be whole blocks of 4096 bytes", "not 5000 bytes"]),
            ("sim:?size=0", ["sim: size: must be whole blocks"]),
            ("sim:?size=1000M", ["at most 64 MiB"]),
            ("sim:?unit=48", ["sim: unit: must divide the block, 4096 bytes"]),
            ("sim:?partitions=0", ["sim: partitions: must be 1 to 8; port 'none' has none"]),
            ("sim:?ram=1K", ["sim: ram: must be 8 KiB to 64 MiB"]),
            ("sim:?size=64K&size=64K", ["sim: size: given twice"]),
            ("sam:?size=64K", ["must start with 'sim:'"]),
            ("sim:?x=1&size=?&port=", ["sim: x:", "sim: size:", "sim: port:"]),
        ],
    )
    def test_mistakes(self, url, words):
        with pytest.raises(SettingsError) as caught:
            parse_sim_url(url)
        assert all(word in str(caught.value) for word in [*words, "Such as 'sim:'"])


class TestMpremote:
    @pytest.mark.parametrize("family", ["rp2", "stm32", "esp8266", "alif"])
    def test_deploys_and_imports(self, family, image, tmp_path):
        board = SimulatedBoard(SimOptions(tmp_path / "rom.bin", family, 128 << 10))
        with board:
            said = mpremote(board, "romfs", "query")
            assert "size 131072 bytes" in said
            assert "Not a valid ROMFS" in said
            said = mpremote(board, "romfs", "deploy", str(image))
            assert "ROMFS image deployed" in said
            said = mpremote(board, "soft-reset", "+", "exec", "import hello; print(hello.hi())", "+", "romfs", "query")
            assert "hello from /rom/hello." in said
            assert "Raw contents: d2:cd:31:" in said
            assert not board.violations
        held = board.file.read_bytes()
        data = image.read_bytes()
        assert held.startswith(data)
        assert held[-4096:] == b"\xff" * 4096

    def test_sees_a_board_that_cannot_be_written(self, image):
        with SimulatedBoard(parse_sim_url("sim:?port=qemu&" + SMALL)) as board:
            assert "size 65536 bytes" in mpremote(board, "romfs", "query")
            mpremote(board, "romfs", "deploy", str(image))  # it says deployed, and nothing is
            assert board.file.read_bytes() == b"\xff" * 65536

    @pytest.mark.parametrize(
        ("family", "words"), [("none", "No ROMFS partitions available"), ("no-romfs", "ROMFS is not enabled")]
    )
    def test_sees_boards_without(self, family, words):
        with SimulatedBoard(parse_sim_url(f"sim:?port={family}")) as board:
            assert words in mpremote(board, "romfs", "query")


class TestAccess:
    def test_object(self):
        with running() as (board, host):
            assert host.say("""
                import vfs
                dev = vfs.rom_ioctl(2, 0)
                data = b'ab' * 128
                print(vfs.rom_ioctl(1), dev.ioctl(4, 0), dev.ioctl(5, 0))
                print(dev.ioctl(6, 1), dev.writeblocks(1, data, 256))
                print(bytes(memoryview(dev)[4096 + 256 : 4096 + 260]))
                buf = bytearray(4)
                dev.readblocks(1, buf, 254)
                print(buf, [vfs.rom_ioctl(op, 0) for op in (3, 4, 5, 6)], vfs.rom_ioctl(2, 1))
            """).splitlines() == [
                "1 16 4096",
                "0 None",
                "b'abab'",
                "bytearray(b'\\xff\\xffab') [-22, -22, -22, -22] -22",
            ]  # fmt: skip
            assert board.file.read_bytes()[4352:4608] == b"ab" * 128
            with pytest.raises(TransportExecError, match="item assignment"):
                host.say("memoryview(dev)[0] = 0")

    def test_ranged(self):
        with running("?port=stm32&size=256K&block=128K&unit=16&partitions=2") as (board, host):
            assert host.say("""
                import vfs
                q = vfs.rom_ioctl
                print(q(1), len(q(2, 0)), q(6, 1), q(4, 1, 0, bytes(16)), q(4, 1, 1 << 17, bytes(32)))
                print(q(3, 1, 1 << 17, 1 << 17), q(2, 1)[0], q(2, 1)[1 << 17], q(2, 0)[0], q(3, 1, 1 << 18), q(2, 1)[0])
                print(q(5, 0), q(2, 2), q(3, 0), q(4, 0, 0), q(6), q(7, 0), q(3, 0, 0, 0))
            """).splitlines() == ["2 262144 131072 0 0", "16 0 255 255 16 255", "-22 -22 -22 -22 -22 -22 16"]
            assert board.file.stat().st_size == 1 << 19
            with pytest.raises(TransportExecError, match="item assignment"):
                host.say("q(2, 0)[0] = 0")

    @pytest.mark.parametrize("faults", [None, Faults(op6=False)])
    def test_whole_takes_an_offset_for_the_length(self, faults):
        family = "esp8266" if faults is None else "stm32"
        with running(f"?port={family}&size=16K", faults) as (_, host):
            assert host.say("""
                import vfs
                q = vfs.rom_ioctl
                print(q(6, 0), [q(4, 0, at, bytes(4)) for at in (0, 4096, 8192)])
                print(q(3, 0, 1), [q(2, 0)[at] for at in (0, 4096, 8192)])
                print(q(3, 0, 8192, 4), [q(2, 0)[at] for at in (0, 4096, 8192)])
            """).splitlines() == ["-22 [0, 0, 0]", "4 [255, 0, 0]", "4 [255, 255, 0]"]

    def test_mram_is_written_over(self):
        with running("?port=alif&size=16K") as (board, host):
            assert host.say("""
                import vfs
                q = vfs.rom_ioctl
                print(q(6, 0), q(3, 0, 0, 4096), q(3, 0, 4096), q(4, 0, 16, bytes(16)), q(3, 0, 0, 64), q(2, 0)[16])
                print(q(4, 0, 16, b'x' * 16), q(2, 0)[16])
                print(q(4, 0, 8, bytes(16)), q(4, 0, 0, bytes(8)), q(3, 0, 1 << 20))
            """).splitlines() == ["16 16 16 0 16 0", "0 120", "-22 -22 -22"]
            assert len(board.violations) == 2

    def test_it_says_what_it_is(self):
        with running("?port=esp32&machine=Some board") as (_, host):
            assert host.eval("__import__('sys').implementation._machine") == "Some board"
            assert host.eval("__import__('sys').path") == ["", ".frozen"]
            assert host.eval("__import__('os').listdir('/')") == []
            assert host.eval("__import__('sys').platform") == "esp32"
            assert host.eval("'VfsRom' in dir(__import__('vfs'))")

    def test_ram(self):
        with running("?ram=20K&" + SMALL) as (_, host):
            free = host.eval("(__import__('gc').collect(), __import__('gc').mem_free())[1]")
            assert 16000 < free < 21000
            assert host.eval("len(bytearray(12000))") == 12000

    @pytest.mark.parametrize(
        ("kind", "answers"),
        [
            ("einval", [-22, -22, -22]),
            ("none", [None, -22, -22]),
            ("raises", ["OSError"] * 3),
            ("empty", [0, -22, -22]),
        ],
    )
    @pytest.mark.parametrize("port", ["rp2", "stm32"])
    def test_an_unusable_partition(self, port, kind, answers):
        with running(f"?port={port}&size=16K&partitions=2&unusable=0:{kind}") as (_, host):
            host.say("""
                import vfs
                def ask(op):
                    try:
                        answer = vfs.rom_ioctl(op, 0)
                    except OSError:
                        return "OSError"
                    if hasattr(answer, "ioctl"):
                        return answer.ioctl(4, 0)
                    return len(answer) if isinstance(answer, memoryview) else answer
            """)
            assert host.eval("[ask(op) for op in (2, 3, 6)]") == answers
            assert host.eval("vfs.rom_ioctl(1)") == 2
            assert host.eval("len(memoryview(vfs.rom_ioctl(2, 1)))") == 16384

    def test_the_folder_of_its_files(self, tmp_path):
        (tmp_path / "boot.py").write_text("booted = 1\n")
        with running(f"?root={tmp_path}") as (_, host):
            host.until(b">")
            host.serial.write(b"\x04")  # the host has interrupted the first boot.py
            host.until(BANNER[:-1])
            host.say("open('/note', 'w').write('seen')")
            assert host.eval("(booted, sorted(__import__('os').listdir('/')))") == (1, ["boot.py", "note"])
        assert (tmp_path / "note").read_text() == "seen"
        with pytest.raises(SettingsError, match="root: .*none is not a folder"):
            SimulatedBoard(SimOptions(root=tmp_path / "none")).start()
