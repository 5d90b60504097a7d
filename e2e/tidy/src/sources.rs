//! Rules for source files.

use crate::{files, report};

/// A file that has grown beyond this is about more than one thing.
const LINES: usize = 700;

#[test]
fn files_are_short() {
    let long = |file: &files::Text| file.is_rust() && !file.is_generated() && !file.is_test();
    let count = |file: &files::Text| file.without_tests().lines().count();
    let all = files::all();
    let found = all.iter().filter(|file| long(file) && count(file) > LINES);
    report(found.map(|file| format!("{}: {} lines without tests, at most {LINES}", file.path, count(file))).collect());
}

#[test]
fn modules_are_named_after_what_they_hold() {
    let vague = ["mod.rs", "util.rs", "utils.rs", "helpers.rs", "common.rs", "misc.rs"];
    let all = files::all();
    let found = all.iter().filter(|file| vague.iter().any(|name| file.path.ends_with(&format!("/{name}"))));
    report(
        found.map(|file| format!("{}: a file is named after what it does, and beside its folder", file.path)).collect(),
    );
}

#[test]
fn tasks_are_started_by_their_registry() {
    let mut found = Vec::new();
    for file in files::all().iter().filter(|file| file.is_rust() && !file.is_test()) {
        if file.path.starts_with("machinery/runtime/") || file.path.starts_with("e2e/") {
            continue;
        }
        let code = file.without_tests().lines().count();
        for (at, line) in file.lines().take(code) {
            if line.contains("tokio::spawn(") || line.contains("task::spawn(") || line.contains("spawn_local(") {
                found.push(format!("{at}: a task has a name and an owner: start it by corten_runtime"));
            }
        }
    }
    report(found);
}

#[test]
fn nothing_is_left_for_later() {
    // Written in two halves, so that this file does not complain about itself.
    let marks = [
        concat!("TO", "DO"),
        concat!("FIX", "ME"),
        concat!("XX", "X:"),
        concat!("unimplemented", "!("),
        concat!("to", "do!("),
    ];
    let mut found = Vec::new();
    for file in files::all().iter().filter(|file| !recorded(file)) {
        for (at, line) in file.lines() {
            found.extend(marks.iter().filter(|mark| line.contains(*mark)).map(|mark| format!("{at}: {mark}")));
        }
    }
    report(found);
}

#[test]
fn nothing_names_the_place_it_was_made_at() {
    let words = [
        concat!("/op", "t/w/"),
        concat!("/wo", "rk/"),
        concat!("crates", ".io"),
        concat!("py", "pi.org"),
        concat!("registry.npm", "js"),
        concat!("deb.", "debian.org"),
        concat!("proxy.", "golang.org"),
    ];
    let mut found = Vec::new();
    for file in files::all().iter().filter(|file| !file.path.ends_with("Cargo.lock") && !recorded(file)) {
        for (at, line) in file.lines() {
            found.extend(words.iter().filter(|word| line.contains(*word)).map(|word| format!("{at}: {word}")));
        }
    }
    report(found);
}

#[test]
fn every_crate_says_what_it_is_for() {
    let all = files::all();
    let roots = all.iter().filter(|file| file.path.ends_with("src/lib.rs") || file.path.ends_with("src/main.rs"));
    let silent = roots.filter(|file| !file.text.lines().take(2).any(|line| line.starts_with("//!")));
    report(silent.map(|file| format!("{}: it begins with what the crate is for", file.path)).collect());
}

#[test]
fn scripts_stop_at_the_first_error() {
    let all = files::all();
    let scripts = all.iter().filter(|file| file.path.starts_with("scripts/") || file.path == ".ci/run");
    let careless = scripts.filter(|file| !file.text.contains("set -euo pipefail"));
    report(careless.map(|file| format!("{}: set -euo pipefail", file.path)).collect());
}

/// What other programs have printed.
fn recorded(file: &files::Text) -> bool {
    ["/facts/", "/records/", "/testdata/"].iter().any(|folder| file.path.contains(folder))
}
