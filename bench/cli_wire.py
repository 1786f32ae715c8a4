"""The commands `thecabench wire record` and `thecabench wire decode`."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING

import click

from bench.exit_codes import exit_codes, print_json

if TYPE_CHECKING:
    from bench.wire.host_side import HostSide
    from bench.wire.output import LiveOutput, Output
    from bench.wire.pcapng import CaptureReader
    from bench.wire.recorder import WireRecorder

BAUD = 115_200
STDIO = "-"
RAW_CHUNK_BYTES = 65_536
LISTENING_S = 0.25
NOTHING_SENT = "The recorder sends nothing of its own: the pump goes on with what its host last told it."

PORT_HELP = "Device path, socket://host:port, rfc2217://host:port or usb:VID:PID."
BAUD_HELP = "Line speed of a serial port, 8N1."


@click.group(help="The bytes between host and pump: recorded, passed on, and read as text.")
def wire() -> None:
    pass


@wire.command()
@click.option("--port", required=True, help=PORT_HELP)
@click.option("--output", required=True, help="The pcapng file to write, which must not exist; - is standard output.")
@click.option(
    "--listen",
    multiple=True,
    help="Where the host program finds the pump: socket://127.0.0.1:PORT, pty, or the path of a link to a pty. "
    "May be given more than once. Default: a free TCP port, and on Unix a pty.",
)
@click.option("--baud", type=click.IntRange(min=1), default=BAUD, show_default=True, help=BAUD_HELP)
@click.option("--print", "shown", is_flag=True, help="Show the session as text while it goes on.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, one object on each line.")
def record(port: str, output: str, listen: tuple[str, ...], baud: int, shown: bool, as_json: bool) -> None:
    """Stand between host and pump, pass all bytes on and record them, until Ctrl-C (exit 0).

    The host program, unmodified, opens one of the ports that this command prints. A lost port ends it with exit 3;
    all that was heard is in the file then.
    """
    from bench.wire.host_side import HAVE_PTYS, open_host_side
    from bench.wire.output import LiveOutput, Output
    from bench.wire.pcapng import CaptureError
    from bench.wire.proxy import Proxy
    from driver.errors import DriverError
    from driver.transport import Guarded, SerialSettings, open_transport
    from driver.transport.tapped import Tapped

    if output == STDIO and (shown or as_json):
        raise click.UsageError("standard output carries the recording; --print and --json need --output FILE")
    lost: DriverError | None = None
    with _exit_codes(as_json), ExitStack() as stack:
        if output != STDIO and Path(output).exists():
            raise CaptureError(f"{output}: there is such a file already, and a recording is never overwritten")
        places = listen or ("socket://127.0.0.1:0", *(["pty"] if HAVE_PTYS else []))
        hosts = [stack.enter_context(closing(open_host_side(where, _say))) for where in places]
        cable = stack.enter_context(closing(open_transport(port, SerialSettings(baud=baud))))
        text = Output(as_json=as_json) if shown else None
        live = LiveOutput(text) if text is not None else None
        recorder = stack.enter_context(_open_recorder(output, port, live))
        proxy = Proxy(Tapped(Guarded(cable), recorder.tap), hosts)
        with _ended_by_signals(proxy.stop):
            names = [host.name for host in hosts]
            if as_json:
                print_json(port=port, listening=names, output=output)
            else:
                click.echo(f"{port} is offered at {' and '.join(names)}", err=output == STDIO)
                click.echo(f"Recording to {output}; Ctrl-C ends it.", err=output == STDIO)
            try:
                proxy.run()
            except DriverError as error:
                lost = error
        dropped_bytes = int(getattr(cable, "dropped_bytes", 0))
        recorder.close(str(lost) if lost is not None else "ended by Ctrl-C", dropped_bytes=dropped_bytes)
        if text is not None and live is not None and live.close():
            text.summary()
        _conclude(recorder, hosts, dropped_bytes, as_json=as_json)
        if lost is not None:
            raise lost
        if recorder.failure is not None:
            raise OSError(recorder.failure)


@wire.command()
@click.argument("file", required=False)
@click.option("--port", default=None, help=f"Listen there instead, and send nothing. {PORT_HELP}")
@click.option("--raw", is_flag=True, help="FILE holds the bytes of the wire alone, without direction and time.")
@click.option("--baud", type=click.IntRange(min=1), default=BAUD, show_default=True, help=BAUD_HELP)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, one object on each line, the last the summary.")
def decode(file: str | None, port: str | None, raw: bool, baud: int, as_json: bool) -> None:
    """Print a session of the wire as text: FILE, a pcapng recording (- is standard input), or live from a port.

    Times, directions, messages with their fields, rejected bytes, retries, latencies, losses, and a summary at the end.
    A file that is broken is printed up to there (exit 2). A lost port ends listening with exit 3, Ctrl-C with exit 0.
    """
    from bench.wire.output import Output

    if (file is None) == (port is None):
        raise click.UsageError("give either a FILE or --port")
    if port is not None and raw:
        raise click.UsageError("--raw is for files; a port is heard without direction anyway")
    with _exit_codes(as_json):
        output = Output(as_json=as_json)
        if port is not None:
            _listen(port, baud, output)
        elif raw:
            _decode_raw(str(file), output)
        else:
            _decode_capture(str(file), output)


def _open_recorder(output: str, port: str, live: LiveOutput | None) -> WireRecorder:
    from bench.wire.pcapng import CaptureError
    from bench.wire.recorder import WireRecorder

    def warn(reason: str) -> None:
        _say(f"{reason}; bytes still pass, Ctrl-C ends it")

    try:
        return WireRecorder(output, port=port, on_packet=live.packet if live is not None else None, on_failure=warn)
    except OSError as error:
        raise CaptureError(f"{output}: the recording cannot be written there: {error.strerror}") from error


def _conclude(recorder: WireRecorder, hosts: list[HostSide], dropped_bytes: int, *, as_json: bool) -> None:
    unread = {host.name: host.dropped_bytes for host in hosts if host.dropped_bytes}
    if as_json:
        sizes = {direction.value: size for direction, size in recorder.bytes.items()}
        print_json(recorded=recorder.packets, bytes=sizes, dropped_bytes=dropped_bytes, unread_bytes=unread)
        return
    sizes_text = " and ".join(f"{size} bytes {direction.value}" for direction, size in recorder.bytes.items())
    _say(f"Recorded in {recorder.path}: {recorder.packets} packets, {sizes_text}.")
    if dropped_bytes:
        _say(f"{dropped_bytes} bytes of the pump were lost before they were recorded: this machine was too slow.")
    for name, size in unread.items():
        _say(f"{size} bytes were recorded that the host at {name} did not read in time.")
    _say(NOTHING_SENT)


def _listen(port: str, baud: int, output: Output) -> None:
    from bench.wire.output import LiveOutput
    from bench.wire.pcapng import Packet
    from bench.wire.recorder import Stamps
    from driver.errors import DriverError
    from driver.transport import SerialSettings, open_guarded

    stopped: list[bool] = []
    lost: DriverError | None = None
    with closing(open_guarded(port, SerialSettings(baud=baud))) as transport:
        stamps = Stamps()
        live = LiveOutput(output)
        with _ended_by_signals(lambda: stopped.append(True)):
            _say(f"Listening at {port}, sending nothing; Ctrl-C ends it.")
            try:
                while not stopped:
                    if data := transport.read(LISTENING_S):
                        live.packet(Packet(stamps.now_ns(), None, data))
            except DriverError as error:
                lost = error
        if live.close():
            output.summary()
    if lost is not None:
        raise lost


def _decode_raw(name: str, output: Output) -> None:
    from bench.wire.pcapng import Packet

    with _opened(name) as file:
        while data := file.read(RAW_CHUNK_BYTES):
            output.packet(Packet(None, None, data))
    output.summary()


def _decode_capture(name: str, output: Output) -> None:
    from bench.wire.pcapng import CaptureError, CaptureReader

    with _opened(name) as file:
        reader = CaptureReader(file, name)
        try:
            for packet in reader:
                output.packet(packet)
        except CaptureError:
            if reader.interface_names:
                output.summary(**_file_facts(reader, is_whole=False))
            raise
    output.summary(**_file_facts(reader, is_whole=True))


def _file_facts(reader: CaptureReader, *, is_whole: bool) -> dict[str, str | None]:
    """What is to say about a file besides its session; None where there is nothing."""
    foreign, shortened = reader.foreign_packets, reader.shortened_packets
    end = reader.ended if reader.ended is not None else "not recorded: the recorder was cut off, or is still at work"
    is_ours = reader.application.startswith("thecabench")
    return {
        "torn": reader.torn,
        "foreign": f"{foreign} packets of another link type were left out" if foreign else None,
        "shortened": f"{shortened} packets were not captured whole" if shortened else None,
        "end": f"End of the recording: {end}" if is_ours and is_whole else None,
    }


@contextmanager
def _opened(name: str) -> Iterator[IO[bytes]]:
    from bench.wire.pcapng import CaptureError

    if name == STDIO:
        yield sys.stdin.buffer
        return
    with ExitStack() as stack:
        try:
            file = stack.enter_context(Path(name).open("rb"))
        except OSError as error:
            raise CaptureError(f"{name}: the file cannot be read: {error.strerror}") from error
        yield file


@contextmanager
def _ended_by_signals(stop: Callable[[], None]) -> Iterator[None]:
    """Ctrl-C and SIGTERM call `stop` once; a second one acts as ever."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def handle(_number: int, _frame: object) -> None:
        restore()
        stop()

    for number in before:
        signal.signal(number, handle)
    try:
        yield
    finally:
        restore()


@contextmanager
def _exit_codes(as_json: bool) -> Iterator[None]:
    from bench.wire.pcapng import CaptureError

    with exit_codes(as_json, (CaptureError,)):
        try:
            yield
        except BrokenPipeError:
            # The reader of our output, `head` perhaps, has seen enough.
            with suppress(OSError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(0)


def _say(text: str) -> None:
    with suppress(OSError):
        click.echo(text, err=True)
