//! How documents name things: components, operations, tags.

use corten_schema::{TypeId, type_named};

pub(crate) const META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.";
const APIEXTENSIONS: &str = "io.k8s.apiextensions-apiserver.pkg.apis.";
const APIREGISTRATION: &str = "io.k8s.kube-aggregator.pkg.apis.";
const BUILT_IN: &str = "io.k8s.api.";

/// `core.v1.PodSpec` is `io.k8s.api.core.v1.PodSpec`.
pub(crate) fn component(type_name: &str) -> String {
    if let Some(rest) = type_name.strip_prefix("meta.v1.") {
        return format!("{META}{rest}");
    }
    let package = match type_name.split('.').next() {
        Some("apiextensions") => APIEXTENSIONS,
        Some("apiregistration") => APIREGISTRATION,
        _ => BUILT_IN,
    };
    format!("{package}{type_name}")
}

/// The inverse of [`component`].
pub(crate) fn type_of(component: &str) -> Option<TypeId> {
    if let Some(rest) = component.strip_prefix(META) {
        return type_named(&format!("meta.v1.{rest}"));
    }
    [APIEXTENSIONS, APIREGISTRATION, BUILT_IN].iter().find_map(|package| type_named(component.strip_prefix(package)?))
}

/// `example.com`, `v1`, `Widget` is `com.example.v1.Widget`.
pub(crate) fn custom_component(group: &str, version: &str, kind: &str) -> String {
    let reversed: Vec<&str> = group.rsplit('.').collect();
    format!("{}.{version}.{kind}", reversed.join("."))
}

pub(crate) fn reference(component: &str) -> String {
    format!("#/components/schemas/{component}")
}

/// The path of a document, and what follows the slash in its resources' paths: `api/v1`, `apis/apps/v1`.
pub(crate) fn document_path(group: &str, version: &str) -> String {
    if group.is_empty() { format!("api/{version}") } else { format!("apis/{group}/{version}") }
}

/// `get` and `NamespacedPod` of core v1 make `getCoreV1NamespacedPod`.
pub(crate) fn operation_id(verb: &str, group: &str, version: &str, rest: &str) -> String {
    format!("{verb}{}{}{rest}", camel(group_stem(group), true), camel(version, true))
}

/// `rbacAuthorization_v1`.
pub(crate) fn tag(group: &str, version: &str) -> String {
    let stem = camel(group_stem(group), false);
    if version.is_empty() { stem } else { format!("{stem}_{}", camel(version, false)) }
}

fn group_stem(group: &str) -> &str {
    if group.is_empty() { "core" } else { group.strip_suffix(".k8s.io").unwrap_or(group) }
}

/// Letters, digits and underscores; what follows another character begins with a capital.
pub(crate) fn camel(text: &str, mut capital: bool) -> String {
    let mut out = String::with_capacity(text.len());
    for (place, c) in text.char_indices() {
        if !(c.is_alphabetic() || c == '_' || (place > 0 && c.is_numeric())) {
            capital = true;
        } else if std::mem::take(&mut capital) {
            out.extend(c.to_uppercase());
        } else {
            out.push(c);
        }
    }
    out
}

/// The first letter large.
pub(crate) fn title(word: &str) -> String {
    camel(word, true)
}

/// `a Pod`, `an Ingress`, but `Endpoints` alone, because it is a plural.
pub(crate) fn with_article(kind: &str) -> String {
    if kind.ends_with('s') && !kind.ends_with("ss") {
        return kind.to_owned();
    }
    let vowel = kind.starts_with(|c: char| "aeiou".contains(c.to_ascii_lowercase()));
    format!("{} {kind}", if vowel { "an" } else { "a" })
}
