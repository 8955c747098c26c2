//! The images of a day on disk: one LMDB environment that anybody's reader opens, and its sibling with what is known
//! about them.
//!
//! ```text
//! {out}/20230711.lmdb/data.mdb        unnamed database: "600519.SH" → LZ4 frame of 3840 bytes, and nothing else
//! {out}/20230711.meta.lmdb/data.mdb   named databases run, stock, cuts (JSON), counts (LZ4 frame of 960 u32)
//! {out}/20230711.building/ …          while it is made; renamed when complete, the sibling first
//! ```
//! The sibling is an environment of its own because a named database would put its own record among the images.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use lobstream_market::images::{Counts, IMAGE_BYTES, Image};
use lobstream_streams::error::StoreError;
use lobstream_streams::lmdb::{Db, Durability, Env, EnvOptions, Layout, Unnamed};
use lobstream_streams::lz4;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

use super::meta::{CutsRow, RunRow, StockRow};
use super::paths::DayPaths;
use super::stock::{Finished, count_bytes, counts_of, image_hash};
use crate::error::{Error, ResultsError};

/// Address space to begin with; doubled when it is full.
const MAP_BYTES: usize = 100 << 20;
/// The one key of the database `run`.
const RUN: &[u8] = b"run";

fn options() -> EnvOptions {
    EnvOptions { map_size: MAP_BYTES, max_dbs: 4, durability: Durability::Sync, layout: Layout::Standard }
}

/// A day that is being made.
pub(crate) struct DayWriter {
    paths: DayPaths,
    images: Arc<Env>,
    image: Db,
    meta: Arc<Env>,
    run: Db,
    stock: Db,
    cuts: Db,
    counts: Option<Db>,
}

impl DayWriter {
    /// Opens what was begun, or begins.
    ///
    /// # Errors
    /// The store.
    pub(crate) fn open(paths: &DayPaths, keep_counts: bool) -> Result<DayWriter, Error> {
        // The sibling first: images alone would look like a day whose second rename is missing.
        let meta = Env::open(&paths.meta_building(), &options())?;
        let images = Env::open(&paths.building(), &options())?;
        Ok(DayWriter {
            paths: paths.clone(),
            image: images.unnamed(Unnamed::Make)?,
            images,
            run: meta.database("run")?,
            stock: meta.database("stock")?,
            cuts: meta.database("cuts")?,
            counts: keep_counts.then(|| meta.database("counts")).transpose()?,
            meta,
        })
    }

    /// The run that began it.
    ///
    /// # Errors
    /// The store.
    pub(crate) fn run(&self) -> Result<Option<RunRow>, Error> {
        read_json(&self.meta, self.run, RUN)
    }

    /// Says which run makes it.
    ///
    /// # Errors
    /// The store.
    pub(crate) fn put_run(&self, run: &RunRow) -> Result<(), Error> {
        let row = json(run);
        self.meta.write(|txn| txn.put(self.run, RUN, &row)).map_err(|e: StoreError| e.into())
    }

    /// The stocks that are stored whole: their row is there, and their image is the one it tells of.
    ///
    /// # Errors
    /// The store.
    pub(crate) fn known(&self) -> Result<BTreeMap<String, StockRow>, Error> {
        whole_stocks(&self.meta, self.stock, &self.images, self.image)
    }

