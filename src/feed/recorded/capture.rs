//! Raw captures: what a recorder wrote around the messages of a venue.
//!
//! ```text
//! raw-lines   1723161253937085768 {"stream":…}
//! ws-text     1646003667.399285: {"stream":…}        wss://… <-> 1646003666.64   wss://… <- 1646003667.4: {…}
//! ws-jsonl    {"t":"recv","conn":"…","ts":1633998512.0633569,"data":"{\"stream\":…}"}
//! ```

use std::borrow::Cow;

use serde::Deserialize;

use crate::feed::unit::{TimeColumn, TimeError, decimal_seconds};

/// How a capture is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CaptureFormat {
    RawLines,
    WsText,
    WsJsonl,
}

/// One line of a capture.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Frame<'a> {
    /// When it was received, ns.
    pub(crate) ts_recv: i64,
    pub(crate) what: What<'a>,
}

/// What a line of a capture holds.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum What<'a> {
    /// A message of the venue.
    Message(Cow<'a, [u8]>),
    /// The reply to a request.
    Http { url: Cow<'a, str>, body: Cow<'a, str> },
    /// A connection to this address was made.
    Connected(Cow<'a, str>),
    /// About the recording, or sent by the recorder.
    Aside(&'static str),
}

/// Why a line is not part of a capture.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum CaptureError {
    Malformed(String),
    Time(TimeError),
}

fn malformed(what: &str) -> CaptureError {
    CaptureError::Malformed(what.to_owned())
}

impl CaptureFormat {
    /// Told from the first line.
    pub(crate) fn detect(line: &[u8]) -> Option<CaptureFormat> {
        let text = std::str::from_utf8(line).ok()?;
        if let Some((time, json)) = text.split_once(' ') {
            let digits = (10..=19).contains(&time.len()) && time.bytes().all(|b| b.is_ascii_digit());
            if digits && json.starts_with('{') {
                return Some(CaptureFormat::RawLines);
            }
        }
        if text.starts_with('{') && text.contains("\"t\":\"header\"") {
            return Some(CaptureFormat::WsJsonl);
        }
        ws_text(text).is_ok().then_some(CaptureFormat::WsText)
    }

    /// Its id.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            CaptureFormat::RawLines => "raw-lines",
            CaptureFormat::WsText => "ws-text",
            CaptureFormat::WsJsonl => "ws-jsonl",
        }
    }
}

/// Reads the lines of one capture.
#[derive(Clone, Debug)]
pub(crate) struct Capture {
    format: CaptureFormat,
    recv: TimeColumn,
}

impl Capture {
    pub(crate) fn new(format: CaptureFormat) -> Capture {
        Capture { format, recv: TimeColumn::default() }
    }

    pub(crate) fn frame<'a>(&mut self, line: &'a [u8]) -> Result<Frame<'a>, CaptureError> {
        match self.format {
            CaptureFormat::RawLines => self.raw(line),
            CaptureFormat::WsText => ws_text(std::str::from_utf8(line).map_err(|_| malformed("not UTF-8"))?),
            CaptureFormat::WsJsonl => {
                ws_jsonl(std::str::from_utf8(line).map_err(|_| malformed("not UTF-8"))?)
            }
        }
    }

    fn raw<'a>(&mut self, line: &'a [u8]) -> Result<Frame<'a>, CaptureError> {
        let n = line.iter().take(20).take_while(|b| b.is_ascii_digit()).count();
        if !(10..=19).contains(&n) || line.get(n) != Some(&b' ') {
            return Err(malformed("does not begin with a receive time of 10 to 19 digits and a space"));
        }
        let digits = line[..n].iter();
        let value = digits.fold(0u64, |sum, b| sum.wrapping_mul(10).wrapping_add(u64::from(b - b'0')));
        let value = i64::try_from(value).map_err(|_| malformed("receive time above 63 bits"))?;
        let ts_recv = self.recv.ns(value).map_err(CaptureError::Time)?;
        Ok(Frame { ts_recv, what: What::Message(Cow::Borrowed(&line[n + 1..])) })
    }
}

fn seconds(text: &str) -> Result<i64, CaptureError> {
    decimal_seconds(text.trim()).ok_or_else(|| malformed("receive time is not decimal seconds of 1990-2100"))
}

fn ws_text(line: &str) -> Result<Frame<'_>, CaptureError> {
    if let Some((url, time)) = line.split_once(" <-> ") {
        return Ok(Frame { ts_recv: seconds(time)?, what: What::Connected(Cow::Borrowed(url)) });
    }
    let (time, json) = line.split_once(": ").ok_or_else(|| malformed("no time before a colon"))?;
    let aside = time.split_once(" <- ").or_else(|| time.split_once(" -> "));
    if let Some((_, time)) = aside {
        return Ok(Frame { ts_recv: seconds(time)?, what: What::Aside("sent") });
    }
    Ok(Frame { ts_recv: seconds(time)?, what: What::Message(Cow::Borrowed(json.as_bytes())) })
}

