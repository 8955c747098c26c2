//! LMDB environments: the only file that knows heed.

/// An open environment.
#[derive(Debug)]
pub struct Env(());
