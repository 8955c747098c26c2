//! The numbered examples, each of which checks what it writes.

#[path = "../../examples/1-count.rs"]
mod count;
#[path = "../../examples/3-join.rs"]
mod join;
#[path = "../../examples/2-late.rs"]
mod late;
#[path = "../../examples/4-rekey.rs"]
mod rekey;

#[test]
fn counting_runs() {
    count::main().expect("example 1");
}

#[test]
fn late_records_run() {
    late::main().expect("example 2");
}

#[test]
fn joining_runs() {
    join::main().expect("example 3");
}

#[test]
fn other_keys_run() {
    rekey::main().expect("example 4");
}
