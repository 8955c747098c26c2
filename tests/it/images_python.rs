//! A-share images beside Python: the packages that tests compare against, and the readers of image stores.

use std::process::Command;

use crate::support::{Folder, python, root, skipped};

/// Runs Python with these arguments and gives back what it printed.
#[track_caller]
pub(crate) fn run(python: &str, args: &[&str]) -> String {
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
    // A package is not always imported by the name it is installed by.
    let code = "import sys, importlib.metadata as m\n\
        modules = {d.lower().replace('_', '-'): module\n    \
            for module, of in m.packages_distributions().items() for d in of if not module.startswith('_')}\n\
        for line in open(sys.argv[1]):\n    \
            name, _, version = line.strip().partition('==')\n    \
            if version: assert m.version(name) == version, (name, m.version(name))\n    \
            if version: __import__(modules[name]); print(name)";
    let names = run(&python, &["-c", code, &list.to_string_lossy()]);
    assert!(names.lines().any(|name| name == "numpy"), "{names}");
}

/// The reader has its own tests in its own language, on stores that PyPI's packages wrote.
#[test]
fn the_python_reader_keeps_its_promises() {
    let test = "the_python_reader_keeps_its_promises";
    let Some(python) = python(test) else { return };
    let tests = root().join("python/tests/test_reader.py").to_string_lossy().into_owned();
    let vectors = root().join("../shared/spec/vectors/images.json");
    if vectors.exists() {
        run(&python, &[&tests, &vectors.to_string_lossy()]);
    } else {
        skipped(&format!("{test}, its vectors"), "../shared/spec/vectors/images.json is absent");
        run(&python, &[&tests]);
    }
}

#[test]
fn the_reader_is_a_package_that_pip_installs() {
    let Some(python) = python("the_reader_is_a_package_that_pip_installs") else { return };
    // Built from a copy, because setuptools leaves folders beside its source.
    let folder = Folder::new();
    let copy = folder.path("python");
    std::fs::create_dir(&copy).expect("made");
    for name in ["pyproject.toml", "README.md", "lobstream_images.py"] {
        std::fs::copy(root().join("python").join(name), format!("{copy}/{name}")).expect("copied");
    }
    let into = folder.path("site");
    let args = "-m pip install --no-deps --no-build-isolation --no-index --quiet --disable-pip-version-check --target";
    run(&python, &args.split(' ').chain([into.as_str(), copy.as_str()]).collect::<Vec<_>>());
    let code = "import sys; sys.path.insert(0, sys.argv[1]); import lobstream_images as r, importlib.metadata as m\n\
        assert r.__file__.startswith(sys.argv[1]), r.__file__\n\
        print(m.version('lobstream-images'), *r.__all__)";
    assert!(run(&python, &["-c", code, &into]).starts_with("0.1.0 "));
}
