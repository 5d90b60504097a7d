use super::*;
use crate::seen::Seen;
use std::net::IpAddr;

/// How a text is judged: well, or with these beginnings of messages.
fn check(check: impl Fn(&str) -> Vec<String>, input: &str, expected: &[&str]) {
    let wrong = check(input);
    let matches = wrong.len() == expected.len() && wrong.iter().zip(expected).all(|(a, b)| a.starts_with(b));
    assert!(matches, "{input:?}: {wrong:?} for {expected:?}");
}

fn valid(judge: fn(&str) -> Vec<String>, inputs: &[&str]) {
    inputs.iter().for_each(|input| check(judge, input, &[]));
}

fn invalid(judge: fn(&str) -> Vec<String>, message: &str, inputs: &[&str]) {
    inputs.iter().for_each(|input| check(judge, input, &[message]));
}

const LABEL_MESSAGE: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const SUBDOMAIN_MESSAGE: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";

#[test]
fn dns1123_labels() {
    valid(
        is_dns1123_label,
        &["a", "ab", "abc", "a1", "a-1", "a--1--2--b", "0", "01", "1a", "1--2--3--a", &"a".repeat(63)],
    );
    invalid(
        is_dns1123_label,
        LABEL_MESSAGE,
        &["", "A", "aBc", "-", "a-", "-a", "1-", "_", "a_", "a b", "é", " a", "a."],
    );
    invalid(is_dns1123_label, "must not contain dots", &["a.b", "1.2"]);
    let long = "a".repeat(64);
    invalid(is_dns1123_label, "must be no more than 63 characters", &[&long]);
    invalid(content::is_dns1123_label, "must be no more than 63 bytes", &[&long]);
    check(is_dns1123_label, &"A".repeat(64), &["must be no more than 63 characters", LABEL_MESSAGE]);
}

#[test]
fn dns1123_subdomains() {
    valid(is_dns1123_subdomain, &["a", "a.b", "a1-2.b3.0", "0.a", "a.1.2.c-d", &"a".repeat(253)]);
    invalid(
        is_dns1123_subdomain,
        SUBDOMAIN_MESSAGE,
        &["", ".", "a.", ".a", "a..b", "A.b", "a.-b", "a-.b", "a_b", "a@b"],
    );
    invalid(is_dns1123_subdomain, "must be no more than 253 characters", &[&"a".repeat(254)]);
    invalid(content::is_dns1123_subdomain, "must be no more than 253 bytes", &[&"a".repeat(254)]);
    valid(is_dns1123_subdomain_with_underscore, &["_a", "_a._b", "a_b.c", "a"]);
    invalid(
        is_dns1123_subdomain_with_underscore,
        "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '_', '-' or '.'",
        &["", "__a", "a_", "_", "-a", "A"],
    );
    valid(content::is_dns1123_subdomain_caseless, &["A.b", "Example.com", "\u{212a}"]);
    invalid(content::is_dns1123_subdomain_caseless, "an RFC 1123 subdomain must consist of", &["_", "", "-A"]);
}

#[test]
fn other_dns_names() {
    valid(is_dns1035_label, &["a", "a1", "a-1"]);
    invalid(is_dns1035_label, "a DNS-1035 label must consist of", &["", "0", "1a", "A", "a-", "a.b"]);
    valid(is_wildcard_dns1123_subdomain, &["*.example.com", "*.a"]);
    invalid(
        is_wildcard_dns1123_subdomain,
        "a wildcard DNS-1123 subdomain must start with '*.'",
        &["*", "*.", "*.*.a", "*a", "a.*.b", "example.com", "**.a"],
    );
}

#[test]
fn label_keys_and_values() {
    const NAME: &str = "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
    let long = "a".repeat(63);
    valid(is_qualified_name, &["simple", "now-with-dashes", "1-s", "1.2", "a/b", "1.2.3.4/5678", "UP_case.m-x", &long]);
    valid(is_qualified_name, &[&format!("{}/{long}", "a".repeat(253))]);
    check(is_qualified_name, "", &["name part must be non-empty", NAME]);
    check(is_qualified_name, "a/", &["name part must be non-empty", NAME]);
    check(is_qualified_name, "/a", &["prefix part must be non-empty"]);
    check(is_qualified_name, "a/b/c", &["a valid label key must consist of alphanumeric characters"]);
    check(is_qualified_name, "A/b", &["prefix part a lowercase RFC 1123 subdomain"]);
    check(is_qualified_name, "-a", &[NAME]);
    check(is_qualified_name, "a b", &[NAME]);
    check(is_qualified_name, &"a".repeat(64), &["name part must be no more than 63 bytes"]);
    let prefix = format!("{}/a", "a".repeat(254));
    check(is_qualified_name, &prefix, &["prefix part must be no more than 253 bytes"]);

    valid(is_valid_label_value, &["", "simple", "1-s", "1.2", "UP_case", &long]);
    invalid(
        is_valid_label_value,
        "a valid label must be an empty string or consist of",
        &["-", "a-", " a", "a/b", "a\n", "é"],
    );
    invalid(is_valid_label_value, "must be no more than 63 bytes", &[&"a".repeat(64)]);
}

