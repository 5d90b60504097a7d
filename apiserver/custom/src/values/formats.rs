//! The formats that are enforced. Others are noted when a definition is written, and mean nothing.

use std::net::IpAddr;
use std::sync::LazyLock;

use corten_api::names;
use regex::Regex;

use crate::schema::Kind;

/// A format that is enforced for the type that it stands with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Format(&'static str);

const NUMERIC: [&str; 4] = ["int32", "int64", "float", "double"];

/// Of strings, without dashes.
const TEXTUAL: [&str; 26] = [
    "bsonobjectid",
    "uri",
    "email",
    "hostname",
    "ipv4",
    "ipv6",
    "cidr",
    "mac",
    "uuid",
    "uuid3",
    "uuid4",
    "uuid5",
    "isbn",
    "isbn10",
    "isbn13",
    "creditcard",
    "ssn",
    "hexcolor",
    "rgbcolor",
    "byte",
    "password",
    "date",
    "duration",
    "datetime",
    "k8sshortname",
    "k8slongname",
];

/// As they may be written, dashes and all; what is shown is what was written.
const WRITTEN: [&str; 5] = ["date-time", "k8s-short-name", "k8s-long-name", "bson-object-id", "credit-card"];

impl Format {
    /// None for a format that means nothing with this type. `typed` says that there is a type.
    pub fn enforced(name: &str, kind: Kind, typed: bool) -> Option<Format> {
        let find = |names: &[&'static str]| names.iter().copied().find(|known| *known == name).map(Format);
        match kind {
            Kind::Any if typed => {
                // Integers and strings at once: only formats of strings are known for both.
                find(&TEXTUAL).or_else(|| find(&WRITTEN))
            }
            Kind::Any | Kind::String => find(&TEXTUAL).or_else(|| find(&WRITTEN)),
            Kind::Integer => find(&NUMERIC[..2]),
            Kind::Number => find(&NUMERIC[2..]),
            _ => None,
        }
    }

    /// Whether a definition may name it without being warned.
    pub fn is_recognized(name: &str, ty: &str) -> bool {
        match ty {
            "" | "string" => {
                let plain = name.replace('-', "");
                TEXTUAL.contains(&plain.as_str())
            }
            "integer" => NUMERIC[..2].contains(&name),
            "number" => NUMERIC[2..].contains(&name),
            _ => false,
        }
    }

    pub fn name(self) -> &'static str {
        self.0
    }

    /// Whether strings are checked against it.
    pub fn is_known(self) -> bool {
        !NUMERIC.contains(&self.0)
    }

    pub fn matches(self, text: &str) -> bool {
        match self.0.replace('-', "").as_str() {
            "bsonobjectid" => text.len() == 24 && text.bytes().all(|byte| byte.is_ascii_hexdigit()),
            "uri" => is_request_uri(text),
            "email" => is_email(text),
            "hostname" => is_hostname(text),
            "ipv4" => text.contains('.') && names::parse_ip_sloppy(text).is_some(),
            "ipv6" => text.contains(':') && matches!(text.parse::<IpAddr>(), Ok(IpAddr::V6(_))),
            "cidr" => names::parse_cidr_sloppy(text).is_some(),
            "mac" => is_mac(text),
            "uuid" => is_uuid(text, None),
            "uuid3" => is_uuid(text, Some('3')),
            "uuid4" => is_uuid(text, Some('4')),
            "uuid5" => is_uuid(text, Some('5')),
            "isbn" => is_isbn10(text) || is_isbn13(text),
            "isbn10" => is_isbn10(text),
            "isbn13" => is_isbn13(text),
            "creditcard" => is_credit_card(text),
            "ssn" => is_ssn(text),
            "hexcolor" => is_hex_color(text),
            "rgbcolor" => RGB_COLOR.is_match(text),
            "byte" => is_base64(text),
            "date" => is_date(text),
            "duration" => is_duration(text),
            "datetime" => is_date_time(text),
            "k8sshortname" => is_short_name(text) && text.len() <= 63,
            "k8slongname" => text.len() <= 253 && text.split('.').all(is_short_name),
            _ => true,
        }
    }
}

fn fixed(pattern: &str) -> Regex {
    Regex::new(pattern).expect("a constant pattern is well formed")
}

