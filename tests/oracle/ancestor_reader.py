#!/usr/bin/env python3
"""Reads a day of images the way programs before this one do, with PyPI's lmdb and lz4 alone.

Such readers know three things only: an environment a day, `600519.SH` as key, an LZ4 frame of 15·8·8 little-endian
float32 as value. They list, count and iterate the unnamed database, so nothing else may be in it. They take a day for
present if there is a folder of eight digits and `.lmdb`.

    ancestor_reader.py OUT           one JSON object per day on standard output; exit 1 if a day cannot be read
"""
import hashlib
import json
import pathlib
import re
import sys

import lmdb
import lz4.frame
import numpy as np


class DayReader:
    """One day, keyed by stock."""

    def __init__(self, path):
        self.env = lmdb.open(str(path), readonly=True, lock=False, readahead=False, meminit=False)

    def read(self, key):
        with self.env.begin() as txn:
            value = txn.get(key.encode())
        return None if value is None else self.decode(value)

    def list_keys(self):
        with self.env.begin() as txn:
            return [key.decode() for key, _ in txn.cursor()]

    def iter_items(self):
        with self.env.begin() as txn:
            for key, value in txn.cursor():
                yield key.decode(), self.decode(value)

    def __len__(self):
        return self.env.stat()["entries"]

    @staticmethod
    def decode(value):
        return np.frombuffer(lz4.frame.decompress(value), dtype=np.float32).reshape(15, 8, 8)


def days(out):
    return sorted(p for p in pathlib.Path(out).iterdir() if re.fullmatch(r"\d{8}\.lmdb", p.name))


def frame_faults(path):
    """Frames that are not 64 KiB blocks, independent, with their content size and no checksums."""
    env = lmdb.open(str(path), readonly=True, lock=False)
    with env.begin() as txn:
        for key, value in txn.cursor():
            info = lz4.frame.get_frame_info(value)
            expected = {"block_size": 65536, "block_linked": False, "content_checksum": False, "block_checksum": False,
                        "content_size": 3840}
            wrong = {name: info[name] for name, want in expected.items() if info[name] != want}
            if wrong or value[4:6] != b"\x68\x40":
                yield f"{key.decode()}: {wrong}, FLG BD {value[4:6].hex()}"
    env.close()


def main():
    for path in days(sys.argv[1]):
        faults = list(frame_faults(path))
        assert not faults, (path, faults[:3])
        reader = DayReader(path)
        keys, digest = reader.list_keys(), hashlib.sha256()
        assert keys == sorted(keys) and len(reader) == len(keys)
        for key, image in reader.iter_items():
            np.testing.assert_array_equal(reader.read(key), image)
            assert image.min() >= 0 and image.max() <= 1, (key, image.min(), image.max())
            digest.update(key.encode() + b"\0" + image.tobytes())
        assert reader.read("999999.SH") is None
        print(json.dumps({"day": path.name[:8], "keys": keys, "day_hash": digest.hexdigest()}))


if __name__ == "__main__":
    main()
