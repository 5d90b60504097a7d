//! How upstream shows parts of a pod in messages: as JSON of its internal API, whose structs have no JSON names, so that
//! Go's show, in Go's order and with every zero.

mod device_structs;
mod diff;
mod structs;
mod volume_structs;

use corten_api::field::BadValue;
use corten_api::json;
use corten_object::tree::{Node, Struct, Value, View};
use corten_views::core_v1::PodSpec;

use structs::{Field, Zero};

/// A text that is longer has no further elements of lists. With all its zeros, internal JSON may be fifty times as long as
/// what a client has sent.
const TEXT_MAX: usize = 4 * 1024 * 1024;

static TABLES: &[&[(&str, &[Field])]] = &[structs::STRUCTS, volume_structs::STRUCTS, device_structs::STRUCTS];

/// A struct as the value at fault.
pub fn bad_value<'t>(view: impl View<'t>) -> BadValue {
    let mut out = String::new();
    write_struct(view.as_struct(), internal_name(view.as_struct()), &mut out);
    BadValue::Json(out)
}

/// A struct that has the given name in the internal API, or none at all.
pub fn bad_value_as(name: &str, structure: Struct<'_>) -> BadValue {
    let mut out = String::new();
    write_struct(structure, name, &mut out);
    BadValue::Json(out)
}

/// Anything as the value at fault.
pub fn bad_node(node: Node<'_>) -> BadValue {
    let mut out = String::new();
    write_value(node, &mut out);
    BadValue::Json(out)
}

/// A list of structs as the value at fault.
pub fn bad_list<'t>(nodes: impl Iterator<Item = Node<'t>>) -> BadValue {
    let mut out = String::new();
    write_list(nodes, &mut out);
    BadValue::Json(out)
}

/// How one struct differs from another, as a unified diff of their indented JSON, as far as that goes.
pub fn diff<'a, 'b>(old: impl View<'a>, new: impl View<'b>) -> String {
    diff_as(internal_name(old.as_struct()), old.as_struct(), new.as_struct())
}

/// The same of structs that have another name in the internal API.
pub fn diff_as(name: &str, old: Struct<'_>, new: Struct<'_>) -> String {
    let text = |structure: Struct<'_>| {
        let mut out = String::new();
        write_struct(structure, name, &mut out);
        indent(&out)
    };
    diff::unified(&text(old), &text(new))
}

/// How one list differs from another.
pub fn diff_lists<'a, 'b>(old: impl Iterator<Item = Node<'a>>, new: impl Iterator<Item = Node<'b>>) -> String {
    let (mut before, mut after) = (String::new(), String::new());
    write_list(old, &mut before);
    write_list(new, &mut after);
    diff::unified(&indent(&before), &indent(&after))
}

/// `core.v1.PodSpec` is `PodSpec` there too.
fn internal_name(structure: Struct<'_>) -> &'static str {
    structure.ty().map_or("", |ty| ty.get().name.rsplit('.').next().unwrap_or_default())
}

fn fields(name: &str) -> Option<&'static [Field]> {
    let find = |table: &&'static [(&'static str, &'static [Field])]| {
        table.binary_search_by(|(other, _)| (*other).cmp(name)).ok().map(|found| table[found].1)
    };
    TABLES.iter().find_map(find)
}

fn write_struct(structure: Struct<'_>, name: &str, out: &mut String) {
    match name {
        "PodTemplateSpec" => return write_template(structure, "PodSpec", out),
        "ResourceClaimTemplateSpec" => return write_template(structure, "ResourceClaimSpec", out),
        _ => {}
    }
    let Some(fields) = fields(name) else {
        // Types of the meta API have JSON names.
        out.push_str(&structure.as_node().map_or("{}".to_owned(), corten_object::json::to_string));
        return;
    };
    out.push('{');
    for (i, field) in fields.iter().enumerate() {
        if i > 0 {
            out.push(',');
        }
        out.push('"');
        out.push_str(field.go);
        out.push_str("\":");
        if name == "PodSpec" && field.go == "SecurityContext" {
            write_pod_security_context(structure, out);
            continue;
        }
        let id = structure.ty().and_then(|ty| ty.get().field_named(field.name));
        match id.and_then(|id| structure.node(id)) {
            Some(node) => write_value(node, out),
            None => write_zero(&field.zero, out),
        }
    }
    out.push('}');
}

fn write_zero(zero: &Zero, out: &mut String) {
    match zero {
        Zero::Json(text) => out.push_str(text),
        Zero::Struct(name) => write_struct(Struct::ABSENT, name, out),
    }
}

