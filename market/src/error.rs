//! What can be wrong with data.

/// A number, a message or an instrument that cannot be used as it stands.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// Not a decimal number.
    #[error("{text:?} is not a decimal number")]
    NotANumber {
        /// As received.
        text: String,
    },
    /// Too many digits for exact integers.
    #[error("{text:?} has more digits than can be kept exactly")]
    Overflow {
        /// As received.
        text: String,
    },
    /// Not a whole number of steps.
    #[error("{text} is not a multiple of {step}")]
    OffStep {
        /// As received.
        text: String,
        /// Tick or lot size in force.
        step: String,
    },
    /// A quantity below zero.
    #[error("quantity {text} is negative")]
    NegativeQuantity {
        /// As received.
        text: String,
    },
    /// No such venue.
    #[error("venue {text:?} is not known; known: {known}")]
    UnknownVenue {
        /// As given.
        text: String,
        /// Those that are.
        known: String,
    },
    /// No stock code.
    #[error("{text:?} is not a stock code: six digits and .SH or .SZ, as in 600519.SH")]
    BadCode {
        /// As given.
        text: String,
    },
}