#[test]
fn keys_of_maps_and_environment() {
    valid(is_config_map_key, &["a", "good", "good-good", "still.good", ".a", "_x", "a..b", &"a".repeat(253)]);
    check(is_config_map_key, ".", &["must not be '.'"]);
    check(is_config_map_key, "..", &["must not be '..'"]);
    check(is_config_map_key, "..bad", &["must not start with '..'"]);
    invalid(is_config_map_key, "a valid config key must consist of", &["", "b*d", "a/b", "bad\n"]);
    invalid(is_config_map_key, "must be no more than 253 characters", &[&"a".repeat(254)]);

    valid(is_env_var_name, &["my.var", "_x", "-x", "MY_ENV.NAME", ".x"]);
    invalid(is_env_var_name, "a valid environment variable name must consist of alphabetic", &["", "1a", "a=b", "a b"]);
    check(is_env_var_name, "..", &["must not be '..'"]);
    valid(is_relaxed_env_var_name, &["1a", "..", " ", "a b", "~!@#"]);
    check(is_relaxed_env_var_name, "", &["environment variable name must be non-empty"]);
    invalid(
        is_relaxed_env_var_name,
        "a valid environment variable name must consist only",
        &["a=b", "\n", "é", "\u{7f}"],
    );
}

#[test]
fn ports_and_ids() {
    for (port, good) in [(1, true), (65535, true), (0, false), (-1, false), (65536, false)] {
        check(|_| is_valid_port_num(port), "", if good { &[] } else { &["must be between 1 and 65535, inclusive"] });
    }
    valid(is_valid_port_name, &["telnet", "re-mail-ck", "a", "1a", "123-a"]);
    check(is_valid_port_name, "0123456789abcdef", &["must be no more than 15 characters"]);
    check(is_valid_port_name, "a--b", &["must not contain consecutive hyphens"]);
    check(is_valid_port_name, "1", &["must contain at least one letter (a-z)"]);
    check(is_valid_port_name, "", &["must contain only alpha-numeric characters", "must contain at least one letter"]);
    check(is_valid_port_name, "a-", &["must not begin or end with a hyphen"]);
    assert_eq!(is_valid_user_id(-1), ["must be between 0 and 2147483647, inclusive"]);
    assert!(is_valid_group_id(2_147_483_647).is_empty());
}

#[test]
fn small_formats() {
    valid(is_valid_percent, &["0%", "100%", "999999%"]);
    invalid(is_valid_percent, "a valid percent string must be", &["", "%", "1", "-1%", "1%%", "1.5%"]);
    valid(is_http_header_name, &["A-B", "x1", "-"]);
    invalid(is_http_header_name, "a valid HTTP header must consist of", &["", "a b", "a_b", "a:"]);
    valid(is_c_identifier, &["a", "_", "A_1", "aBc"]);
    invalid(is_c_identifier, "a valid C identifier must start with", &["", "1a", "a-b", "a.b"]);
    valid(is_path_segment_name, &["", "a", "...", "system:node:x", "a b"]);
    check(is_path_segment_name, ".", &["may not be '.'"]);
    check(is_path_segment_name, "..", &["may not be '..'"]);
    check(is_path_segment_name, "a/%", &["may not contain '/'", "may not contain '%'"]);
    check(|name| name_is_path_segment(name, true), "..", &[]);
    valid(is_decimal_integer, &["0", "1", "-10"]);
    invalid(is_decimal_integer, "must be a valid decimal integer in canonical form", &["-", "-0", "01", "+1", "1a"]);
    valid(content::is_uuid, &["0123abcd-0123-0123-0123-0123456789ab"]);
    invalid(content::is_uuid, "must be a lowercase UUID", &["", "0123ABCD-0123-0123-0123-0123456789ab"]);
}

