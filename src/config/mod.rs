//! From raw flags and files to settings; every bad value is refused here, by name.

pub mod daily;
pub mod dates;
pub mod flags;
pub mod images;
pub mod rules;
pub mod run_file;
pub mod sheet;
pub mod sweep_file;