/// The metadata of a template is embedded: its fields stand beside the spec.
fn write_template(structure: Struct<'_>, spec: &str, out: &mut String) {
    let part = |name| structure.ty().and_then(|ty| ty.get().field_named(name)).and_then(|id| structure.node(id));
    let metadata = part("metadata").map_or("{}".to_owned(), corten_object::json::to_string);
    let metadata = metadata.strip_suffix('}').unwrap_or_default();
    out.push_str(metadata);
    if metadata.len() > 1 {
        out.push(',');
    }
    out.push_str("\"Spec\":");
    write_struct(part("spec").map_or(Struct::ABSENT, Node::as_struct), spec, out);
    out.push('}');
}

/// What concerns the host stands in the spec of the versioned API, and here inside.
fn write_pod_security_context(spec: Struct<'_>, out: &mut String) {
    let view = PodSpec::from_struct(spec);
    let context = spec.structure(PodSpec::SECURITY_CONTEXT);
    let flag = |value: Option<bool>| value.map_or("null", |value| if value { "true" } else { "false" });
    let on_host = [
        ("HostNetwork", flag(Some(view.host_network()))),
        ("HostPID", flag(Some(view.host_pid()))),
        ("HostIPC", flag(Some(view.host_ipc()))),
        ("ShareProcessNamespace", flag(view.share_process_namespace())),
        ("HostUsers", flag(view.host_users())),
    ];
    out.push('{');
    for (name, value) in on_host {
        out.push_str(&format!("\"{name}\":{value},"));
    }
    let mut rest = String::new();
    write_struct(context, "PodSecurityContext", &mut rest);
    // Those five come first in the struct; what follows them is the context's own.
    let own = rest.find("\"SELinuxOptions\"").unwrap_or(rest.len());
    out.push_str(&rest[own..]);
}

fn write_list<'t>(nodes: impl Iterator<Item = Node<'t>>, out: &mut String) {
    out.push('[');
    for (i, node) in nodes.enumerate() {
        if out.len() > TEXT_MAX {
            break;
        }
        if i > 0 {
            out.push(',');
        }
        write_value(node, out);
    }
    out.push(']');
}

fn write_value(node: Node<'_>, out: &mut String) {
    match node.value() {
        Value::Struct(structure) => write_struct(structure, internal_name(structure), out),
        Value::List(list) => write_list(list.iter(), out),
        Value::Map(map) => {
            out.push('{');
            for (i, (key, value)) in map.iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                out.push_str(&json::string(key));
                out.push(':');
                write_value(value, out);
            }
            out.push('}');
        }
        _ => out.push_str(&corten_object::json::to_string(node)),
    }
}

/// What Go's `json.MarshalIndent` makes of it, with one space a level.
fn indent(json: &str) -> String {
    let mut out = String::with_capacity(json.len() * 2);
    let (mut depth, mut in_string, mut escaped) = (0, false, false);
    let mut chars = json.chars().peekable();
    let new_line = |out: &mut String, depth: usize| {
        out.push('\n');
        out.extend(std::iter::repeat_n(' ', depth));
    };
    while let Some(c) = chars.next() {
        if in_string {
            out.push(c);
            in_string = escaped || c != '"';
            escaped = !escaped && c == '\\';
            continue;
        }
        match c {
            '{' | '[' => {
                out.push(c);
                if let Some(&close) = chars.peek().filter(|&&next| matches!(next, '}' | ']')) {
                    out.push(close);
                    chars.next();
                } else {
                    depth += 1;
                    new_line(&mut out, depth);
                }
            }
            '}' | ']' => {
                depth -= 1;
                new_line(&mut out, depth);
                out.push(c);
            }
            ',' => {
                out.push(c);
                new_line(&mut out, depth);
            }
            ':' => out.push_str(": "),
            _ => {
                in_string = c == '"';
                out.push(c);
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sorted() {
        for table in TABLES {
            assert!(table.is_sorted_by(|a, b| a.0 < b.0));
        }
    }

    #[test]
    fn indents_as_go_does() {
        let check = |json: &str, expected: &str| assert_eq!(indent(json), expected);
        check("{}", "{}");
        check(
            r#"{"a":[],"b":[1,{"c":"x:{\"}"}]}"#,
            "{\n \"a\": [],\n \"b\": [\n  1,\n  {\n   \"c\": \"x:{\\\"}\"\n  }\n ]\n}",
        );
    }

    /// Every field that is set shows: none is known by a name that the versioned type lacks.
    #[test]
    fn names_are_those_of_the_versioned_types() {
        let package = |name: &str| {
            // What is a struct of its own there is a part of the spec in the versioned API.
            let name = if name == "PersistentVolumeSource" { "PersistentVolumeSpec" } else { name };
            let groups = ["core", "apps", "batch", "resource", "certificates"];
            groups.iter().find_map(|group| corten_schema::type_named(&format!("{group}.v1.{name}")))
        };
        for (name, fields) in TABLES.iter().copied().flatten() {
            let ty = package(name).unwrap_or_else(|| panic!("{name}"));
            for field in fields.iter().filter(|field| !field.name.is_empty()) {
                assert!(ty.get().field_named(field.name).is_some(), "{name}.{}", field.name);
            }
        }
    }
}