#[test]
fn names_with_prefix() {
    check(|name| name_is_dns_subdomain(name, true), "a.b-", &[]);
    check(|name| name_is_dns_subdomain(name, false), "a.b-", &[SUBDOMAIN_MESSAGE]);
    check(|name| name_is_dns_label(name, true), "a-", &[]);
    check(|name| name_is_dns_label(name, true), "-", &[LABEL_MESSAGE]);
    check(|name| name_is_dns1035_label(name, true), "ab-", &[]);
    check(|name| validate_namespace_name(name, false), "a.b", &["must not contain dots"]);
    check(|name| validate_service_account_name(name, false), "a.b", &[]);
    check(|name| name_is_dns_label(name, true), "é-", &[LABEL_MESSAGE]);
}

#[test]
fn qualified_names() {
    let path = Path::new("f");
    let full = |name: &str| is_fully_qualified_name(&path, name).map(|error| error.body()).into_iter().collect();
    let domain =
        |name: &str| is_fully_qualified_domain_name(&path, name).map(|error| error.body()).into_iter().collect();
    let bodies = |errors: field::Errors| errors.iter().map(field::Error::body).collect::<Vec<_>>();
    check(full, "a.b.c", &[]);
    check(full, "", &["Required value"]);
    check(full, "a.b", &["Invalid value: \"a.b\": should be a domain with at least three segments separated by dots"]);
    check(full, "a.b.c.", &["Invalid value: \"a.b.c.\": a lowercase RFC 1123 subdomain"]);
    check(domain, "a.b.", &[]);
    check(domain, "a", &["Invalid value: \"a\": should be a domain with at least two segments separated by dots"]);
    let long = format!("{}.b", "a".repeat(64));
    check(domain, &long, &[&format!("Invalid value: \"{}\": must be no more than 63 characters", "a".repeat(64))]);
    let prefixed_path = |value: &str| bodies(is_domain_prefixed_path(&path, value));
    check(prefixed_path, "acme.io/foo/bar~!", &[]);
    check(prefixed_path, "", &["Required value"]);
    check(
        prefixed_path,
        "acme.io/",
        &["Invalid value: \"acme.io/\": must be a domain-prefixed path (such as \"acme.io/foo\")"],
    );
    check(
        prefixed_path,
        "Acme/f?",
        &[
            "Invalid value: \"Acme\": a lowercase RFC 1123 subdomain",
            r#"Invalid value: "f?": Invalid path (regex used for validation is '[A-Za-z0-9/\-._~%!$&'()*+,;=:]+')"#,
        ],
    );
    let prefixed_key = |value: &str| bodies(is_domain_prefixed_key(&path, value));
    check(prefixed_key, "acme.io/foo", &[]);
    check(prefixed_key, "", &["Required value"]);
    check(prefixed_key, "foo", &["Invalid value: \"foo\": must be a domain-prefixed key (such as \"acme.io/foo\")"]);
    check(prefixed_key, "acme.io/", &["Invalid value: \"acme.io/\": name part must be non-empty", "Invalid value"]);
}

#[test]
fn addresses() {
    let path = Path::new("f");
    let bodies = |errors: field::Errors| errors.iter().map(|error| error.detail.clone()).collect::<Vec<_>>();
    let legacy = |value: &str| bodies(is_valid_ip_for_legacy_field(&path, value, false, &Seen::default()));
    let strict =
        |value: &str| bodies(is_valid_ip_for_legacy_field(&path, value, true, &Seen::from_iter(["010.0.0.1"])));
    let new = |value: &str| bodies(is_valid_ip(&path, value));
    for good in ["1.2.3.4", "1.2.03.4", "::1", "::ffff:1.2.3.4", "2001:DB8::0a", "1:2:3:4:5:6:7::"] {
        check(legacy, good, &[]);
    }
    for bad in
        ["", "1.2.3", "1.2.3.256", "1.2.3.4.5", "::1%eth0", "1::2::3", "12345::", "x", ":::", "1:2:3:4:5:6:7:8::"]
    {
        check(legacy, bad, &["must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"]);
    }
    check(strict, "010.0.0.1", &[]);
    check(strict, "010.0.0.2", &["must not have leading 0s"]);
    check(strict, "::ffff:1.2.3.4", &["must not be an IPv4-mapped IPv6 address"]);
    check(new, "2001:db8::1", &[]);
    check(new, "2001:DB8::1", &["must be in canonical form (\"2001:db8::1\")"]);
    let warnings = |value: &str| warnings_for_ip(&path, value);
    check(warnings, "1.2.3.4", &[]);
    check(warnings, "01.2.3.4", &["f: non-standard IP address \"01.2.3.4\" is invalid: use \"1.2.3.4\""]);
    check(
        warnings,
        "2001:DB8::1",
        &["f: IPv6 address \"2001:DB8::1\" should be in RFC 5952 canonical format (\"2001:db8::1\")"],
    );
    assert_eq!(parse_ip_sloppy("::ffff:1.2.3.4"), Some(IpAddr::from([1, 2, 3, 4])));
}