    /// Stores stocks: their images, then what is known about them, each in one transaction.
    ///
    /// # Errors
    /// The disk is full.
    pub(crate) fn commit(&self, batch: &[Finished]) -> Result<(), Error> {
        let mut frames = Vec::with_capacity(batch.len());
        for finished in batch {
            let frame = finished.image.as_ref().map(|image| frame(&image.bytes)).transpose()?;
            frames.push((finished.code.to_string(), frame));
        }
        self.images
            .write(|txn| {
                frames
                    .iter()
                    .filter_map(|(key, frame)| Some((key, frame.as_ref()?)))
                    .try_for_each(|(key, frame)| txn.put(self.image, key.as_bytes(), frame))
            })
            .map_err(|e: StoreError| Error::from(e))?;
        let mut rows = Vec::new();
        for finished in batch {
            let key = finished.code.to_string();
            if let Some(image) = &finished.image {
                rows.push((self.cuts, key.clone(), json(&image.cuts)));
                if let Some(counts) = self.counts {
                    rows.push((counts, key.clone(), frame(&count_bytes(&image.counts))?));
                }
            }
            rows.push((self.stock, key, json(&finished.stock)));
        }
        self.meta
            .write(|txn| rows.iter().try_for_each(|(db, key, row)| txn.put(*db, key.as_bytes(), row)))
            .map_err(|e: StoreError| e.into())
    }

    /// Takes over what another day stores of these stocks, byte for byte.
    ///
    /// # Errors
    /// The other store cannot be read; the disk is full.
    pub(super) fn copy<'k>(
        &self,
        images: &DayImages,
        meta: &DayMeta,
        keys: impl Iterator<Item = &'k String>,
    ) -> Result<(), Error> {
        let (mut frames, mut rows) = (Vec::new(), Vec::new());
        for key in keys {
            frames.extend(images.frame(key)?.map(|frame| (key, frame)));
            let dbs = [("stock", Some(self.stock)), ("cuts", Some(self.cuts)), ("counts", self.counts)];
            for (name, db) in dbs {
                rows.extend(meta.bytes(name, key.as_bytes())?.zip(db).map(|(row, db)| (db, key, row)));
            }
        }
        self.images
            .write(|txn| {
                frames.iter().try_for_each(|(key, frame)| txn.put(self.image, key.as_bytes(), frame))
            })
            .map_err(|e: StoreError| Error::from(e))?;
        self.meta
            .write(|txn| rows.iter().try_for_each(|(db, key, row)| txn.put(*db, key.as_bytes(), row)))
            .map_err(|e: StoreError| e.into())
    }

    /// SHA-256 over all images, see [`RunRow::day_hash`].
    ///
    /// # Errors
    /// The store; an image that is not one.
    pub(crate) fn day_hash(&self) -> Result<String, Error> {
        day_hash(&self.images, self.image)
    }

    /// Closes the day and puts it in its place.
    ///
    /// # Errors
    /// The file system.
    pub(crate) fn publish(self) -> Result<(), Error> {
        let DayWriter { paths, images, meta, .. } = self;
        drop((images, meta));
        // Nobody writes it any more, and readers do not lock.
        for dir in [paths.building(), paths.meta_building()] {
            drop(fs::remove_file(dir.join("lock.mdb")));
        }
        paths.publish()
    }
}

/// The images of a finished day.
///
/// ```no_run
/// # fn main() -> Result<(), lobstream::error::Error> {
/// let day = lobstream::images::DayImages::open("images/20230711.lmdb".as_ref())?;
/// if let Some(image) = day.get("600519.SH")? {
///     println!("{:?}", image.channel(lobstream_market::images::Channel::Trades));
/// }
/// # Ok(())
/// # }
/// ```
pub struct DayImages {
    env: Arc<Env>,
    db: Db,
}

impl DayImages {
    /// Opens a directory of images, ours or anybody's of this form. It is only read.
    ///
    /// # Errors
    /// There is none.
    pub fn open(path: &Path) -> Result<DayImages, Error> {
        if !path.join("data.mdb").is_file() {
            let what = format!("there are no images in {}: make them with lobstream images", path.display());
            return Err(Error::Missing { what });
        }
        let env = Env::open_finished(path, &options())?;
        let db = env.unnamed(Unnamed::Find)?;
        Ok(DayImages { env, db })
    }

    /// The image of a stock, such as `600519.SH`; `None` if it has none.
    ///
    /// # Errors
    /// What is stored is no image.
    pub fn get(&self, key: &str) -> Result<Option<Image>, Error> {
        self.frame(key)?.map(|frame| image_of(self.env.dir(), key, &frame)).transpose()
    }

