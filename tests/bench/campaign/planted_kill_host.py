"""Host processes with a planted bug: a script that notes what it is about to dose, and after a crash doses it again."""

from pathlib import Path

from bench.campaign.kill_host import serve_orders
from driver.storage import replace_file

CRASHED = "about-to-dose"


def dose_again_after_a_crash(pump, volume_ul, wait):
    note = Path(pump.journal.path).with_name(CRASHED)
    if note.exists():
        pump.bolus(float(note.read_text()), wait=True)
    replace_file(note, str(volume_ul).encode())
    dose = pump.bolus(volume_ul, wait=wait)
    note.unlink()
    return dose


if __name__ == "__main__":
    serve_orders(dose_again_after_a_crash)