#[test]
fn cidrs() {
    let path = Path::new("f");
    let bodies = |errors: field::Errors| errors.iter().map(|error| error.detail.clone()).collect::<Vec<_>>();
    let legacy = |value: &str| bodies(is_valid_cidr_for_legacy_field(&path, value, false, &Seen::default()));
    let strict = |value: &str| bodies(is_valid_cidr_for_legacy_field(&path, value, true, &Seen::default()));
    let new = |value: &str| bodies(is_valid_cidr(&path, value));
    let interface = |value: &str| bodies(is_valid_interface_address(&path, value));
    for good in ["1.2.3.0/24", "01.2.3.4/8", "1.2.3.4/08", "::/0", "::ffff:1.2.3.4/100", "1:2::/128"] {
        check(legacy, good, &[]);
    }
    for bad in ["", "1.2.3.4", "1.2.3.4/33", "1.2.3.4/", "::/129", "1.2.3.4/-1", "1.2.3.4/24x", "/24"] {
        check(legacy, bad, &["must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"]);
    }
    check(strict, "1.2.3.4/08", &["must not have leading 0s in IP or prefix length"]);
    check(strict, "::ffff:1.2.3.4/128", &["must not have an IPv4-mapped IPv6 address"]);
    check(strict, "1.2.3.4/24", &["must not have bits set beyond the prefix length"]);
    check(strict, "2001:DB8::/64", &[]);
    check(new, "2001:DB8::/64", &["must be in canonical form (\"2001:db8::/64\")"]);
    check(new, "10.0.0.0/8", &[]);
    check(interface, "10.1.2.3/8", &[]);
    check(interface, "::ffff:10.1.2.3/104", &["must be in canonical form (\"10.1.2.3/8\")"]);
    check(interface, "x", &["must be a valid address in CIDR form, (e.g. 10.9.8.7/24 or 2001:db8::1/64)"]);
    let warnings = |value: &str| warnings_for_cidr(&path, value);
    check(warnings, "10.0.0.0/8", &[]);
    check(
        warnings,
        "10.1.0.0/8",
        &["f: CIDR value \"10.1.0.0/8\" is ambiguous in this context (should be \"10.0.0.0/8\" or \"10.1.0.0/32\"?)"],
    );
    check(warnings, "010.0.0.0/8", &["f: non-standard CIDR value \"010.0.0.0/8\" is invalid: use \"10.0.0.0/8\""]);
    check(
        warnings,
        "2001:DB8::/64",
        &["f: IPv6 CIDR value \"2001:DB8::/64\" should be in RFC 5952 canonical format (\"2001:db8::/64\")"],
    );
    let (ip, network, prefix) = parse_cidr_sloppy("::ffff:1.2.3.4/120").unwrap();
    assert_eq!((ip.to_string(), network.to_string(), prefix), ("1.2.3.4".into(), "1.2.3.0".into(), 24));
}

#[test]
fn generated() {
    let mut next = 0u8;
    let mut counting = |bytes: &mut [u8]| {
        for byte in bytes {
            *byte = next;
            next = next.wrapping_add(9);
        }
    };
    assert_eq!(generate_name("pod-", &mut counting), "pod-bmxgr");
    let long = generate_name(&"x".repeat(100), &mut counting);
    assert_eq!((long.len(), &long[..58]), (63, "x".repeat(58).as_str()));
    assert_eq!(generate_name(&format!("{}é", "x".repeat(57)), &mut counting).len(), 62);
    assert!(random_suffix(500, &mut counting).bytes().all(|c| b"bcdfghjklmnpqrstvwxz2456789".contains(&c)));
    assert_eq!(safe_encode("5d4b"), "9z8w");
}
