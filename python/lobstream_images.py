"""Reads the A-share Level-2 images that `lobstream images` writes.

A day is an LMDB environment `{YYYYMMDD}.lmdb`. Its unnamed database maps `600519.SH` to an LZ4 frame of 3840 bytes:
float32 little-endian, C order, [channel 15][price bin 8][quantity bin 8]. What is known beside the images is in the
sibling environment `{YYYYMMDD}.meta.lmdb`. Everything is opened for reading, without locks, once per process.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import lmdb
import lz4.frame
import numpy as np

try:
    import torch
    from torch.utils.data import Dataset
except ImportError:  # the Dataset classes then give numpy arrays
    torch = None
    Dataset = object

__all__ = ["CHANNELS", "SHAPE", "CorruptImage", "DayImages", "ViT", "ViViT"]

SHAPE = (15, 8, 8)
N_BYTES = 15 * 8 * 8 * 4
CHANNELS = (
    "all trades", "active-buy trades", "active-sell trades", "big buy", "big sell", "small buy", "small sell",
    "buy orders", "sell orders", "aggressive buy orders", "aggressive sell orders", "passive buy orders",
    "passive sell orders", "cancelled buy", "cancelled sell",
)
MISSING = ("mask", "zero", "error")


class _Environments:
    """What this process has open: LMDB wants an environment open once in a process, so all objects of a day share it.

    None may be open across a fork. So all are closed before one, and a read after it opens what it needs.
    """

    def __init__(self) -> None:
        self.open: dict[tuple[int, int], lmdb.Environment] = {}
        self.lock = threading.RLock()
        if hasattr(os, "register_at_fork"):  # Windows does not fork
            os.register_at_fork(
                before=self._before_fork, after_in_parent=self._after_fork, after_in_child=self._after_fork)

    def read(self, path: Path, name: bytes | None, what: Callable[[lmdb.Transaction], Any]) -> Any:
        """What a reading transaction says; None if there is no database of that name."""
        with self.lock:
            file = os.stat(path / "data.mdb")
            key = (file.st_dev, file.st_ino)
            if key not in self.open:
                self.open[key] = lmdb.open(str(path), readonly=True, lock=False, readahead=False, max_dbs=8)
            env = self.open[key]
            try:
                db = env.open_db(name, create=False) if name else None
            except lmdb.NotFoundError:
                return None
            with env.begin(db=db) as txn:
                return what(txn)

    def close(self, path: Path) -> None:
        with self.lock:
            file = os.stat(path / "data.mdb")
            env = self.open.pop((file.st_dev, file.st_ino), None)
            if env is not None:
                env.close()

    def _before_fork(self) -> None:
        self.lock.acquire()
        while self.open:
            self.open.popitem()[1].close()

    def _after_fork(self) -> None:
        self.lock.release()


_environments = _Environments()


class CorruptImage(ValueError):
    """A stored value is not an LZ4 frame of 3840 bytes."""


class DayImages:
    """The images of one day.

    Arrays that it gives own their memory and may be written to. An object may be sent to other processes, and processes
    may fork: each of them opens the file for itself, on its first read.
    """

    def __init__(self, path: str | os.PathLike[str]):
        self.path = Path(path)
        if not (self.path / "data.mdb").is_file():
            raise FileNotFoundError(f"{self.path} is no day of images: it has no data.mdb; make it with lobstream images")

    def get(self, code: str) -> np.ndarray | None:
        """The image of a stock, float32 [15, 8, 8]; None if the day has none."""
        value = self._read(lambda txn: txn.get(code.encode()))
        return None if value is None else self._decode(code, value)

    def keys(self) -> list[str]:
        """The stocks of the day, ascending."""
        return self._read(lambda txn: [key.decode() for key in txn.cursor().iternext(keys=True, values=False)])

    def items(self) -> Iterator[tuple[str, np.ndarray]]:
        """All stocks with their images, ascending."""
        for code in self.keys():
            yield code, self.get(code)

    def meta(self, code: str) -> dict[str, Any] | None:
        """What was counted on the way to the image, its cuts under "cuts"; None if that was not kept."""
        path = self.path.with_name(self.path.name.removesuffix(".lmdb") + ".meta.lmdb")
        if not (path / "data.mdb").is_file():
            return None
        stock, cuts = (
            _environments.read(path, name, lambda txn: txn.get(code.encode())) for name in (b"stock", b"cuts")
        )
        return None if stock is None else json.loads(stock) | {"cuts": json.loads(cuts) if cuts else None}

    def __len__(self) -> int:
        return self._read(lambda txn: txn.stat()["entries"])

    def __contains__(self, code: str) -> bool:
        return self._read(lambda txn: txn.get(code.encode())) is not None

    def __iter__(self) -> Iterator[str]:
        return iter(self.keys())

    def close(self) -> None:
        """Closes the day's file in this process; a later read opens it again."""
        _environments.close(self.path)

    def _read(self, what: Callable[[lmdb.Transaction], Any]) -> Any:
        return _environments.read(self.path, None, what)

    def _decode(self, code: str, value: Any) -> np.ndarray:
        try:
            content = lz4.frame.decompress(value)
        except RuntimeError as error:
            raise CorruptImage(f"{self.path}: {code} is no LZ4 frame ({error}); make the day again") from error
        if len(content) != N_BYTES:
            raise CorruptImage(f"{self.path}: {code} has {len(content)} bytes, not {N_BYTES}; make the day again")
        return np.frombuffer(content, "<f4").astype(np.float32).reshape(SHAPE)


