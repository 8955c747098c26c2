"""The reader of image stores, on days that PyPI's own lmdb and lz4 wrote as the format says.

    python python/tests/test_reader.py [images.json]        the vectors' `vivit` cases too, if they are named
"""
import json
import multiprocessing
import os
import pathlib
import pickle
import sys
import tempfile
import types
import unittest

import lmdb
import lz4.frame
import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
VECTORS = sys.argv.pop() if len(sys.argv) > 1 and sys.argv[-1].endswith(".json") else None


def image(seed):
    return np.random.default_rng(seed).random((15, 8, 8), np.float32)


def write_day(path, images, meta=None):
    path = pathlib.Path(path)
    path.mkdir()
    with lmdb.open(str(path), map_size=1 << 20) as env, env.begin(write=True) as txn:
        for code, value in images.items():
            content = value if isinstance(value, bytes) else lz4.frame.compress(value.astype("<f4").tobytes())
            txn.put(code.encode(), content)
    if meta:
        sibling = path.with_name(path.name.replace(".lmdb", ".meta.lmdb"))
        sibling.mkdir()
        with lmdb.open(str(sibling), map_size=1 << 20, max_dbs=4) as env:
            for name, rows in meta.items():
                with env.begin(write=True, db=env.open_db(name.encode())) as txn:
                    for code, row in rows.items():
                        txn.put(code.encode(), json.dumps(row).encode())