    /// What is stored of a stock.
    pub(super) fn frame(&self, key: &str) -> Result<Option<Vec<u8>>, Error> {
        let frame =
            self.env.read(|view| Ok::<_, StoreError>(view.get(self.db, key.as_bytes())?.map(<[u8]>::to_vec)));
        Ok(frame?)
    }

    /// All stocks that have one, in order.
    ///
    /// # Errors
    /// The store.
    pub fn keys(&self) -> Result<Vec<String>, Error> {
        let keys = self.env.read(|view| {
            let entries = view.from(self.db, b"")?;
            entries.map(|e| e.map(|(key, _)| String::from_utf8_lossy(key).into_owned())).collect()
        });
        keys.map_err(|e: StoreError| e.into())
    }

    /// All images in key order; each is read when it is asked for.
    ///
    /// # Errors
    /// The store.
    pub fn iter(&self) -> Result<impl Iterator<Item = Result<(String, Image), Error>> + '_, Error> {
        let read = |key: String| {
            let image = self.get(&key)?;
            Ok(image.map(|image| (key, image)))
        };
        Ok(self.keys()?.into_iter().filter_map(move |key| read(key).transpose()))
    }

    /// SHA-256 over all images, see [`RunRow::day_hash`].
    ///
    /// # Errors
    /// What is stored is no image.
    pub fn day_hash(&self) -> Result<String, Error> {
        day_hash(&self.env, self.db)
    }
}

/// What is known about the images of a finished day.
pub struct DayMeta {
    env: Arc<Env>,
}

impl DayMeta {
    /// Opens the sibling of a directory of images.
    ///
    /// # Errors
    /// There is none.
    pub fn open(path: &Path) -> Result<DayMeta, Error> {
        if !path.join("data.mdb").is_file() {
            let what = format!(
                "there is no {}: these images were not made by lobstream images, nothing is known about them",
                path.display()
            );
            return Err(Error::Missing { what });
        }
        Ok(DayMeta { env: Env::open_finished(path, &options())? })
    }

    /// The run that made the day.
    ///
    /// # Errors
    /// The store, here and below.
    pub fn run(&self) -> Result<Option<RunRow>, Error> {
        self.json("run", RUN)
    }

    /// What is known about a stock.
    pub fn stock(&self, key: &str) -> Result<Option<StockRow>, Error> {
        self.json("stock", key.as_bytes())
    }

    /// All stocks, in order, those without an image too.
    pub fn stocks(&self) -> Result<BTreeMap<String, StockRow>, Error> {
        match self.env.find("stock")? {
            Some(db) => read_all(&self.env, db),
            None => Ok(BTreeMap::new()),
        }
    }

    /// The cuts of a stock.
    pub fn cuts(&self, key: &str) -> Result<Option<CutsRow>, Error> {
        self.json("cuts", key.as_bytes())
    }

    /// The counts of a stock, if they were kept.
    pub fn counts(&self, key: &str) -> Result<Option<Counts>, Error> {
        let Some(frame) = self.bytes("counts", key.as_bytes())? else { return Ok(None) };
        let bytes = lz4::content(&frame, IMAGE_BYTES).map_err(|e| corrupt(self.env.dir(), key, &e))?;
        counts_of(&bytes).map(Some).ok_or_else(|| corrupt(self.env.dir(), key, &"the counts are cut"))
    }

    /// Were counts kept?
    pub(super) fn has_counts(&self) -> Result<bool, Error> {
        Ok(self.env.find("counts")?.is_some())
    }

    /// What a database holds under a key.
    pub(super) fn bytes(&self, name: &str, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        let Some(db) = self.env.find(name)? else { return Ok(None) };
        let row = self.env.read(|view| Ok::<_, StoreError>(view.get(db, key)?.map(<[u8]>::to_vec)));
        Ok(row?)
    }