static RGB_COLOR: LazyLock<Regex> = LazyLock::new(|| {
    let number = r"\s*(0|[1-9]\d?|1\d\d?|2[0-4]\d|25[0-5])\s*";
    fixed(&format!(r"^(?-u:rgb\({number},{number},{number}\))$"))
});

static CREDIT_CARD: LazyLock<Regex> = LazyLock::new(|| {
    fixed(concat!(
        r"^(?:4[0-9]{12}(?:[0-9]{3})?|5[1-5][0-9]{14}|6(?:011|5[0-9][0-9])[0-9]{12}|3[47][0-9]{13}|",
        r"3(?:0[0-5]|[68][0-9])[0-9]{11}|(?:2131|1800|35[0-9]{3})[0-9]{11})$"
    ))
});

static HOSTNAME: LazyLock<Regex> = LazyLock::new(|| {
    fixed(concat!(
        r"^([a-zA-Z0-9\p{S}\p{L}]((-?[a-zA-Z0-9\p{S}\p{L}]{0,62})?)|",
        r"([a-zA-Z0-9\p{S}\p{L}](([a-zA-Z0-9\-\p{S}\p{L}]{0,61}[a-zA-Z0-9\p{S}\p{L}])?)(\.)){1,}([a-zA-Z\p{L}]){2,63})$"
    ))
});

fn is_hostname(text: &str) -> bool {
    text.len() <= 255 && text.split('.').all(|part| part.len() <= 63) && HOSTNAME.is_match(text)
}

/// What Go's `url.ParseRequestURI` takes: an absolute URI, or an absolute path.
fn is_request_uri(text: &str) -> bool {
    if text.is_empty() || text.bytes().any(|byte| byte < 0x20 || byte == 0x7f) {
        return false;
    }
    if text == "*" {
        return true;
    }
    let (scheme, rest) = match split_scheme(text) {
        Some(split) => split,
        None => return false,
    };
    let rest = rest.split_once('?').map_or(rest, |(path, _)| path);
    if !rest.starts_with('/') {
        // Something opaque, which only a scheme may come before.
        return !scheme.is_empty();
    }
    let path = match rest.strip_prefix("//") {
        Some(after) if !scheme.is_empty() || !rest.starts_with("///") => {
            let end = after.find('/').unwrap_or(after.len());
            if !is_authority(&after[..end]) {
                return false;
            }
            &after[end..]
        }
        _ => rest,
    };
    has_sound_escapes(path)
}

/// A URL with a scheme and a host.
pub fn is_absolute_url(text: &str) -> bool {
    let host =
        split_scheme(text).filter(|(scheme, _)| !scheme.is_empty()).and_then(|(_, rest)| rest.strip_prefix("//"));
    is_request_uri(text) && host.is_some_and(|host| !host.is_empty() && !host.starts_with(['/', '?']))
}

/// The scheme, "" if there is none; None for a text that begins with a colon.
fn split_scheme(text: &str) -> Option<(&str, &str)> {
    for (at, c) in text.char_indices() {
        match c {
            'a'..='z' | 'A'..='Z' => {}
            '0'..='9' | '+' | '-' | '.' if at > 0 => {}
            ':' if at > 0 => return Some((&text[..at], &text[at + 1..])),
            ':' => return None,
            _ => return Some(("", text)),
        }
    }
    Some(("", text))
}

fn has_sound_escapes(text: &str) -> bool {
    let bytes = text.as_bytes();
    let mut at = 0;
    while let Some(found) = bytes[at..].iter().position(|&byte| byte == b'%') {
        at += found;
        let hex = bytes.get(at + 1..at + 3).is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit));
        if !hex {
            return false;
        }
        at += 3;
    }
    true
}

fn is_authority(authority: &str) -> bool {
    let (user, host) = authority.rsplit_once('@').map_or(("", authority), |(user, host)| (user, host));
    let user_ok = user.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._:~!$&'()*+,;=%@".contains(&byte));
    if !user_ok || !has_sound_escapes(user) {
        return false;
    }
    let port_ok = |port: &str| port.is_empty() || port.strip_prefix(':').is_some_and(is_digits);
    if let Some(inner) = host.strip_prefix('[') {
        return inner.rsplit_once(']').is_some_and(|(_, port)| port_ok(port));
    }
    let port = host.rfind(':').map_or("", |at| &host[at..]);
    // Of escapes in a host Go takes only those of bytes beyond ASCII.
    let host_ok = host
        .bytes()
        .all(|byte| byte >= 0x80 || byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:[]<>\"%".contains(&byte));
    let beyond_ascii = host.match_indices('%').all(|(at, _)| {
        host.get(at + 1..at + 3).and_then(|hex| u8::from_str_radix(hex, 16).ok()).is_some_and(|byte| byte >= 0x80)
    });
    port_ok(port) && host_ok && beyond_ascii
}

