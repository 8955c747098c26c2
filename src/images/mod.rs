//! Images of a whole market day: input files in, one store a day out.
//!
//! ```text
//!  files ─▶ source: rows in units ─▶ spill: buckets by code ─▶ stock: rows → StockDay → image
//!              (units in parallel)    (bounded memory)              (buckets in parallel)
//!                                       one writer ◀── at most 256 ────────┘
//!                                           └─▶ store: {date}.building ─(complete)─▶ {date}.lmdb + {date}.meta.lmdb
//! ```
//! The result depends on input and settings alone, never on threads, memory or how often it was begun.

mod batch;
mod closes;
mod copy;
mod inputs;
mod lock;
mod meta;
mod packed;
mod paths;
mod report;
mod settings;
mod spill;
mod stock;
mod store;

pub(crate) use batch::{Job, Mode, Outcome, Selection, Watch, run_day};
pub(crate) use closes::PrevCloses;
pub(crate) use copy::{copy_day, days_in};
pub(crate) use inputs::Files;
pub use meta::{Counters, CutsRow, InputRow, RunRow, SCHEMA, Status, StockRow, Totals};
pub(crate) use paths::DayPaths;
pub(crate) use report::{Finding, Summary, examine};
pub use settings::{Intraday, Settings, arith_name, bins_name, compat_name, normalise_name};
pub(crate) use stock::Finished;
pub use store::{DayImages, DayMeta};