def _label(labels: Any, *keys: Any) -> Any:
    """The label of an item: from a function, or from a mapping by its keys (one of them, or a tuple)."""
    if callable(labels):
        return labels(*keys)
    return labels[keys[0] if len(keys) == 1 else keys]


def _out(array: np.ndarray) -> Any:
    return array if torch is None else torch.from_numpy(array)


def _flag(value: bool) -> Any:
    return np.float32(value) if torch is None else torch.tensor(float(value))


def _checked(missing: str) -> str:
    if missing not in MISSING:
        raise ValueError(f"missing={missing!r}: it is one of {', '.join(MISSING)}")
    return missing


class ViT(Dataset):
    """Single images of one day, for an image transformer.

    codes    None: every stock of the day, items (x, code). A list: those, in its order, items (x, valid).
    labels   a mapping from code to label, or a function of it: items end with the label
    missing  "mask": an absent image is zeros and valid 0. "zero": zeros, items (x). "error": KeyError
    """

    def __init__(self, path: str | os.PathLike[str], codes: Sequence[str] | None = None,
                 labels: Mapping[str, Any] | None = None, missing: str = "mask"):
        self.day = DayImages(path)
        self.missing = _checked(missing)
        self.every = codes is None
        self.codes = self.day.keys() if codes is None else list(codes)
        self.labels = labels

    def __len__(self) -> int:
        return len(self.codes)

    def __getitem__(self, i: int) -> Any:
        code = self.codes[i]
        image = self.day.get(code)
        if image is None and self.missing == "error":
            raise KeyError(f"{code} has no image in {self.day.path}")
        item: list[Any] = [_out(np.zeros(SHAPE, np.float32) if image is None else image)]
        if self.every:
            item.append(code)
        elif self.missing != "zero":
            item.append(_flag(image is not None))
        if self.labels is not None:
            item.append(_label(self.labels, code))
        return item[0] if len(item) == 1 else tuple(item)


class ViViT(Dataset):
    """Sequences of images, for a video transformer.

    Item i is stock codes[i % len(codes)] at date dates[i // len(codes)]: the last `seq_len` of `dates` up to and
    including that one, oldest first. Slots before the first date are zeros in front; a day without an image of the
    stock keeps its slot, as zeros; the mask is 1 only where an image was read.

    dir      folder of the days, {dir}/{YYYYMMDD}.lmdb
    dates    the trading calendar, strictly ascending
    labels   a mapping from (date, code) to label, or a function of both: items end with the label
    missing  "mask": items (x, mask). "zero": items (x). "error": KeyError if a listed date has no image
    """

    def __init__(self, dir: str | os.PathLike[str], dates: Sequence[str], codes: Sequence[str], seq_len: int = 20,
                 labels: Mapping[tuple[str, str], Any] | None = None, missing: str = "mask"):
        self.dates = [str(date) for date in dates]
        if any(a >= b for a, b in zip(self.dates, self.dates[1:])):
            raise ValueError("dates must be strictly ascending")
        if seq_len < 1:
            raise ValueError(f"seq_len={seq_len}: it is at least 1")
        self.dir, self.codes, self.seq_len = Path(dir), list(codes), seq_len
        self.labels, self.missing = labels, _checked(missing)
        self._days: dict[str, DayImages | None] = {}

    def __len__(self) -> int:
        return len(self.dates) * len(self.codes)

    def slots(self, i: int) -> list[str | None]:
        """The dates of item i's sequence, oldest first; None before the calendar begins."""
        at = range(len(self))[i] // len(self.codes)
        return [self.dates[k] if k >= 0 else None for k in range(at - self.seq_len + 1, at + 1)]

    def __getitem__(self, i: int) -> Any:
        i = range(len(self))[i]
        date, code = self.dates[i // len(self.codes)], self.codes[i % len(self.codes)]
        x, mask = np.zeros((self.seq_len, *SHAPE), np.float32), np.zeros(self.seq_len, np.float32)
        for slot, day in enumerate(self.slots(i)):
            image = None if day is None else self._image(day, code)
            if image is not None:
                x[slot], mask[slot] = image, 1
            elif day is not None and self.missing == "error":
                raise KeyError(f"{code} has no image on {day} in {self.dir}")
        item: list[Any] = [_out(x)]
        if self.missing != "zero":
            item.append(_out(mask))
        if self.labels is not None:
            item.append(_label(self.labels, date, code))
        return item[0] if len(item) == 1 else tuple(item)

    def _image(self, date: str, code: str) -> np.ndarray | None:
        if date not in self._days:
            path = self.dir / f"{date}.lmdb"
            self._days[date] = DayImages(path) if (path / "data.mdb").is_file() else None
        day = self._days[date]
        return None if day is None else day.get(code)
