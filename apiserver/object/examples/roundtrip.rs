//! Checks recorded objects: each `GROUP.VERSION.KIND.json` of a folder and the `.pb` beside it must decode to the same
//! object and encode to each other's bytes. Run as `cargo run -p corten-object --example roundtrip -- FOLDER`.

use corten_object::{json, protobuf};

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
        if let Err(error) = check(row.ty, text, bytes) {
            wrong += 1;
            println!("{name}: {error}");
        }
    }
    println!("{checked} kinds, {wrong} wrong");
    assert!(checked > 0 && wrong == 0, "some kinds differ");
}

fn check(ty: corten_schema::TypeId, text: Vec<u8>, bytes: Vec<u8>) -> Result<(), String> {
    let mut compact = Vec::new();
    json::write_compact(&text, &mut compact);
    let from_json = json::parse(text, json::Form::Typed(ty)).map_err(|error| error.to_string())?;
    if !from_json.strict.is_empty() {
        return Err(from_json.strict.join(", "));
    }
    let from_pb = protobuf::decode(bytes.clone(), ty).map_err(|error| error.to_string())?;
    for (what, tree) in [("JSON", &from_json.tree), ("protobuf", &from_pb)] {
        let written = json::to_vec(tree.root());
        if written != compact {
            let at = written.iter().zip(&compact).take_while(|(a, b)| a == b).count();
            let around = |text: &[u8]| {
                String::from_utf8_lossy(&text[at.saturating_sub(80).min(text.len())..(at + 80).min(text.len())])
                    .into_owned()
            };
            return Err(format!("from {what} to JSON: {}\n   instead of {}", around(&written), around(&compact)));
        }
        if protobuf::encode(tree.root()) != bytes {
            return Err(format!("from {what} to protobuf: other bytes"));
        }
    }
    if !from_json.tree.root().equals(from_pb.root()) {
        return Err("the two are not equal".into());
    }
    Ok(())
}