    fn json<T: DeserializeOwned>(&self, name: &str, key: &[u8]) -> Result<Option<T>, Error> {
        match self.env.find(name)? {
            Some(db) => read_json(&self.env, db, key),
            None => Ok(None),
        }
    }
}

/// The stocks of a finished day if every one of them is stored whole; `None` if the day is damaged.
pub(crate) fn finished_stocks(paths: &DayPaths) -> Result<BTreeMap<String, StockRow>, Error> {
    let (images, meta) = (DayImages::open(&paths.images())?, DayMeta::open(&paths.meta())?);
    match meta.env.find("stock")? {
        Some(stock) => whole_stocks(&meta.env, stock, &images.env, images.db),
        None => Ok(BTreeMap::new()),
    }
}

fn whole_stocks(meta: &Env, stock: Db, images: &Env, image: Db) -> Result<BTreeMap<String, StockRow>, Error> {
    let mut rows: BTreeMap<String, StockRow> = read_all(meta, stock)?;
    let mut hashes = BTreeMap::new();
    images.read(|view| {
        hashes.clear();
        for entry in view.from(image, b"")? {
            let (key, frame) = entry?;
            let hash = lz4::content(frame, IMAGE_BYTES).ok().map(|bytes| image_hash(&bytes));
            hashes.insert(String::from_utf8_lossy(key).into_owned(), hash);
        }
        Ok::<_, StoreError>(())
    })?;
    rows.retain(|key, row| row.hash.is_none() || hashes.get(key).is_some_and(|hash| *hash == row.hash));
    Ok(rows)
}

fn day_hash(env: &Env, db: Db) -> Result<String, Error> {
    let sha = env.read(|view| {
        let mut sha = Sha256::new();
        for entry in view.from(db, b"")? {
            let (key, frame) = entry?;
            let image = lz4::content(frame, IMAGE_BYTES).map_err(|e| corrupt(env.dir(), &lossy(key), &e))?;
            sha.update(key);
            sha.update([0]);
            sha.update(&image);
        }
        Ok::<_, Error>(sha.finalize())
    })?;
    Ok(sha.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn image_of(dir: &Path, key: &str, frame: &[u8]) -> Result<Image, Error> {
    let bytes = lz4::content(frame, IMAGE_BYTES).map_err(|e| corrupt(dir, key, &e))?;
    Image::from_bytes(&bytes)
        .ok_or_else(|| corrupt(dir, key, &format!("it holds {} bytes instead of {IMAGE_BYTES}", bytes.len())))
}

fn frame(content: &[u8]) -> Result<Vec<u8>, Error> {
    lz4::plain_frame(content).map_err(|e| Error::file("cannot compress", Path::new("an image"), e))
}

fn json(row: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(row).expect("plain structs of numbers and texts")
}

fn read_json<T: DeserializeOwned>(env: &Env, db: Db, key: &[u8]) -> Result<Option<T>, Error> {
    env.read(|view| {
        let row = view.get(db, key)?;
        row.map(|row| serde_json::from_slice(row).map_err(|e| corrupt(env.dir(), &lossy(key), &e)))
            .transpose()
    })
}

fn read_all<T: DeserializeOwned>(env: &Env, db: Db) -> Result<BTreeMap<String, T>, Error> {
    env.read(|view| {
        let mut all = BTreeMap::new();
        for entry in view.from(db, b"")? {
            let (key, row) = entry?;
            let row = serde_json::from_slice(row).map_err(|e| corrupt(env.dir(), &lossy(key), &e))?;
            all.insert(lossy(key), row);
        }
        Ok::<_, Error>(all)
    })
}

fn lossy(key: &[u8]) -> String {
    String::from_utf8_lossy(key).into_owned()
}

fn corrupt(dir: &Path, key: &str, reason: &impl ToString) -> Error {
    ResultsError::Corrupt { place: format!("{key} in {}", dir.display()), reason: reason.to_string() }.into()
}