class Case(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.dir = pathlib.Path(folder.name)


class Days(Case):
    def setUp(self):
        super().setUp()
        from lobstream_images import DayImages
        meta = {"stock": {"000001.SZ": {"status": "ok"}}, "cuts": {"000001.SZ": {"threshold": 5.0}}}
        write_day(self.dir / "20250102.lmdb", {"600519.SH": image(2), "000001.SZ": image(1)}, meta)
        self.day = DayImages(self.dir / "20250102.lmdb")

    def test_keys_ascend_and_images_are_the_stored_bits(self):
        self.assertEqual(self.day.keys(), ["000001.SZ", "600519.SH"])
        self.assertEqual(len(self.day), 2)
        np.testing.assert_array_equal(self.day.get("600519.SH"), image(2))
        self.assertEqual([code for code, _ in self.day.items()], self.day.keys())

    def test_an_absent_stock_is_none(self):
        self.assertIsNone(self.day.get("600000.SH"))
        self.assertNotIn("600000.SH", self.day)

    def test_an_image_owns_its_memory(self):
        x = self.day.get("600519.SH")
        x[0, 0, 0] = 9
        self.day.close()
        np.testing.assert_array_equal(self.day.get("600519.SH"), image(2))

    def test_meta_comes_from_the_sibling(self):
        self.assertEqual(self.day.meta("000001.SZ"), {"status": "ok", "cuts": {"threshold": 5.0}})
        self.assertIsNone(self.day.meta("600519.SH"))
        from lobstream_images import DayImages
        write_day(self.dir / "20250103.lmdb", {})
        self.assertIsNone(DayImages(self.dir / "20250103.lmdb").meta("000001.SZ"))

    def test_damage_is_named(self):
        from lobstream_images import CorruptImage, DayImages
        short = lz4.frame.compress(b"\0" * 3836)
        write_day(self.dir / "20250104.lmdb", {"600519.SH": short, "000001.SZ": b"no frame"})
        day = DayImages(self.dir / "20250104.lmdb")
        with self.assertRaisesRegex(CorruptImage, "600519.SH has 3836 bytes"):
            day.get("600519.SH")
        with self.assertRaisesRegex(CorruptImage, "000001.SZ is no LZ4 frame"):
            day.get("000001.SZ")

    def test_a_folder_that_is_no_day_is_refused_and_not_made_one(self):
        from lobstream_images import DayImages
        with self.assertRaises(FileNotFoundError):
            DayImages(self.dir / "20250105.lmdb")
        self.assertFalse((self.dir / "20250105.lmdb").exists())

    def test_another_process_opens_its_own(self):
        self.day.get("600519.SH")
        child = pickle.loads(pickle.dumps(self.day))
        np.testing.assert_array_equal(child.get("600519.SH"), image(2))
        with multiprocessing.get_context("fork").Pool(2) as pool:
            for x in pool.map(self.day.get, ["600519.SH"] * 4):
                np.testing.assert_array_equal(x, image(2))


class Singles(Case):
    def setUp(self):
        super().setUp()
        write_day(self.dir / "20250102.lmdb", {"600519.SH": image(2), "000001.SZ": image(1)})

    def vit(self, **options):
        from lobstream_images import ViT
        return ViT(self.dir / "20250102.lmdb", **options)

    def test_every_stock_with_its_code(self):
        items = [self.vit()[i] for i in range(2)]
        self.assertEqual([code for _, code in items], ["000001.SZ", "600519.SH"])
        np.testing.assert_array_equal(np.asarray(items[1][0]), image(2))

    def test_listed_stocks_say_whether_they_are_there(self):
        data = self.vit(codes=["600519.SH", "600000.SH"], labels={"600519.SH": 3, "600000.SH": 4})
        self.assertEqual([(float(valid), y) for _, valid, y in (data[0], data[1])], [(1.0, 3), (0.0, 4)])
        self.assertFalse(np.asarray(data[1][0]).any())

    def test_zero_and_error(self):
        x, y = self.vit(codes=["600000.SH"], labels={"600000.SH": 4}, missing="zero")[0]
        self.assertEqual((np.asarray(x).shape, y), ((15, 8, 8), 4))
        self.assertEqual(np.asarray(self.vit(codes=["600000.SH"], missing="zero")[0]).shape, (15, 8, 8))
        with self.assertRaisesRegex(KeyError, "600000.SH"):
            self.vit(codes=["600000.SH"], missing="error")[0]
        with self.assertRaisesRegex(ValueError, "missing"):
            self.vit(missing="skip")


class Sequences(Case):
    CALENDAR = ["20250102", "20250103", "20250106", "20250107", "20250108"]

    def setUp(self):
        super().setUp()
        for n, date in enumerate(self.CALENDAR):
            if date != "20250106":  # a day that was never made
                stocks = {"000001.SZ": image(n)} | ({} if date == "20250103" else {"600519.SH": image(10 + n)})
                write_day(self.dir / f"{date}.lmdb", stocks)

    def vivit(self, **options):
        from lobstream_images import ViViT
        return ViViT(self.dir, self.CALENDAR, ["000001.SZ", "600519.SH"], **{"seq_len": 4} | options)

    def test_items_run_over_stocks_then_dates(self):
        data = self.vivit(labels=lambda date, code: (date, code))
        self.assertEqual(len(data), 10)
        self.assertEqual(data[7][2], ("20250107", "600519.SH"))
        self.assertEqual(data[-1][2], ("20250108", "600519.SH"))
        with self.assertRaises(IndexError):
            data[10]

    def test_absent_images_keep_their_slots_and_are_not_in_the_mask(self):
        x, mask = (np.asarray(part) for part in self.vivit()[7])
        self.assertEqual(mask.tolist(), [1, 0, 0, 1])
        np.testing.assert_array_equal(x[0], image(10))
        np.testing.assert_array_equal(x[3], image(13))
        self.assertFalse(x[1:3].any())

    def test_slots_before_the_calendar_are_in_front(self):
        x, mask = (np.asarray(part) for part in self.vivit()[2])
        self.assertEqual(mask.tolist(), [0, 0, 1, 1])
        np.testing.assert_array_equal(x[3], image(1))

    def test_zero_and_error(self):
        self.assertEqual(np.asarray(self.vivit(missing="zero")[0]).shape, (4, 15, 8, 8))
        with self.assertRaisesRegex(KeyError, "600519.SH has no image on 20250103"):
            self.vivit(missing="error")[7]
        with self.assertRaisesRegex(KeyError, "000001.SZ has no image on 20250106"):
            self.vivit(missing="error")[6]
        self.assertEqual(np.asarray(self.vivit(missing="error")[0][1]).tolist(), [0, 0, 0, 1])

    def test_a_calendar_must_ascend(self):
        from lobstream_images import ViViT
        for dates in (["20250103", "20250102"], ["20250102", "20250102"]):
            with self.assertRaisesRegex(ValueError, "ascending"):
                ViViT(self.dir, dates, ["000001.SZ"])

    @unittest.skipUnless(VECTORS, "no vectors were named")
    def test_the_vectors(self):
        from lobstream_images import ViViT
        v = json.loads(pathlib.Path(VECTORS).read_text())["vivit"]
        folder = self.dir / "vectors"
        folder.mkdir()
        for n, date in enumerate(v["calendar"]):
            write_day(folder / f"{date}.lmdb", {"600519.SH": image(n)} if date in v["image_days_of_symbol"] else {})
        data = ViViT(folder, v["calendar"], ["600519.SH"], seq_len=v["seq_len"])
        for case in v["cases"]:
            i = v["calendar"].index(case["target"])
            x, mask = (np.asarray(part) for part in data[i])
            self.assertEqual((data.slots(i), mask.tolist()), (case["dates"], case["mask"]), case["target"])
            for slot, date in enumerate(case["dates"]):
                expected = image(v["calendar"].index(date)) if case["mask"][slot] else np.zeros((15, 8, 8))
                np.testing.assert_array_equal(x[slot], expected)


class Torch(Case):
    """The real package if it is installed, else a stand-in of the three names that the reader uses of it."""

    def test_items_are_tensors_and_classes_are_datasets(self):
        write_day(self.dir / "20250102.lmdb", {"600519.SH": image(2)})
        try:
            import torch
        except ImportError:
            print("SKIPPED: the real PyTorch is not installed; a stand-in of its names is used", file=sys.stderr)
            torch = types.ModuleType("torch")
            torch.from_numpy = lambda array: ("tensor", array)
            torch.tensor = lambda value: ("tensor", value)
            torch.utils = types.ModuleType("torch.utils")
            torch.utils.data = types.ModuleType("torch.utils.data")
            torch.utils.data.Dataset = type("Dataset", (), {})
        names = {"torch": torch, "torch.utils": torch.utils, "torch.utils.data": torch.utils.data}
        before = {name: sys.modules.get(name) for name in [*names, "lobstream_images"]}
        try:
            sys.modules.update(names)
            sys.modules.pop("lobstream_images", None)
            import lobstream_images as reader
            self.assertTrue(issubclass(reader.ViT, torch.utils.data.Dataset))
            x, valid = reader.ViT(self.dir / "20250102.lmdb", codes=["600519.SH"])[0]
            if isinstance(x, tuple):
                self.assertEqual((x[0], valid), ("tensor", ("tensor", 1.0)))
                np.testing.assert_array_equal(x[1], image(2))
            else:
                self.assertEqual((x.dtype, tuple(x.shape), valid.item()), (torch.float32, (15, 8, 8), 1.0))
                loader = torch.utils.data.DataLoader(
                    reader.ViViT(self.dir, ["20250102"] * 1, ["600519.SH"] * 4, seq_len=2), batch_size=2, num_workers=2)
                batches = [(tuple(x.shape), mask.tolist()) for x, mask in loader]
                self.assertEqual(batches, [((2, 2, 15, 8, 8), [[0, 1], [0, 1]])] * 2)
        finally:
            for name, module in before.items():
                sys.modules.pop(name, None)
                if module is not None:
                    sys.modules[name] = module


if __name__ == "__main__":
    os.environ.setdefault("PYTHONDONTWRITEBYTECODE", "1")
    unittest.main(verbosity=1)
