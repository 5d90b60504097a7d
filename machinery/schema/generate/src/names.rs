//! Rust's names for JSON's.

/// `podIPs` to `pod_ips`, `hostPID` to `host_pid`, `x-kubernetes-list-type` to `x_kubernetes_list_type`.
pub fn snake(name: &str) -> String {
    let chars: Vec<char> = name.chars().filter(|&c| c != '$').collect();
    let mut out = String::new();
    for (at, &c) in chars.iter().enumerate() {
        if !c.is_ascii_alphanumeric() {
            out.push('_');
            continue;
        }
        if at > 0 && starts_word(&chars, at) && !out.ends_with('_') {
            out.push('_');
        }
        out.push(c.to_ascii_lowercase());
    }
    out
}

/// An initialism and its plural s are one word; the capital before small letters begins the next, and so does a `V`
/// before a digit, which is a version.
fn starts_word(chars: &[char], at: usize) -> bool {
    let upper = |at: usize| chars.get(at).is_some_and(char::is_ascii_uppercase);
    let lower = |at: usize| chars.get(at).is_some_and(char::is_ascii_lowercase);
    if !upper(at) {
        return false;
    }
    let plural = chars.get(at + 1) == Some(&'s') && !lower(at + 2);
    let version = chars[at] == 'V' && chars.get(at + 1).is_some_and(char::is_ascii_digit);
    !upper(at - 1) || version || (lower(at + 1) && !plural)
}

pub fn shout(name: &str) -> String {
    snake(name).to_ascii_uppercase()
}

/// Rust's reserved words get an underscore.
pub fn method(name: &str) -> String {
    let snake = snake(name);
    if RESERVED.contains(&snake.as_str()) { snake + "_" } else { snake }
}

/// `core.v1.PodSpec` to `core_v1` and `PodSpec`.
pub fn module(ty: &str) -> (String, &str) {
    let (package, name) = ty.rsplit_once('.').unwrap_or(("", ty));
    (package.replace('.', "_"), name)
}

const RESERVED: &[&str] = &[
    "abstract", "as", "async", "await", "become", "box", "break", "const", "continue", "crate", "do", "dyn", "else",
    "enum", "extern", "false", "final", "fn", "for", "gen", "if", "impl", "in", "let", "loop", "macro", "match", "mod",
    "move", "mut", "override", "priv", "pub", "ref", "return", "self", "static", "struct", "super", "trait", "true",
    "try", "type", "typeof", "unsafe", "unsized", "use", "virtual", "where", "while", "yield",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn check(json: &str, expected: &str) {
        assert_eq!(method(json), expected, "{json}");
    }

    #[test]
    fn methods() {
        check("podIPs", "pod_ips");
        check("podIP", "pod_ip");
        check("clusterIP", "cluster_ip");
        check("hostPID", "host_pid");
        check("nonResourceURLs", "non_resource_urls");
        check("serverAddressByClientCIDRs", "server_address_by_client_cidrs");
        check("targetCPUUtilizationPercentage", "target_cpu_utilization_percentage");
        check("openAPIV3Schema", "open_api_v3_schema");
        check("stubPKCS10Request", "stub_pkcs10_request");
        check("fieldsV1", "fields_v1");
        check("JSONPath", "json_path");
        check("$ref", "ref_");
        check("type", "type_");
        check("x-kubernetes-list-map-keys", "x_kubernetes_list_map_keys");
        assert_eq!(shout("CSIDriverSpec"), "CSI_DRIVER_SPEC");
        assert_eq!(shout("APIGroup"), "API_GROUP");
    }
}
