//! WebSockets: the only file that knows tokio-tungstenite.

use std::time::Duration;

use futures_util::StreamExt;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

/// A connection.
pub(crate) struct Socket(WebSocketStream<MaybeTlsStream<TcpStream>>);

/// What came.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Incoming {
    /// A message.
    Text(String),
    /// Only a sign of life. Pings are answered with the next read.
    Life,
    /// The other side is gone: why.
    Closed(String),
}

impl Socket {
    /// Connects within a time.
    pub(crate) async fn connect(url: &str, within: Duration) -> Result<Socket, String> {
        match tokio::time::timeout(within, tokio_tungstenite::connect_async(url)).await {
            Ok(Ok((stream, _))) => Ok(Socket(stream)),
            Ok(Err(error)) => Err(words(&error)),
            Err(_) => Err(format!("no answer within {} s", within.as_secs())),
        }
    }

    /// Waits for what comes next. May be given up at any time without losing anything.
    pub(crate) async fn next(&mut self) -> Incoming {
        match self.0.next().await {
            Some(Ok(Message::Text(text))) => Incoming::Text(text.as_str().to_owned()),
            Some(Ok(Message::Close(frame))) => {
                Incoming::Closed(frame.map_or_else(|| "closed".to_owned(), |f| format!("closed: {f}")))
            }
            Some(Ok(Message::Binary(_) | Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {
                Incoming::Life
            }
            Some(Err(error)) => Incoming::Closed(words(&error)),
            None => Incoming::Closed("ended".to_owned()),
        }
    }

    /// Says goodbye. The other side may be gone already.
    pub(crate) async fn close(mut self) {
        let _ = tokio::time::timeout(Duration::from_secs(1), self.0.close(None)).await;
    }
}

fn words(error: &tungstenite::Error) -> String {
    match error {
        tungstenite::Error::Http(response) => format!("the server answers {}", response.status()),
        error => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::TcpListener;

    use super::*;

    fn connect(url: String) -> Result<(), String> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
        runtime.block_on(async { Socket::connect(&url, Duration::from_secs(5)).await.map(|_| ()) })
    }

    /// A server that takes one connection, says this, and closes.
    fn server(says: &'static [u8]) -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
        let port = listener.local_addr().expect("address").port();
        std::thread::spawn(move || {
            if let Ok((mut stream, _)) = listener.accept() {
                let _ = stream.write_all(says);
            }
        });
        port
    }

    #[test]
    fn failures_to_connect_are_told() {
        let refused = connect("ws://127.0.0.1:1/stream".into());
        assert!(refused.is_err_and(|e| e.contains("refused")));
        let http = connect(format!("ws://127.0.0.1:{}/", server(b"HTTP/1.1 403 Forbidden\r\n\r\n")));
        assert_eq!(http, Err("the server answers 403 Forbidden".into()));
        // Reaches the TLS handshake: a build without a crypto provider would panic here.
        let tls = connect(format!("wss://127.0.0.1:{}/", server(b"no TLS at all, but long enough")));
        assert!(tls.is_err());
    }
}
