//! `lobstream images`: days of A-share Level-2 data become images; they are drawn and examined.

mod batch;
mod check;
mod documents;
pub(super) mod export;
mod show;
mod stream;
mod synth;
mod synth_tables;

use crate::cli::{Images, ImagesCommand};
use crate::error::Error;

pub(super) fn execute(args: &Images) -> Result<(), Error> {
    match (&args.what, &args.batch) {
        (Some(ImagesCommand::Show(args)), _) => show::execute(args),
        (Some(ImagesCommand::Check(args)), _) => check::execute(args),
        (Some(ImagesCommand::Stream(args)), _) => stream::execute(args),
        (Some(ImagesCommand::Synth(args)), _) => synth::execute(args),
        (None, Some(args)) => batch::execute(args),
        (None, None) => {
            Err(Error::usage("images: write --date, --in and --out, or one of: show, check, stream, synth"))
        }
    }
}
