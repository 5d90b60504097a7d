//! Makes the enum of feature gates out of the facts, so that there is one list of them.

use std::fmt::Write;
use std::{env, fs, path::Path};

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let (gates, needs) = (rows("facts/feature_gates.tsv"), rows("facts/feature_gate_dependencies.tsv"));
    let mut code = String::from("/// A feature gate of upstream's.\n#[allow(clippy::upper_case_acronyms)]\n");
    code += "#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]\npub enum Gate {\n";
    let mut facts = String::new();
    for gate in &gates {
        let [name, stage, default, locked] = &gate[..] else { panic!("facts/feature_gates.tsv: {gate:?}") };
        writeln!(code, "    {name},").expect("a string takes everything");
        writeln!(
            facts,
            "    Facts {{ gate: Gate::{name}, name: \"{name}\", stage: Stage::{stage}, default: {default}, locked: {} }},",
            locked == "locked"
        )
        .expect("a string takes everything");
    }
    writeln!(code, "}}\n\npub(crate) const FACTS: [Facts; {}] = [\n{facts}];", gates.len()).expect("as above");
    writeln!(code, "\npub(crate) const NEEDS: [(Gate, Gate); {}] = [", needs.len()).expect("as above");
    for need in &needs {
        let [gate, needed] = &need[..] else { panic!("facts/feature_gate_dependencies.tsv: {need:?}") };
        writeln!(code, "    (Gate::{gate}, Gate::{needed}),").expect("a string takes everything");
    }
    code += "];\n";
    let out = env::var_os("OUT_DIR").expect("cargo names the folder");
    fs::write(Path::new(&out).join("gates.rs"), code).expect("the folder can be written to");
}

/// The rows of a file below its heading, split at tabs.
fn rows(path: &str) -> Vec<Vec<String>> {
    println!("cargo::rerun-if-changed={path}");
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{path}: {error}"));
    text.lines().skip(1).map(|line| line.split('\t').map(str::to_owned).collect()).collect()
}
