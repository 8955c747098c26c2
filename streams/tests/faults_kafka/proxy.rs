//! Stands between clients and a broker and spoils the end of transactions.
//!
//! A request of Kafka's protocol is `length i32 · API key i16 · …`; that of EndTxn, by which a transaction is
//! committed or aborted, is 26. All other traffic passes as it is.

use std::io::{Read, Result, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU8, AtomicU16, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{sleep, spawn};
use std::time::Duration;

use crate::feed::Random;

const END_TXN: i16 = 26;

/// What can happen to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It does not arrive; the connection breaks.
    RequestLost,
    /// It is done, but the answer does not arrive; the connection breaks.
    ReplyLost,
    /// The connection breaks; the request arrives seconds later all the same.
    RequestLate,
    /// It is done, and the answer takes seconds.
    ReplyLate,
}

const FAULTS: [Fault; 4] = [Fault::RequestLost, Fault::ReplyLost, Fault::RequestLate, Fault::ReplyLate];

/// Ways of a connection's answers.
const PASS: u8 = 0;
const DROP: u8 = 1;
const HOLD: u8 = 2;

/// The proxy. It serves until the process ends.
pub(crate) struct Proxy {
    port: u16,
    state: Arc<State>,
}

struct State {
    upstream: AtomicU16,
    /// One EndTxn in so many is spoiled; 0 = none.
    rarity: AtomicU64,
    random: Mutex<Random>,
    happened: [AtomicU64; 4],
}

impl Proxy {
    pub(crate) fn start() -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("bound").port();
        let state = Arc::new(State {
            upstream: AtomicU16::new(0),
            rarity: AtomicU64::new(0),
            random: Mutex::new(Random(u64::from(port) | 1)),
            happened: Default::default(),
        });
        spawn({
            let state = Arc::clone(&state);
            move || listener.incoming().flatten().for_each(|client| state.serve(client))
        });
        Proxy { port, state }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn forward_to(&self, port: u16) {
        self.state.upstream.store(port, Ordering::Release);
    }

    pub(crate) fn spoil_one_in(&self, rarity: u64) {
        self.state.rarity.store(rarity, Ordering::Release);
    }

    /// How often each fault has happened.
    pub(crate) fn happened(&self) -> Vec<(Fault, u64)> {
        let counts = self.state.happened.iter().map(|n| n.load(Ordering::Acquire));
        FAULTS.into_iter().zip(counts).collect()
    }
}

impl State {
    fn serve(self: &Arc<State>, client: TcpStream) {
        let Ok(broker) = TcpStream::connect(("127.0.0.1", self.upstream.load(Ordering::Acquire))) else {
            return;
        };
        let (Ok(from_broker), Ok(to_client)) = (broker.try_clone(), client.try_clone()) else { return };
        let way = Arc::new(AtomicU8::new(PASS));
        spawn({
            let way = Arc::clone(&way);
            move || answers(from_broker, to_client, &way)
        });
        let state = Arc::clone(self);
        spawn(move || {
            // Either side may break off at any time.
            let _ = state.requests(&client, &broker, &way);
            let _ = (client.shutdown(Shutdown::Both), broker.shutdown(Shutdown::Both));
        });
    }

    fn requests(&self, mut client: &TcpStream, mut broker: &TcpStream, way: &AtomicU8) -> Result<()> {
        let mut frame = Vec::new();
        loop {
            let mut length = [0; 4];
            client.read_exact(&mut length)?;
            frame.clear();
            frame.extend(length);
            frame.resize(4 + u32::from_be_bytes(length) as usize, 0);
            client.read_exact(&mut frame[4..])?;
            let fault = if i16::from_be_bytes([frame[4], frame[5]]) == END_TXN { self.draw() } else { None };
            match fault {
                None => broker.write_all(&frame)?,
                Some(Fault::RequestLost) => return Ok(()),
                Some(Fault::ReplyLost) => {
                    way.store(DROP, Ordering::Release);
                    broker.write_all(&frame)?;
                    sleep(Duration::from_millis(100));
                    return Ok(());
                }
                Some(Fault::RequestLate) => {
                    way.store(DROP, Ordering::Release);
                    client.shutdown(Shutdown::Both)?;
                    sleep(self.seconds(1, 4));
                    broker.write_all(&frame)?;
                    sleep(Duration::from_millis(200));
                    return Ok(());
                }
                Some(Fault::ReplyLate) => {
                    way.store(HOLD, Ordering::Release);
                    broker.write_all(&frame)?;
                    sleep(self.seconds(2, 12));
                    way.store(PASS, Ordering::Release);
                }
            }
        }
    }

    fn draw(&self) -> Option<Fault> {
        let rarity = self.rarity.load(Ordering::Acquire);
        let mut random = self.random.lock().expect("not poisoned");
        if rarity == 0 || random.below(rarity) > 0 {
            return None;
        }
        let i = random.below(FAULTS.len() as u64) as usize;
        self.happened[i].fetch_add(1, Ordering::AcqRel);
        Some(FAULTS[i])
    }

    fn seconds(&self, least: u64, most: u64) -> Duration {
        let mut random = self.random.lock().expect("not poisoned");
        Duration::from_millis(1_000 * least + random.below(1_000 * (most - least)))
    }
}

fn answers(mut broker: TcpStream, mut client: TcpStream, way: &AtomicU8) {
    let mut bytes = vec![0; 1 << 16];
    loop {
        let n = match broker.read(&mut bytes) {
            Ok(n) if n > 0 => n,
            _ => break,
        };
        while way.load(Ordering::Acquire) == HOLD {
            sleep(Duration::from_millis(10));
        }
        if way.load(Ordering::Acquire) == DROP {
            continue;
        }
        if client.write_all(&bytes[..n]).is_err() {
            break;
        }
    }
    let _ = client.shutdown(Shutdown::Both);
}