fn is_digits(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

/// What Go's `mail.ParseAddress` takes, without comments: `a@b`, `Name <a@b>`, `"a b"@c`.
fn is_email(text: &str) -> bool {
    let text = text.trim_matches([' ', '\t']);
    if let Some(inner) = text.strip_suffix('>') {
        let Some((name, address)) = inner.rsplit_once('<') else { return false };
        let name = name.trim_matches([' ', '\t']);
        return is_phrase(name) && is_mail_address(address);
    }
    is_mail_address(text)
}

fn is_phrase(name: &str) -> bool {
    is_quoted(name)
        || name.split([' ', '\t']).all(|word| word.is_empty() || word.chars().all(|c| c == '.' || is_atom(c)))
}

fn is_quoted(text: &str) -> bool {
    let Some(inner) = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) else { return false };
    let mut escaped = false;
    let sound = inner.chars().all(|c| {
        let ok = escaped || c != '"';
        escaped = !escaped && c == '\\';
        ok && (c == ' ' || c == '\t' || !c.is_control())
    });
    sound && !escaped
}

fn is_atom(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c) || !c.is_ascii()
}

fn is_dot_atom(text: &str) -> bool {
    !text.is_empty() && text.split('.').all(|part| !part.is_empty() && part.chars().all(is_atom))
}

fn is_mail_address(address: &str) -> bool {
    let Some((local, domain)) = address.trim_matches([' ', '\t']).rsplit_once('@') else { return false };
    let local_ok = if local.starts_with('"') { is_quoted(local) } else { is_dot_atom(local) };
    let domain_ok = match domain.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(literal) => literal.strip_prefix("IPv6:").unwrap_or(literal).parse::<IpAddr>().is_ok(),
        None => is_dot_atom(domain),
    };
    local_ok && domain_ok
}

/// Six, eight or twenty bytes, as Go's `net.ParseMAC` reads them: by colons, dashes or dots.
fn is_mac(text: &str) -> bool {
    let hex = |part: &str, length: usize| part.len() == length && part.bytes().all(|byte| byte.is_ascii_hexdigit());
    let separated = |separator: char, length: usize, counts: [usize; 3]| {
        text.contains(separator)
            && text.split(separator).all(|part| hex(part, length))
            && counts.contains(&text.split(separator).count())
    };
    separated(':', 2, [6, 8, 20]) || separated('-', 2, [6, 8, 20]) || separated('.', 4, [3, 4, 10])
}

fn is_uuid(text: &str, version: Option<char>) -> bool {
    let mut rest = text;
    for (index, length) in [8, 4, 4, 4, 12].into_iter().enumerate() {
        if index > 0 {
            rest = rest.strip_prefix('-').unwrap_or(rest);
        }
        let Some((part, after)) = rest.split_at_checked(length) else { return false };
        if !part.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return false;
        }
        let first = part.chars().next();
        let variant = index == 3 && matches!(version, Some('4' | '5'));
        if index == 2 && version.is_some() && first != version
            || variant && !first.is_some_and(|c| "89abAB".contains(c))
        {
            return false;
        }
        rest = after;
    }
    rest.is_empty()
}

fn without_spaces_and_dashes(text: &str) -> Vec<u8> {
    text.bytes().filter(|byte| !matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | b'\x0c' | b'-')).collect()
}

fn is_isbn10(text: &str) -> bool {
    let text = without_spaces_and_dashes(text);
    let sound =
        text.len() == 10 && text[..9].iter().all(u8::is_ascii_digit) && (text[9] == b'X' || text[9].is_ascii_digit());
    let value = |byte: u8| if byte == b'X' { 10 } else { u32::from(byte - b'0') };
    sound && text.iter().zip(1..).map(|(&byte, weight)| weight * value(byte)).sum::<u32>() % 11 == 0
}

