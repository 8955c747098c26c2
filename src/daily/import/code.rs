//! Stock codes in the spellings of vendors.

use lobstream_market::ashare::{Exchange, StockCode};

/// A code written 600000.SH, sh.600000, 600000.XSHG, sh600000 or 1; `None` for other markets.
pub(super) fn stock_code(text: &str) -> Option<StockCode> {
    let upper = text.trim().to_ascii_uppercase();
    let (digits, exchange) = match upper.split_once('.') {
        Some((head, tail)) if head.bytes().all(|b| b.is_ascii_digit()) => (head, Some(exchange(tail)?)),
        Some((head, tail)) => (tail, Some(exchange(head)?)),
        None => match upper.find(|c: char| c.is_ascii_digit()) {
            Some(at) if at > 0 => (&upper[at..], Some(exchange(&upper[..at])?)),
            _ => (&upper[..], None),
        },
    };
    let number: u64 = digits.parse().ok()?;
    let of_digits = || StockCode::digits_of(number).and_then(Exchange::of_digits);
    StockCode::from_number(number, exchange.or_else(of_digits)?)
}

fn exchange(text: &str) -> Option<Exchange> {
    match text {
        "SH" | "XSHG" | "SSE" => Some(Exchange::Sh),
        "SZ" | "XSHE" | "SZSE" => Some(Exchange::Sz),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_stock_are_one_code() {
        for text in ["600000.SH", "sh.600000", "600000.XSHG", "sh600000", "600000", " 600000.sh "] {
            assert_eq!(stock_code(text).map(|c| c.to_string()).as_deref(), Some("600000.SH"), "{text}");
        }
        assert_eq!(stock_code("1").map(|c| c.to_string()).as_deref(), Some("000001.SZ"));
        assert_eq!(stock_code("1.SH").map(|c| c.to_string()).as_deref(), Some("000001.SH"));
        for text in ["", "AAPL", "600000.HK", "430047.BJ", "920799", "60000000000"] {
            assert_eq!(stock_code(text), None, "{text}");
        }
    }
}
