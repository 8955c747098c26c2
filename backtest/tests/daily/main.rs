//! Runs over daily tables: the cases of the backtest page, what must hold for any market, and the look-ahead check.

mod lookahead;
mod market;
mod page;
mod properties;

#[path = "../../examples/own-strategy.rs"]
mod own_strategy;

#[test]
fn the_example_of_a_strategy_of_ones_own_runs() {
    own_strategy::main().expect("the example runs");
}
