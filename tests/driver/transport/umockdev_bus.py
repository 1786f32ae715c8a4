"""A USB bus out of umockdev, for the system's Python (python3-gi): what libusb submits to it crosses to a TCP peer.

Started with a JSON argument: `descriptors` (hex), `strings`, `peer` (host, port). Prints its folder, then obeys lines
on stdin and answers each with `done`: `plug`, `unplug_at_next_write` (with that transfer under way).
"""

from __future__ import annotations

import errno
import json
import socket
import struct
import sys
import threading

import gi

gi.require_version("UMockdev", "1.0")
from gi.repository import GLib, UMockdev  # noqa: E402

SYSFS = "/sys/devices/usb1/1-1"
SETUP_BYTES = 8
THROTTLE_MS = 1
CONTROL, BULK = 2, 3
TO_HOST = 0x80
GET_STRING = (0x80, 6, 3)
URB = struct.Struct("@BBiIPiiiiiIP")
(SUBMIT, DISCARD, REAP, REAP_NOW) = (10, 11, 12, 13)
(CLAIM, RELEASE, CLEAR_HALT, CAPABILITIES, GET_DRIVER) = (15, 16, 21, 26, 8)


class Urb:
    """A transfer that the host has submitted."""

    def __init__(self, data):
        self.data = data
        _, self.endpoint, _, _, _, self.size, *_ = URB.unpack(bytes(data.retrieve()))
        self.type = bytes(data.retrieve())[0]
        self.address = data.client_addr
        self.buffer = data.resolve(16, self.size) if self.size else None

    def written(self):
        return bytes(self.buffer.retrieve())

    def complete(self, status, answer=b"", offset=0, actual=None):
        if answer:
            self.buffer.update(offset, answer)
        self.data.update(4, struct.pack("@i", status))
        self.data.update(28, struct.pack("@i", len(answer) if actual is None else actual))


class Bus:
    """One device on one port; its address rises with each plugging. umockdev calls `handle` in a thread of its own."""

    def __init__(self, facts):
        self.facts = facts
        self.lock = threading.Lock()
        self.testbed = UMockdev.Testbed.new()
        self.address = 1
        self.peer = None
        self.to_host = b""
        self.doomed = False
        self.waiting = []
        self.done = []

    def plug(self):
        self.address += 1
        self.to_host = b""
        self.done = []
        self.peer = socket.create_connection(tuple(self.facts["peer"]), timeout=5)
        self.watch = GLib.io_add_watch(self.peer.fileno(), GLib.PRIORITY_DEFAULT, GLib.IO_IN | GLib.IO_HUP, self.hear)
        node = f"/dev/bus/usb/001/{self.address:03}"
        handler = UMockdev.IoctlBase.new()
        handler.connect("handle-ioctl", self.handle, self.address)
        self.testbed.attach_ioctl(node, handler)
        self.testbed.add_from_string(
            f"P: {SYSFS.removeprefix('/sys')}\nN: {node.removeprefix('/dev/')}\n"
            f"E: SUBSYSTEM=usb\nE: DEVTYPE=usb_device\nE: DRIVER=usb\nE: BUSNUM=001\nE: DEVNUM={self.address:03}\n"
            f"E: DEVNAME={node}\nA: busnum=1\\n\nA: devnum={self.address}\\n\nA: speed=12\\n\n"
            f"A: bConfigurationValue=1\\n\nH: descriptors={self.facts['descriptors']}\n"
        )

    def unplug(self):
        GLib.source_remove(self.watch)
        with self.lock:
            self.peer.close()
            self.peer = None
            for urb in self.waiting:
                urb.complete(-errno.ESHUTDOWN)
            self.done += self.waiting
            self.waiting = []
        self.testbed.uevent(SYSFS, "remove")
        self.testbed.remove_device(SYSFS)

    def unplug_at_next_write(self):
        self.doomed = True

    def hear(self, *_):
        data = self.peer.recv(65536)
        with self.lock:
            self.to_host += data
            self.serve()
        return bool(data)

    def handle(self, _, client, address):
        with self.lock:
            self.carry_out(client, address)
        return True

    def carry_out(self, client, address):
        number = client.get_request() & 0xFF
        arg = client.get_arg()
        gone = self.peer is None or address != self.address
        if number == SUBMIT and not gone:
            self.waiting.append(Urb(arg.resolve(0, URB.size)))
            self.serve()
            client.complete(0, 0)
        elif number in (REAP, REAP_NOW):
            if self.done:
                arg.resolve(0, 8).set_ptr(0, self.done.pop(0).data)
                client.complete(0, 0)
            elif gone:
                client.complete(-1, errno.ENODEV)
            else:
                GLib.timeout_add(THROTTLE_MS, lambda: client.complete(-1, errno.EAGAIN))
        elif number == DISCARD:
            address_ = struct.unpack("@P", bytes(arg.retrieve()))[0]
            found = [urb for urb in self.waiting if urb.address == address_]
            for urb in found:
                self.waiting.remove(urb)
                urb.complete(-errno.ENOENT)
                self.done.append(urb)
            client.complete(0 if found else -1, 0 if found else errno.EINVAL)
        elif gone:
            client.complete(-1, errno.ENODEV)
        elif number == CAPABILITIES:
            arg.resolve(0, 4).update(0, struct.pack("@I", 0x1 | 0x4 | 0x10))
            client.complete(0, 0)
        elif number == GET_DRIVER:
            client.complete(-1, errno.ENODATA)
        elif number in (CLAIM, RELEASE, CLEAR_HALT):
            client.complete(0, 0)
        else:
            client.complete(-1, errno.ENOTTY)

    def serve(self):
        """Complete every waiting transfer that can be."""
        for urb in list(self.waiting):
            if urb.type == CONTROL:
                self.answer(urb)
            elif urb.endpoint & TO_HOST:
                if not self.to_host:
                    continue
                packet, self.to_host = self.to_host[: min(urb.size, 64)], self.to_host[min(urb.size, 64) :]
                urb.complete(0, packet)
            elif self.doomed:
                self.doomed = False
                GLib.idle_add(self.unplug)
                return
            else:
                self.peer.sendall(urb.written())
                urb.complete(0, actual=urb.size)
            self.waiting.remove(urb)
            self.done.append(urb)

    def answer(self, urb):
        kind, request, value, _, length = struct.unpack("<BBHHH", urb.written()[:SETUP_BYTES])
        if (kind, request, value >> 8) != GET_STRING or value & 0xFF >= len(self.facts["strings"]):
            urb.complete(-errno.EPIPE)
            return
        text = self.facts["strings"][value & 0xFF]
        body = text.encode("utf-16-le") if value & 0xFF else struct.pack("<H", 0x0409)
        urb.complete(0, (bytes((2 + len(body), 3)) + body)[:length], SETUP_BYTES)


def main():
    bus = Bus(json.loads(sys.argv[1]))
    loop = GLib.MainLoop()

    def obey(*_):
        line = sys.stdin.readline().strip()
        if not line:
            loop.quit()
            return False
        getattr(bus, line)()
        print("done", flush=True)
        return True

    GLib.io_add_watch(0, GLib.PRIORITY_DEFAULT, GLib.IO_IN | GLib.IO_HUP, obey)
    print(bus.testbed.get_root_dir(), flush=True)
    loop.run()


main()
