//! Words and `--name value` pairs of the command line.

use std::collections::BTreeMap;
use std::str::FromStr;

#[derive(Debug, Default)]
pub(crate) struct Args {
    words: Vec<String>,
    named: BTreeMap<String, String>,
}

impl Args {
    pub(crate) fn of(args: impl Iterator<Item = String>) -> Args {
        let (mut found, mut args) = (Args::default(), args.peekable());
        while let Some(arg) = args.next() {
            match arg.strip_prefix("--") {
                Some(name) => {
                    let value = args.next_if(|next| !next.starts_with("--")).unwrap_or_default();
                    found.named.insert(name.to_owned(), value);
                }
                None => found.words.push(arg),
            }
        }
        found
    }

    pub(crate) fn word(&self, i: usize) -> &str {
        self.words.get(i).map_or("", String::as_str)
    }

    pub(crate) fn words_from(&self, i: usize) -> &[String] {
        self.words.get(i..).unwrap_or_default()
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.named.contains_key(name)
    }

    pub(crate) fn number<T: FromStr>(&self, name: &str, default: T) -> Result<T, String> {
        match self.named.get(name) {
            None => Ok(default),
            Some(text) => text.parse().map_err(|_| format!("--{name} {text:?} is no number")),
        }
    }

    pub(crate) fn text(&self, name: &str, default: &str) -> String {
        self.named.get(name).map_or(default, String::as_str).to_owned()
    }
}
