"""Where keys are kept: what is read back, what is refused in which words, and that no message holds a key."""

from __future__ import annotations

import os
import stat
import threading
import tomllib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from driver import KeyFile, KeyringStore, KeysInMemory, KeyStoreError
from protocol import KEY_BYTES

KEY, OLD = bytes(range(16)), bytes(range(16, 32))
posix = pytest.mark.skipif(os.name == "nt", reason="Windows has no such modes")

serial_numbers = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=24)
some_keys = st.lists(st.binary(min_size=KEY_BYTES, max_size=KEY_BYTES), min_size=1, max_size=2)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "keys.toml"


@pytest.fixture
def written(path):
    """Writes a file of keys by hand."""

    def write(text, mode=0o600):
        path.write_text(text, encoding="utf-8")
        path.chmod(mode)
        return KeyFile(path)

    return write


@pytest.fixture
def ring(monkeypatch):
    """The package keyring with a ring in memory; a test may lock it."""
    keyring = pytest.importorskip("keyring", reason="keyring is not installed")
    from keyring.backend import KeyringBackend

    class Ring(KeyringBackend):
        priority = 1
        entries: dict = {}  # noqa: RUF012
        locked = False

        def _check(self):
            if self.locked:
                raise keyring.errors.KeyringLocked("the collection is locked")

        def get_password(self, service, username):
            self._check()
            return self.entries.get((service, username))

        def set_password(self, service, username, password):
            self._check()
            self.entries[service, username] = password

        def delete_password(self, service, username):
            self._check()
            del self.entries[service, username]

    ring = Ring()
    ring.entries = {}
    before = keyring.get_keyring()
    keyring.set_keyring(ring)
    yield ring
    keyring.set_keyring(before)


@pytest.fixture(params=["file", "memory", "key ring"])
def store(request, path):
    if request.param == "key ring":
        request.getfixturevalue("ring")
        return KeyringStore()
    return KeyFile(path) if request.param == "file" else KeysInMemory()


def test_what_was_kept_is_found_again_newest_first_and_forgotten_when_none_is_kept(store):
    assert store.keys("P-1") == ()
    assert store.serial_numbers() == ()
    store.replace("P-1", [OLD])
    store.replace("P-2", [KEY])
    store.replace("P-1", [KEY, OLD])
    assert store.keys("P-1") == (KEY, OLD)
    assert store.serial_numbers() == ("P-1", "P-2")
    store.replace("P-1", [])
    store.replace("P-1", [])
    assert store.keys("P-1") == ()
    assert (store.serial_numbers(), store.keys("P-2")) == (("P-2",), (KEY,))


def test_no_store_shows_a_key_when_it_is_printed(store):
    store.replace("P-1", [KEY])
    assert KEY.hex() not in f"{store!r} {store} {store.name}"
    assert repr(KEY) not in repr(store)


@settings(max_examples=20)
@given(kept=st.dictionaries(serial_numbers, some_keys, max_size=5))
def test_any_serial_number_survives_the_file(tmp_path_factory, kept):
    store = KeyFile(tmp_path_factory.mktemp("keys") / "keys.toml")
    for serial_number, keys in kept.items():
        store.replace(serial_number, keys)
    assert {number: store.keys(number) for number in store.serial_numbers()} == {
        number: tuple(keys) for number, keys in kept.items()
    }


def test_the_file_is_toml_of_serial_numbers_and_hex_digits(path):
    KeyFile(path).replace("P-1", [KEY])
    KeyFile(path).replace("P-2", [KEY, OLD])
    assert tomllib.loads(path.read_text()) == {"P-1": KEY.hex(), "P-2": [KEY.hex(), OLD.hex()]}


@posix
def test_the_file_is_never_open_to_others_not_even_while_it_is_written(path, monkeypatch):
    seen = []
    really = os.fsync
    monkeypatch.setattr(os, "fsync", lambda descriptor: (seen.append(os.fstat(descriptor).st_mode), really(descriptor)))
    umask = os.umask(0)
    try:
        KeyFile(path).replace("P-1", [KEY])
    finally:
        os.umask(umask)
    assert [stat.S_IMODE(mode) for mode in seen if stat.S_ISREG(mode)] == [0o600]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@posix
@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o620, 0o602, 0o700, 0o666])
def test_a_file_that_others_may_touch_is_refused_with_the_command_that_mends_it(written, path, mode):
    store = written(f'"P-1" = "{KEY.hex()}"\n', mode)
    for use in (lambda: store.keys("P-1"), store.serial_numbers, lambda: store.replace("P-1", [OLD])):
        with pytest.raises(KeyStoreError) as caught:
            use()
        assert str(caught.value) == (
            f"{path}: others may read or change these keys (mode {mode:03o}); if nobody has, run: chmod 600 {path}"
        )
    assert KEY.hex() in path.read_text()


@posix
def test_the_mode_is_that_of_the_file_that_is_read_not_of_one_that_had_its_name(written, path, monkeypatch):
    """Between a look at the name and the opening somebody may put another file in its place."""
    store = written(f'"P-1" = "{KEY.hex()}"\n')
    swapped = path.with_name("another")
    swapped.write_text(f'"P-1" = "{OLD.hex()}"\n')
    swapped.chmod(0o644)
    monkeypatch.setattr(type(path), "stat", lambda _, **__: pytest.fail("the name was looked at, not the file"))
    monkeypatch.setattr(os, "stat", lambda *_, **__: pytest.fail("the name was looked at, not the file"))
    swapped.replace(path)
    with pytest.raises(KeyStoreError, match="mode 644"):
        store.keys("P-1")


