//! Writes the schema tables of corten-schema and the views of corten-views from the facts in `machinery/schema/facts/`.
//!
//! `cargo run -p corten-schema-generate` writes, `-- --check` fails where what is committed differs. Every generated
//! file lies in a folder, or matches a name, that holds nothing else, so that files which are no longer generated show.

mod expr;
mod facts;
mod markers;
mod names;
mod rows;
mod types;
mod views;
mod write;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{env, fs};

use anyhow::{Context, Result, bail};

/// Path below the workspace's root, to text.
type Files = BTreeMap<String, String>;

const TABLES: &str = "machinery/schema/src/tables";
const VIEWS: &str = "apiserver/views/src";
/// Files of the folders above that a person wrote.
const WRITTEN_BY_HAND: &[&str] = &["apiserver/views/src/view.rs"];

fn main() -> Result<()> {
    let check = match env::args().skip(1).collect::<Vec<_>>().as_slice() {
        [] => false,
        [flag] if flag == "--check" => true,
        other => bail!("unknown arguments {other:?}; there is only --check"),
    };
    // Cargo sets it at run time: the workspace may have moved since this program was built.
    let here = env::var_os("CARGO_MANIFEST_DIR").context("run it by `cargo run -p corten-schema-generate`")?;
    let root = Path::new(&here).join("../../..");
    let files = generate(&root.join("machinery/schema/facts"))?;
    if check { compare(&root, &files) } else { replace(&root, &files) }
}

fn generate(facts: &Path) -> Result<Files> {
    let types = types::resolve(&facts::read(facts, "fields.tsv")?, &facts::read(facts, "gotypes.tsv")?)?;
    let kinds = rows::kinds(&facts::read(facts, "kinds.tsv")?, &types)?;
    let resources = rows::resources(&facts::read(facts, "resources.tsv")?)?;
    let defaults = rows::defaults(&facts::read(facts, "defaults.tsv")?)?;
    let mut files = Files::new();
    for (name, text) in write::tables(&types, &kinds, &resources, &defaults)? {
        let path = if name == "tables.rs" { format!("{TABLES}.rs") } else { format!("{TABLES}/{name}") };
        files.insert(path, text);
    }
    for (name, text) in views::views(&types, &kinds, &resources)? {
        files.insert(format!("{VIEWS}/{name}"), text);
    }
    Ok(files)
}

fn compare(root: &Path, files: &Files) -> Result<()> {
    let mut stale = leftover(root, files)?;
    for (path, text) in files {
        if fs::read_to_string(root.join(path)).ok().as_ref() != Some(text) {
            stale.push(path.clone());
        }
    }
    if stale.is_empty() {
        return Ok(());
    }
    bail!("not what the facts say (run `cargo run -p corten-schema-generate`): {}", stale.join(", "))
}

fn replace(root: &Path, files: &Files) -> Result<()> {
    for path in leftover(root, files)? {
        fs::remove_file(root.join(&path)).with_context(|| format!("remove {path}"))?;
    }
    fs::create_dir_all(root.join(TABLES))?;
    for (path, text) in files {
        fs::write(root.join(path), text).with_context(|| format!("write {path}"))?;
    }
    Ok(())
}

/// What an earlier run generated and this one does not.
fn leftover(root: &Path, files: &Files) -> Result<Vec<String>> {
    let mut left = Vec::new();
    for folder in [TABLES, VIEWS] {
        let Ok(entries) = fs::read_dir(root.join(folder)) else { continue };
        for entry in entries {
            let name: PathBuf = entry?.file_name().into();
            let path = format!("{folder}/{}", name.display());
            if !files.contains_key(&path) && !WRITTEN_BY_HAND.contains(&path.as_str()) {
                left.push(path);
            }
        }
    }
    Ok(left)
}
