//! Custom kinds of the size and shape that operators publish, made from a seed.

use serde_json::{Map, Value, json};

use crate::CustomKind;

/// A sequence of numbers that is the same in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % bound
    }

    fn one_in(&mut self, sides: usize) -> bool {
        self.below(sides) == 0
    }
}

const WORDS: [&str; 16] = [
    "replicas", "selector", "template", "affinity", "storage", "endpoint", "policy", "interval", "timeout", "issuer",
    "secret", "backend", "gateway", "listener", "filter", "matcher",
];

/// The kinds of a definition: each served version of one kind.
pub(super) struct Definition {
    pub name: String,
    pub kinds: Vec<CustomKind>,
}

/// Definitions of `0..count`, about four to a group, some with versions or subresources that others lack.
pub(super) fn definitions(count: usize) -> Vec<Definition> {
    (0..count).map(|number| definition(number, 0)).collect()
}

/// One definition, as its `edition`-th change leaves it.
pub(super) fn definition(number: usize, edition: usize) -> Definition {
    let mut dice = Dice((number * 1000 + edition + 1) as u64);
    // Groups of which one begins with the other, and versions likewise, sort otherwise with a slash behind them.
    let group = match number % 4 {
        0 => format!("operator{}.example.com", number / 16),
        1 => format!("{}-{}.example.org", WORDS[number / 16 % 16], number / 16),
        2 => "example.com".to_owned(),
        _ => format!("v1.operator{}.example.com", number / 16),
    };
    let kind = format!("{}{number}", capital(WORDS[number % 16]));
    let plural = format!("{}{number}s", WORDS[number % 16]);
    let versions = [&["v1"][..], &["v1", "v1beta1"], &["v1alpha1", "v1", "v1-rc"], &["v2", "v1"]][number / 2 % 4];
    let kinds = versions.iter().map(|version| CustomKind {
        group: group.as_str().into(),
        version: (*version).into(),
        plural: plural.as_str().into(),
        kind: kind.as_str().into(),
        list_kind: format!("{kind}List").into(),
        namespaced: !number.is_multiple_of(3),
        status: !number.is_multiple_of(5),
        scale: number.is_multiple_of(7),
        schema: schema(&mut dice, &group, version, &kind).as_str().into(),
        list_schema: list_schema(&group, version, &kind).as_str().into(),
    });
    Definition { name: format!("{plural}.{group}"), kinds: kinds.collect() }
}

fn capital(word: &str) -> String {
    word[..1].to_uppercase() + &word[1..]
}

fn kinds_of(group: &str, version: &str, kind: &str) -> Value {
    json!([{"group": group, "kind": kind, "version": version}])
}

fn list_schema(group: &str, version: &str, kind: &str) -> String {
    json!({
        "description": format!("{kind}List is a list of {kind}"),
        "type": "object",
        "required": ["items"],
        "properties": {
            "items": {"type": "array", "items": {"$ref": "#/components/schemas/some.item"}},
            "metadata": {
                "description": "Standard list metadata.",
                "allOf": [{"$ref": "#/components/schemas/io.k8s.apimachinery.pkg.apis.meta.v1.ListMeta"}]
            }
        },
        "x-kubernetes-group-version-kind": kinds_of(group, version, &format!("{kind}List"))
    })
    .to_string()
}

fn schema(dice: &mut Dice, group: &str, version: &str, kind: &str) -> String {
    let mut size = 60 + dice.below(400);
    let mut root = Map::new();
    root.insert("description".into(), description(dice));
    root.insert("type".into(), "object".into());
    root.insert("required".into(), json!(["spec"]));
    let properties = json!({
        "metadata": {
            "description": "Standard object's metadata.",
            "allOf": [{"$ref": "#/components/schemas/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"}]
        },
        "spec": property(dice, 0, &mut size),
        "status": property(dice, 1, &mut size),
    });
    root.insert("properties".into(), properties);
    root.insert("x-kubernetes-group-version-kind".into(), kinds_of(group, version, kind));
    if dice.one_in(16) {
        root.insert("x-kubernetes-preserve-unknown-fields".into(), true.into());
    }
    if dice.one_in(4) {
        root.insert("x-kubernetes-selectable-fields".into(), json!([{"fieldPath": "spec.replicas"}]));
    }
    Value::Object(root).to_string()
}

fn description(dice: &mut Dice) -> Value {
    let words: Vec<&str> = (0..8 + dice.below(30)).map(|_| WORDS[dice.below(16)]).collect();
    format!("{}: \"{}\".\nMore information: <https://example.com/{}>", words[0], words.join(" "), words[1]).into()
}

fn property(dice: &mut Dice, depth: usize, size: &mut usize) -> Value {
    *size = size.saturating_sub(1);
    let mut found = Map::new();
    found.insert("description".into(), description(dice));
    let nested = depth < 9 && *size > 0;
    match dice.below(if nested { 10 } else { 5 }) {
        _ if depth == 0 => object(dice, depth, size, &mut found),
        0 => {
            found.insert("type".into(), "string".into());
            found.insert("pattern".into(), "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$".into());
            found.insert("maxLength".into(), (1 + dice.below(253)).into());
        }
        1 => {
            found.insert("type".into(), "integer".into());
            found.insert("format".into(), "int32".into());
            found.insert("minimum".into(), dice.below(2).into());
            found.insert("default".into(), 1.into());
        }
        2 => {
            found.insert("anyOf".into(), json!([{"type": "integer"}, {"type": "string"}]));
            found.insert("x-kubernetes-int-or-string".into(), true.into());
        }
        3 => {
            found.insert("type".into(), "string".into());
            found.insert("enum".into(), json!(["Always", "Never", ""]));
            found.insert("nullable".into(), true.into());
        }
        4 => {
            found.insert("type".into(), "object".into());
            found.insert("x-kubernetes-preserve-unknown-fields".into(), true.into());
        }
        5 => {
            found.insert("type".into(), "array".into());
            found.insert("items".into(), property(dice, depth + 1, size));
            found.insert("x-kubernetes-list-type".into(), "atomic".into());
        }
        6 => {
            found.insert("type".into(), "object".into());
            found.insert("additionalProperties".into(), property(dice, depth + 1, size));
        }
        _ => object(dice, depth, size, &mut found),
    }
    found.into()
}

fn object(dice: &mut Dice, depth: usize, size: &mut usize, found: &mut Map<String, Value>) {
    let count = 3 + dice.below(8);
    let mut properties = Map::new();
    for number in 0..count {
        let name = format!("{}{number}", WORDS[dice.below(16)]);
        properties.insert(name, property(dice, depth + 1, size));
    }
    found.insert("type".into(), "object".into());
    let required: Vec<Value> = properties.keys().step_by(3).map(|name| name.as_str().into()).collect();
    found.insert("required".into(), required.into());
    found.insert("properties".into(), properties.into());
    if dice.one_in(6) {
        found.insert(
            "x-kubernetes-validations".into(),
            json!([{"rule": "self.replicas0 > 0", "message": "must be positive"}]),
        );
    }
}