@posix
def test_a_file_behind_a_link_is_written_where_it_is(written, path, tmp_path):
    store = written(f'"P-1" = "{KEY.hex()}"\n')
    link = tmp_path / "link.toml"
    link.symlink_to(path)
    KeyFile(link).replace("P-2", [OLD])
    assert link.is_symlink()
    assert store.serial_numbers() == ("P-1", "P-2")


@posix
def test_who_pairs_by_a_link_and_who_pairs_by_the_file_wait_for_each_other(written, path, tmp_path, monkeypatch):
    """Else the key of one pump is lost, which then takes orders from nobody."""
    written("")
    link = tmp_path / "elsewhere" / "link.toml"
    link.parent.mkdir()
    link.symlink_to(path)
    store, another = KeyFile(path), threading.Thread(target=KeyFile(link).replace, args=("P-2", [OLD]))
    read = store._table

    def read_slowly():
        table = read()
        another.start()
        another.join(0.3)
        return table

    monkeypatch.setattr(store, "_table", read_slowly)
    store.replace("P-1", [KEY])
    another.join(10.0)
    assert KeyFile(path).serial_numbers() == ("P-1", "P-2")


@pytest.mark.parametrize(
    "entry",
    ['"0123"', f'"{KEY.hex()}00"', f'"{"zz" * 16}"', f'"{"0 " * 16}"', "5", "[]", f'["{KEY.hex()}", 5]', "{}",
     f'["{KEY.hex()}", "{KEY.hex()}", "{KEY.hex()}"]', f'"{"٣" * 32}"'],
)  # fmt: skip
def test_an_entry_that_is_no_key_is_named_by_file_and_pump_and_not_shown(written, path, entry):
    with pytest.raises(KeyStoreError) as caught:
        written(f'"P-1" = {entry}\n').keys("P-1")
    assert str(caught.value).startswith(f"{path}: the entry of pump P-1 is no key; it must be")
    assert entry.strip('"') not in str(caught.value).removeprefix(str(path))


def test_one_bad_entry_does_not_keep_the_others_from_being_used_and_is_not_lost_in_silence(written):
    store = written(f'"P-1" = "no key"\n"P-2" = "{KEY.hex()}"\n')
    assert store.keys("P-2") == (KEY,)
    with pytest.raises(KeyStoreError, match="the entry of pump P-1 is no key"):
        store.replace("P-2", [OLD])
    assert store.keys("P-2") == (KEY,)


@pytest.mark.parametrize("content", [b"not toml", b"\xff\xfe", b'"P-1" = "00'])
def test_what_is_no_toml_is_said_without_what_it_holds(path, content):
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(KeyStoreError, match="this is no TOML; a file of keys has a line") as caught:
        KeyFile(path).keys("P-1")
    assert caught.value.__cause__ is None


def test_a_place_that_cannot_be_used_is_named(path):
    path.mkdir()
    with pytest.raises(KeyStoreError, match="the keys cannot be read"):
        KeyFile(path).keys("P-1")
    (path / "file").write_text("")
    with pytest.raises(KeyStoreError, match="the keys cannot be written"):
        KeyFile(path / "file" / "keys.toml").replace("P-1", [KEY])


def test_two_who_pair_at_the_same_time_lose_no_key(path):
    numbers = [f"P-{number}" for number in range(12)]
    threads = [threading.Thread(target=KeyFile(path).replace, args=(number, [KEY])) for number in numbers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert KeyFile(path).serial_numbers() == tuple(sorted(numbers))


def test_the_users_own_file_lies_in_the_folder_for_settings(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("APPDATA", str(tmp_path))
    assert KeyFile.in_default_directory().path == tmp_path / "thecabench" / "keys.toml"


def test_a_key_ring_that_is_locked_is_named(ring):
    ring.locked = True
    with pytest.raises(KeyStoreError, match=r"key ring: it cannot be used \(the collection is locked\); use"):
        KeyringStore().keys("P-1")


@pytest.mark.parametrize("entry", ["", "00", f"{KEY.hex()} {KEY.hex()} {KEY.hex()}", f"{KEY.hex()} x"])
def test_a_damaged_entry_of_a_key_ring_is_named_and_not_shown(ring, entry):
    ring.entries["thecabench", "key of P-1"] = entry
    with pytest.raises(
        KeyStoreError, match=r"of pump P-1 is no key; remove 'key of P-1' of thecabench there, then"
    ) as caught:
        KeyringStore().keys("P-1")
    assert KEY.hex() not in str(caught.value)


@pytest.mark.parametrize("entry", ["not json", "5"])
def test_a_damaged_list_of_a_key_ring_is_named(ring, entry):
    ring.entries["thecabench", "paired pumps"] = entry
    with pytest.raises(KeyStoreError, match="the entry 'paired pumps' of thecabench is damaged"):
        KeyringStore().serial_numbers()


def test_a_key_ring_that_forgets_what_it_is_given_is_refused_before_any_pump_has_the_key(ring, monkeypatch):
    """As the one of keyring's own that stands for none."""
    monkeypatch.setattr(ring, "set_password", lambda *_: None)
    with pytest.raises(KeyStoreError, match="it does not keep what it is given; use a file of keys instead"):
        KeyringStore().replace("P-1", [KEY])


def test_without_the_package_the_key_ring_says_what_to_install(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "keyring", None)
    with pytest.raises(KeyStoreError, match=r"install thecabench\[keyring\], or use a file of keys"):
        KeyringStore().keys("P-1")
