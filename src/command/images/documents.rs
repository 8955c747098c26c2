//! One MongoDB document per stock and day, upserted: what stores and dashboards of others read.

use std::path::Path;

use serde::{Serialize, Serializer};

use crate::error::Error;
use crate::images::{CutsRow, DayImages, DayMeta, DayPaths, StockRow};
use crate::mongo::{Mongo, Upsert};

/// Where documents go.
const COLLECTION: &str = "images";
/// Documents of one call: each is about 12 kB.
const BATCH: usize = 500;

/// An open database.
pub(super) struct Documents {
    mongo: Mongo,
}

/// A document; its `_id` is `20230711|600519.SH`.
#[derive(Serialize)]
struct ImageDocument {
    date: String,
    symbol: String,
    stock: StockRow,
    cuts: Option<CutsRow>,
    /// 960 counts, C order.
    counts: Option<Vec<u32>>,
    /// 3840 bytes: 960 `f32` little-endian, C order; missing if the stock has no image.
    image: Option<Binary>,
}

struct Binary(Vec<u8>);

impl Serialize for Binary {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl Documents {
    /// Connects.
    pub(super) fn open(uri: &str) -> Result<Documents, Error> {
        if !uri.starts_with("mongodb://") && !uri.starts_with("mongodb+srv://") {
            return Err(Error::usage(format!("--results {uri}: images go to mongodb://host:port[/db]")));
        }
        let mongo = Mongo::connect(uri)?;
        mongo.ensure_index(COLLECTION, &["symbol", "date"])?;
        Ok(Documents { mongo })
    }

    /// The address without its secrets.
    pub(super) fn name(&self) -> &str {
        self.mongo.name()
    }

    /// Keeps every stock of a finished day; how many there are.
    pub(super) fn keep(&self, out: &Path, date: &str) -> Result<usize, Error> {
        let paths = DayPaths::new(out, date);
        let (images, meta) = (DayImages::open(&paths.images())?, DayMeta::open(&paths.meta())?);
        let stocks: Vec<(String, StockRow)> = meta.stocks()?.into_iter().collect();
        for part in stocks.chunks(BATCH) {
            let mut documents = Vec::with_capacity(part.len());
            for (code, stock) in part {
                documents.push(ImageDocument {
                    date: date.to_owned(),
                    symbol: code.clone(),
                    stock: stock.clone(),
                    cuts: meta.cuts(code)?,
                    counts: meta.counts(code)?.map(|counts| counts.0.to_vec()),
                    image: images.get(code)?.map(|image| Binary(image.to_bytes().to_vec())),
                });
            }
            let id = |document: &ImageDocument| format!("{date}|{}", document.symbol);
            let upserts: Vec<Upsert<'_, ImageDocument>> =
                documents.iter().map(|d| Upsert { id: id(d), fields: d, rev: None }).collect();
            self.mongo.upsert(COLLECTION, &upserts)?;
        }
        Ok(stocks.len())
    }
}
