//! IP addresses and CIDRs, as strict as upstream is with new fields, or as lax as it must stay with old ones.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::field::{Error, Errors, Path, quote};
use crate::seen::Seen;

/// `sloppy` as Go's net.ParseIP once was: leading zeros are ignored, and IPv4-mapped IPv6 is IPv4.
pub fn parse_ip_sloppy(text: &str) -> Option<IpAddr> {
    sloppy_ip(text).map(|ip| ip.to_canonical())
}

/// The address as written, its network, and the length of the prefix. An IPv4-mapped network is IPv4, with a prefix to
/// match, as Go prints it.
pub fn parse_cidr_sloppy(text: &str) -> Option<(IpAddr, IpAddr, u8)> {
    let cidr = Cidr::parse(text)?;
    let (network, prefix) = cidr.network();
    Some((cidr.ip.to_canonical(), network, prefix))
}

/// For fields that were validated before upstream was strict; what the old object held may stay.
pub fn is_valid_ip_for_legacy_field(path: &Path<'_>, value: &str, strict: bool, old: &Seen<&str>) -> Errors {
    if old.contains(value) { Errors::default() } else { check_ip(path, value, strict).0 }
}

/// For new fields: only the canonical form.
pub fn is_valid_ip(path: &Path<'_>, value: &str) -> Errors {
    match check_ip(path, value, true) {
        (errors, Some(ip)) if errors.is_empty() => not_canonical(path, value, &ip.to_canonical()),
        (errors, _) => errors,
    }
}

/// Warnings about a value that a legacy field accepted.
pub fn warnings_for_ip(path: &Path<'_>, value: &str) -> Vec<String> {
    let Some(sloppy) = parse_ip_sloppy(value) else { return Vec::new() };
    match value.parse::<IpAddr>() {
        Ok(IpAddr::V6(ip)) if ip.to_ipv4_mapped().is_none() => {
            let canonical = ip.to_string();
            let message = || {
                format!(
                    "{path}: IPv6 address {} should be in RFC 5952 canonical format ({})",
                    quote(value),
                    quote(&canonical)
                )
            };
            if canonical == value { Vec::new() } else { vec![message()] }
        }
        Ok(IpAddr::V4(_)) => Vec::new(),
        _ => {
            let canonical = quote(&sloppy.to_string());
            vec![format!("{path}: non-standard IP address {} is invalid: use {canonical}", quote(value))]
        }
    }
}

/// For fields that were validated before upstream was strict; what the old object held may stay.
pub fn is_valid_cidr_for_legacy_field(path: &Path<'_>, value: &str, strict: bool, old: &Seen<&str>) -> Errors {
    if old.contains(value) { Errors::default() } else { check_cidr(path, value, strict).0 }
}

/// For new fields: only the canonical form of a network, without bits beyond the prefix.
pub fn is_valid_cidr(path: &Path<'_>, value: &str) -> Errors {
    match check_cidr(path, value, true) {
        (errors, Some(cidr)) if errors.is_empty() => not_canonical(path, value, &cidr.network_text()),
        (errors, _) => errors,
    }
}

/// For new fields: the canonical form of an address with the length of its network's prefix.
pub fn is_valid_interface_address(path: &Path<'_>, value: &str) -> Errors {
    match Cidr::parse(value) {
        None => {
            let detail = "must be a valid address in CIDR form, (e.g. 10.9.8.7/24 or 2001:db8::1/64)";
            Error::invalid(path, value, detail).into()
        }
        Some(cidr) => {
            let ip = cidr.ip.to_canonical();
            // Below zero, for a mapped address with a short prefix, is what upstream says.
            let shorter = if ip.is_ipv4() && cidr.prefix > 32 { 96 } else { 0 };
            not_canonical(path, value, &format!("{ip}/{}", i16::from(cidr.prefix) - shorter))
        }
    }
}

