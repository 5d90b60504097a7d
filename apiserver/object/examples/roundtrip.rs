//! Checks recorded objects: each `GROUP.VERSION.KIND.json` of a folder, the `.yaml` and the `.pb` beside it must decode to
//! the same object and encode to each other's bytes. Run as `cargo run -p corten-object --example roundtrip -- FOLDER`.

use corten_object::tree::Tree;
use corten_object::{json, protobuf, yaml};

fn main() {
    let folder = std::env::args().nth(1).expect("usage: roundtrip FOLDER");
    let (mut checked, mut wrong) = (0, 0);
    for entry in std::fs::read_dir(&folder).expect("the folder can be read").flatten() {
        let path = entry.path();
        let name = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default().to_owned();
        let parts: Vec<&str> = name.split('.').collect();
        if path.extension().is_none_or(|extension| extension != "json") || parts.len() < 3 {
            continue;
        }
        let (kind, version) = (parts[parts.len() - 1], parts[parts.len() - 2]);
        let group = parts[..parts.len() - 2].join(".");
        let group = if group == "core" { "" } else { &group };
        let Some(row) = corten_schema::kind(group, version, kind) else { continue };
        checked += 1;
        let text = std::fs::read(&path).expect("the file can be read");
        let bytes = std::fs::read(path.with_extension("pb")).expect("the .pb can be read");
        let shown = std::fs::read_to_string(path.with_extension("yaml")).expect("the .yaml can be read");
        if let Err(error) = check(row.ty, text, &shown, bytes) {
            wrong += 1;
            println!("{name}: {error}");
        }
    }
    println!("{checked} kinds, {wrong} wrong");
    assert!(checked > 0 && wrong == 0, "some kinds differ");
}

fn check(ty: corten_schema::TypeId, text: Vec<u8>, shown: &str, bytes: Vec<u8>) -> Result<(), String> {
    let mut compact = Vec::new();
    json::write_compact(&text, &mut compact);
    let from_json = typed(text, ty)?;
    let converted = yaml::to_json(shown).map_err(|error| error.to_string())?;
    let from_yaml = typed(converted.json, ty)?;
    let from_pb = protobuf::decode(bytes.clone(), ty).map_err(|error| error.to_string())?;
    for (what, tree) in [("JSON", &from_json), ("YAML", &from_yaml), ("protobuf", &from_pb)] {
        let written = json::to_vec(tree.root());
        same(&format!("from {what} to JSON"), &written, &compact)?;
        same(&format!("from {what} to YAML"), yaml::from_json(&written).as_bytes(), shown.as_bytes())?;
        if protobuf::encode(tree.root()) != bytes {
            return Err(format!("from {what} to protobuf: other bytes"));
        }
        if !from_json.root().equals(tree.root()) {
            return Err(format!("{what} is another object than JSON"));
        }
    }
    Ok(())
}

fn typed(text: Vec<u8>, ty: corten_schema::TypeId) -> Result<Tree, String> {
    let parsed = json::parse(text, json::Form::Typed(ty)).map_err(|error| error.to_string())?;
    if parsed.strict.is_empty() { Ok(parsed.tree) } else { Err(parsed.strict.join(", ")) }
}

fn same(what: &str, written: &[u8], expected: &[u8]) -> Result<(), String> {
    if written == expected {
        return Ok(());
    }
    let at = written.iter().zip(expected).take_while(|(a, b)| a == b).count();
    let around = |text: &[u8]| {
        let (from, to) = (at.saturating_sub(80).min(text.len()), (at + 80).min(text.len()));
        String::from_utf8_lossy(&text[from..to]).into_owned()
    };
    Err(format!("{what}: {}\n   instead of {}", around(written), around(expected)))
}