fn is_isbn13(text: &str) -> bool {
    let text = without_spaces_and_dashes(text);
    if text.len() != 13 || !text.iter().all(u8::is_ascii_digit) {
        return false;
    }
    let weighted = text[..12].iter().enumerate();
    let sum: u32 = weighted.map(|(i, byte)| u32::from(byte - b'0') * if i % 2 == 0 { 1 } else { 3 }).sum();
    u32::from(text[12] - b'0') == (10 - sum % 10) % 10
}

fn is_credit_card(text: &str) -> bool {
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    if !CREDIT_CARD.is_match(&digits) {
        return false;
    }
    let sum: u32 = digits
        .bytes()
        .rev()
        .enumerate()
        .map(|(i, byte)| {
            let digit = u32::from(byte - b'0') * if i % 2 == 1 { 2 } else { 1 };
            digit / 10 + digit % 10
        })
        .sum();
    sum.is_multiple_of(10)
}

/// `123-45-6789`; the dashes may be spaces, but are not left out: only eleven characters will do.
fn is_ssn(text: &str) -> bool {
    text.len() == 11
        && text.bytes().enumerate().all(|(i, byte)| match i {
            3 | 6 => matches!(byte, b'-' | b' '),
            _ => byte.is_ascii_digit(),
        })
}

fn is_hex_color(text: &str) -> bool {
    let digits = text.strip_prefix('#').unwrap_or(text);
    matches!(digits.len(), 3 | 6) && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn is_base64(text: &str) -> bool {
    let body = text.trim_end_matches('=');
    let padding = text.len() - body.len();
    !text.is_empty()
        && text.len().is_multiple_of(4)
        && padding <= 2
        && body.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/'))
}

fn is_date(text: &str) -> bool {
    let bytes = text.as_bytes();
    if bytes.len() != 10 || bytes[4] != b'-' || bytes[7] != b'-' {
        return false;
    }
    let number = |range: std::ops::Range<usize>| {
        let part = &text[range];
        if is_digits(part) { part.parse::<u32>().ok() } else { None }
    };
    if !text.is_ascii() {
        return false;
    }
    let (Some(year), Some(month), Some(day)) = (number(0..4), number(5..7), number(8..10)) else { return false };
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return false,
    };
    (1..=days).contains(&day)
}

static TIME: LazyLock<Regex> =
    LazyLock::new(|| fixed(r"^([0-9]{2}):([0-9]{2}):([0-9]{2})(.[0-9]+)?(z|([+-][0-9]{2}:[0-9]{2}))$"));

fn is_date_time(text: &str) -> bool {
    let lower = text.to_lowercase();
    let mut parts = lower.split('t');
    let (Some(date), Some(time)) = (parts.next(), parts.next()) else { return false };
    if !is_date(date) {
        return false;
    }
    TIME.captures(time).is_some_and(|found| &found[1] <= "23" && &found[2] <= "59" && &found[3] <= "59")
}

/// What Go reads as a duration, or what Scala does: `1.5h`, `2 days`, `3 weeks`.
fn is_duration(text: &str) -> bool {
    static PART: LazyLock<Regex> = LazyLock::new(|| fixed(r"([0-9]+)[\t\n\f\r ]*([A-Za-zµ]+)"));
    if corten_api::time::Duration::parse(text).is_ok() {
        return true;
    }
    let units: [&[&str]; 8] = [
        &["ns", "nano"],
        &["us", "µs", "micro"],
        &["ms", "milli"],
        &["s", "sec"],
        &["m", "min"],
        &["h", "hr", "hour"],
        &["d", "day"],
        &["w", "wk", "week"],
    ];
    let mut found = false;
    for part in PART.captures_iter(text) {
        if part[1].parse::<i64>().is_err() {
            return false;
        }
        let unit = part[2].to_lowercase();
        found |= units.iter().any(|names| {
            names.iter().any(|name| unit == *name) || names.last().is_some_and(|last| unit.starts_with(last))
        });
    }
    found
}

fn is_short_name(text: &str) -> bool {
    let edge = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = text.as_bytes();
    bytes.first().is_some_and(|&byte| edge(byte))
        && bytes.last().is_some_and(|&byte| edge(byte))
        && bytes.iter().all(|&byte| byte == b'-' || edge(byte))
}