#[derive(Deserialize)]
struct Row<'a> {
    t: &'a str,
    #[serde(borrow, default)]
    url: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    addr: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    data: Text<'a>,
}

/// A text that is borrowed if nothing in it is escaped.
#[derive(Deserialize, Default)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

fn ws_jsonl(line: &str) -> Result<Frame<'_>, CaptureError> {
    let row: Row<'_> = serde_json::from_str(line).map_err(|e| CaptureError::Malformed(e.to_string()))?;
    if row.t == "header" {
        return Ok(Frame { ts_recv: 0, what: What::Aside("header") });
    }
    let ts_recv = number_of(line, "\"ts\":").ok_or_else(|| malformed("no \"ts\""));
    let ts_recv = ts_recv.and_then(seconds)?;
    let what = match row.t {
        "recv" => What::Message(match row.data.0 {
            Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
            Cow::Owned(text) => Cow::Owned(text.into_bytes()),
        }),
        "http" => What::Http { url: row.url.unwrap_or_default(), body: row.data.0 },
        "connect" => What::Connected(row.addr.or(row.url).unwrap_or_default()),
        "send" => What::Aside("sent"),
        _ => return Err(malformed("\"t\" is none of header, http, connect, send, recv")),
    };
    Ok(Frame { ts_recv, what })
}

/// The text of a number. A JSON reader would give a float, which does not hold the nanoseconds; inside a
/// string the quotes of `name` would be escaped, so it stands for the field alone.
fn number_of<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    let rest = line[line.find(name)? + name.len()..].trim_start();
    Some(rest.split([',', '}', ' ']).next().unwrap_or(rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_told_from_the_first_line() {
        let check = |line: &str, format| assert_eq!(CaptureFormat::detect(line.as_bytes()), format, "{line}");
        check("1723161253937085768 {\"stream\":1}", Some(CaptureFormat::RawLines));
        check("1680652700 {}", Some(CaptureFormat::RawLines));
        check("1646003667.399285: {\"event\":1}", Some(CaptureFormat::WsText));
        check("wss://ws.okx.com <-> 1646003666.6408682", Some(CaptureFormat::WsText));
        check("wss://ws.okx.com <- 1646003666.6408682: {}", Some(CaptureFormat::WsText));
        check("{\"t\":\"header\",\"format\":2}", Some(CaptureFormat::WsJsonl));
        check("168065270 {}", None);
        check("exchange,symbol,timestamp", None);
        check("", None);
    }

    #[test]
    fn receive_times_are_exact_in_every_format() {
        let text = |format, line: &'static str| {
            let frame = Capture::new(format).frame(line.as_bytes()).expect(line);
            let What::Message(json) = frame.what else { panic!("{line}") };
            (frame.ts_recv, String::from_utf8(json.into_owned()).expect("text"))
        };
        assert_eq!(
            text(CaptureFormat::RawLines, "1680652700423575 {}"),
            (1_680_652_700_423_575_000, "{}".into())
        );
        assert_eq!(
            text(CaptureFormat::WsText, "1646003667.399285: {}"),
            (1_646_003_667_399_285_000, "{}".into())
        );
        let line = r#"{"t":"recv","conn":"B.ws.1","ts":1633998512.0633569,"data":"{\"ts\":1,\"u\":2}"}"#;
        assert_eq!(
            text(CaptureFormat::WsJsonl, line),
            (1_633_998_512_063_356_900, r#"{"ts":1,"u":2}"#.into())
        );
    }

    #[test]
    fn what_surrounds_the_messages_is_told_apart() {
        let frame = |line: &'static str| Capture::new(CaptureFormat::WsJsonl).frame(line.as_bytes());
        let http = frame(r#"{"t":"http","ts":1633998512.3,"url":"https://x/depth?symbol=A","data":"{}"}"#);
        let What::Http { url, body } = http.expect("http").what else { panic!("not http") };
        assert_eq!((&*url, &*body), ("https://x/depth?symbol=A", "{}"));
        assert_eq!(frame(r#"{"t":"header"}"#).expect("header").what, What::Aside("header"));
        assert!(frame(r#"{"t":"other","ts":1633998512.3}"#).is_err());
        assert!(frame(r#"{"t":"recv","data":"{}"}"#).is_err(), "a message without a time");
    }
}