/// Warnings about a value that a legacy field accepted.
pub fn warnings_for_cidr(path: &Path<'_>, value: &str) -> Vec<String> {
    let Some(cidr) = Cidr::parse(value) else { return Vec::new() };
    let mut warnings = Vec::new();
    let ip = cidr.ip.to_canonical();
    let network = quote(&cidr.network_text());
    if ip != cidr.network().0 {
        let single = quote(&format!("{ip}/{}", cidr.max_prefix()));
        warnings.push(format!(
            "{path}: CIDR value {} is ambiguous in this context (should be {network} or {single}?)",
            quote(value)
        ));
    }
    let strict = strict_cidr(value);
    if !strict || cidr.is_mapped() {
        warnings.push(format!("{path}: non-standard CIDR value {} is invalid: use {network}", quote(value)));
    }
    let canonical = format!("{}/{}", cidr.ip, cidr.prefix);
    if warnings.is_empty() && cidr.ip.is_ipv6() && canonical != value {
        warnings.push(format!(
            "{path}: IPv6 CIDR value {} should be in RFC 5952 canonical format ({})",
            quote(value),
            quote(&canonical)
        ));
    }
    warnings
}

fn check_ip(path: &Path<'_>, value: &str, strict: bool) -> (Errors, Option<IpAddr>) {
    let Some(ip) = sloppy_ip(value) else {
        let detail = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)";
        return (Error::invalid(path, value, detail).into(), None);
    };
    let mut errors = Errors::default();
    if strict {
        match value.parse::<IpAddr>() {
            Err(_) => errors.push(Error::invalid(path, value, "must not have leading 0s")),
            Ok(IpAddr::V6(ip)) if ip.to_ipv4_mapped().is_some() => {
                errors.push(Error::invalid(path, value, "must not be an IPv4-mapped IPv6 address"));
            }
            Ok(_) => {}
        }
    }
    (errors, Some(ip))
}

fn check_cidr(path: &Path<'_>, value: &str, strict: bool) -> (Errors, Option<Cidr>) {
    let Some(cidr) = Cidr::parse(value) else {
        let detail = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)";
        return (Error::invalid(path, value, detail).into(), None);
    };
    let detail = if !strict {
        None
    } else if !strict_cidr(value) {
        Some("must not have leading 0s in IP or prefix length")
    } else if cidr.is_mapped() {
        Some("must not have an IPv4-mapped IPv6 address")
    } else if cidr.ip != masked(cidr.ip, cidr.prefix) {
        Some("must not have bits set beyond the prefix length")
    } else {
        None
    };
    (detail.map(|detail| Error::invalid(path, value, detail)).into_iter().collect(), Some(cidr))
}

fn not_canonical(path: &Path<'_>, value: &str, canonical: &impl fmt::Display) -> Errors {
    let canonical = canonical.to_string();
    let error = || Error::invalid(path, value, format!("must be in canonical form ({})", quote(&canonical)));
    (value != canonical).then(error).into_iter().collect()
}

/// An address, as IPv6 where it is written so, and the length of a prefix.
struct Cidr {
    ip: IpAddr,
    prefix: u8,
}

impl Cidr {
    fn parse(text: &str) -> Option<Self> {
        let (address, prefix) = text.split_once('/')?;
        let ip = sloppy_ipv4(address).map(IpAddr::V4).or_else(|| sloppy_ipv6(address).map(IpAddr::V6))?;
        let (prefix, rest) = leading_number(prefix.as_bytes(), 10)?;
        let cidr = Cidr { ip, prefix: u8::try_from(prefix).ok()? };
        (rest.is_empty() && cidr.prefix <= cidr.max_prefix()).then_some(cidr)
    }

    fn max_prefix(&self) -> u8 {
        if self.ip.is_ipv4() { 32 } else { 128 }
    }

    fn is_mapped(&self) -> bool {
        self.ip != self.ip.to_canonical()
    }

