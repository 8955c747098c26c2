//! One integration binary: the program as its users meet it.

mod backtest;
mod cli;
mod daily;
mod daily_flow;
mod demo;
mod images;
mod images_oracle;
mod images_python;
mod images_stream;
mod live;
mod parity;
mod pipeline;
mod proof;
mod recovery;
mod services;
mod sessions;
mod sinks;
mod support;
mod tidy;
