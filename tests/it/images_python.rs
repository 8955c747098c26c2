//! A-share images beside Python: the packages that tests compare against, and the readers of image stores.

use std::process::Command;

use crate::support::{python, root};

/// Runs Python with these arguments and gives back what it printed.
#[track_caller]
fn run(python: &str, args: &[&str]) -> String {
    let out =
        Command::new(python).args(args).env("PYTHONDONTWRITEBYTECODE", "1").output().expect("Python starts");
    let (stdout, stderr) = (String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    assert!(out.status.success(), "{args:?}\n{stdout}\n{stderr}");
    stdout.into_owned()
}

#[test]
fn the_pinned_packages_are_what_python_imports() {
    let Some(python) = python("the_pinned_packages_are_what_python_imports") else { return };
    let list = root().join("tests/oracle/requirements.txt");
    let code = "import sys, importlib.metadata as m\n\
        for line in open(sys.argv[1]):\n    \
            name, _, version = line.strip().partition('==')\n    \
            if version: assert m.version(name) == version, (name, m.version(name))\n    \
            if version: __import__(name); print(name)";
    let names = run(&python, &["-c", code, &list.to_string_lossy()]);
    assert!(names.lines().any(|name| name == "numpy"), "{names}");
}