    fn network(&self) -> (IpAddr, u8) {
        let network = masked(self.ip, self.prefix);
        match network.to_canonical() {
            ip if ip != network => (ip, self.prefix - 96),
            ip => (ip, self.prefix),
        }
    }

    fn network_text(&self) -> String {
        let (ip, prefix) = self.network();
        format!("{ip}/{prefix}")
    }
}

fn masked(ip: IpAddr, prefix: u8) -> IpAddr {
    match ip {
        IpAddr::V4(ip) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
            IpAddr::V4(Ipv4Addr::from_bits(ip.to_bits() & mask))
        }
        IpAddr::V6(ip) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0);
            IpAddr::V6(Ipv6Addr::from_bits(ip.to_bits() & mask))
        }
    }
}

/// Whether Go's netip accepts a CIDR that the sloppy parser does.
fn strict_cidr(text: &str) -> bool {
    text.split_once('/').is_some_and(|(address, prefix)| {
        address.parse::<IpAddr>().is_ok() && (prefix.len() == 1 || !prefix.starts_with('0'))
    })
}

/// The first of `.` and `:` decides which it is.
fn sloppy_ip(text: &str) -> Option<IpAddr> {
    match text.bytes().find(|c| matches!(c, b'.' | b':'))? {
        b'.' => sloppy_ipv4(text).map(IpAddr::V4),
        _ => sloppy_ipv6(text).map(IpAddr::V6),
    }
}

fn sloppy_ipv4(text: &str) -> Option<Ipv4Addr> {
    let mut octets = [0; 4];
    let mut rest = text.as_bytes();
    for (i, octet) in octets.iter_mut().enumerate() {
        if i > 0 {
            rest = rest.strip_prefix(b".")?;
        }
        let value;
        (value, rest) = leading_number(rest, 10)?;
        *octet = u8::try_from(value).ok()?;
    }
    rest.is_empty().then(|| octets.into())
}

fn sloppy_ipv6(text: &str) -> Option<Ipv6Addr> {
    let (head, tail) = match text.split_once("::") {
        Some((head, tail)) => (head, Some(tail)),
        None => (text, None),
    };
    let mut head = sloppy_groups(head, tail.is_none())?;
    if let Some(tail) = tail {
        let tail = sloppy_groups(tail, true)?;
        // The two colons stand for one group at least.
        let missing = 8usize.checked_sub(head.len() + tail.len()).filter(|&missing| missing > 0)?;
        head.extend(std::iter::repeat_n(0, missing));
        head.extend(tail);
    }
    <[u16; 8]>::try_from(head).ok().map(Ipv6Addr::from)
}

/// Groups between colons; the last may be an IPv4 address, if `at_end` says that they end the whole.
fn sloppy_groups(text: &str, at_end: bool) -> Option<Vec<u16>> {
    let mut groups = Vec::with_capacity(8);
    if text.is_empty() {
        return Some(groups);
    }
    let mut parts = text.split(':').peekable();
    while let Some(part) = parts.next() {
        if part.contains('.') && at_end && parts.peek().is_none() {
            let [a, b, c, d] = sloppy_ipv4(part)?.octets();
            groups.extend([u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])]);
        } else {
            let (value, rest) = leading_number(part.as_bytes(), 16)?;
            groups.push(u16::try_from(value).ok().filter(|_| rest.is_empty())?);
        }
    }
    Some(groups)
}

/// Digits up to Go's limit, one at least, and what follows them.
fn leading_number(text: &[u8], radix: u32) -> Option<(u32, &[u8])> {
    const LIMIT: u32 = 0xff_ffff;
    let (mut value, mut length) = (0, 0);
    while let Some(digit) = text.get(length).and_then(|&c| char::from(c).to_digit(radix)) {
        value = value * radix + digit;
        length += 1;
        if value >= LIMIT {
            return None;
        }
    }
    (length > 0).then(|| (value, &text[length..]))
}
