//! The alternative names of certificates, and the constraints that authorities are under in giving them.

use std::net::IpAddr;

use corten_api::field::quote;
use x509_parser::extensions::{GeneralName, GeneralSubtree, NameConstraints};

/// What an alternative name says, of the kinds that can be constrained.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Names<'c> {
    dns: Vec<&'c str>,
    ips: Vec<&'c [u8]>,
    emails: Vec<&'c str>,
    uris: Vec<&'c str>,
}

/// What an authority may give names in, where it says so for a kind, and what it may not.
pub(super) struct Constraints<'c> {
    permitted: Names<'c>,
    excluded: Names<'c>,
    /// Whether there are none of other kinds.
    pub(super) all_known: bool,
}

impl<'c> Names<'c> {
    pub(super) fn new(names: &[GeneralName<'c>]) -> Names<'c> {
        let mut all = Names::default();
        names.iter().for_each(|name| _ = all.add(name));
        all
    }

    pub(super) fn is_empty(&self) -> bool {
        *self == Names::default()
    }

    /// Whether the name is of a kind that is known here.
    fn add(&mut self, name: &GeneralName<'c>) -> bool {
        match name {
            GeneralName::DNSName(name) => self.dns.push(name),
            GeneralName::IPAddress(ip) => self.ips.push(ip),
            GeneralName::RFC822Name(email) => self.emails.push(email),
            GeneralName::URI(uri) => self.uris.push(uri),
            _ => return false,
        }
        true
    }
}

impl<'c> Constraints<'c> {
    pub(super) fn new(written: &NameConstraints<'c>) -> Result<Constraints<'c>, String> {
        let mut constraints = Constraints { permitted: Names::default(), excluded: Names::default(), all_known: true };
        let Constraints { permitted, excluded, all_known } = &mut constraints;
        let lists: [(&mut Names<'c>, &Option<Vec<GeneralSubtree<'c>>>); 2] =
            [(permitted, &written.permitted_subtrees), (excluded, &written.excluded_subtrees)];
        for (names, subtrees) in lists {
            for subtree in subtrees.iter().flatten() {
                *all_known &= names.add(&subtree.base);
            }
            if names.ips.iter().any(|range| !matches!(range.len(), 8 | 32)) {
                return Err("x509: invalid NameConstraints extension".to_owned());
            }
        }
        Ok(constraints)
    }

    /// Whether a certificate below may have these names.
    pub(super) fn permit(&self, names: &Names<'_>) -> Result<(), String> {
        let Constraints { permitted, excluded, .. } = self;
        each(
            "DNS name",
            &names.dns,
            &permitted.dns,
            &excluded.dns,
            |name, domain| is_within(name, domain) || wildcard_reaches(name, domain),
            is_within,
        )?;
        each("IP address", &names.ips, &permitted.ips, &excluded.ips, is_in_range, is_in_range)?;
        each("email address", &names.emails, &permitted.emails, &excluded.emails, email_fits, email_fits)?;
        let mut hosts = Vec::with_capacity(names.uris.len());
        for uri in &names.uris {
            hosts.push(host(uri).ok_or_else(|| format!("URI {} cannot be matched against constraints", quote(uri)))?);
        }
        each("URI", &hosts, &permitted.uris, &excluded.uris, host_fits, host_fits)
    }
}

/// Each name must be permitted, where anything is, and not be excluded.
fn each<N: Copy + std::fmt::Debug, C: Copy>(
    kind: &str,
    names: &[N],
    permitted: &[C],
    excluded: &[C],
    is_excluded: impl Fn(N, C) -> bool,
    is_permitted: impl Fn(N, C) -> bool,
) -> Result<(), String> {
    for &name in names {
        if !permitted.is_empty() && !permitted.iter().any(|&constraint| is_permitted(name, constraint)) {
            return Err(format!("{kind} {name:?} is not permitted by any constraint"));
        }
        if excluded.iter().any(|&constraint| is_excluded(name, constraint)) {
            return Err(format!("{kind} {name:?} is excluded by a constraint"));
        }
    }
    Ok(())
}

/// Whether a name is a domain or in it; after a leading dot, only in it.
fn is_within(name: &str, domain: &str) -> bool {
    let Some(at) = name.len().checked_sub(domain.len()) else { return false };
    let (Some(before), Some(end)) = (name.get(..at), name.get(at..)) else { return false };
    end.eq_ignore_ascii_case(domain)
        && (before.is_empty() || before.ends_with('.') || domain.is_empty() || domain.starts_with('.'))
}

/// Whether `*.example.org` stands for an excluded `a.example.org` too.
fn wildcard_reaches(name: &str, domain: &str) -> bool {
    let parent = |name: &str| name.split_once('.').map(|(_, parent)| parent.to_ascii_lowercase());
    name.starts_with('*') && parent(name).is_some_and(|of_name| parent(domain) == Some(of_name))
}

/// A host without a leading dot is that host alone.
fn host_fits(host: &str, constraint: &str) -> bool {
    (constraint.is_empty() || constraint.starts_with('.') || constraint.len() == host.len())
        && is_within(host, constraint)
}

fn email_fits(email: &str, constraint: &str) -> bool {
    let Some((local, domain)) = email.rsplit_once('@') else { return false };
    match constraint.rsplit_once('@') {
        Some((only, of)) => local == only && domain.eq_ignore_ascii_case(of),
        None => host_fits(domain, constraint),
    }
}

/// `range` is an address and a mask.
fn is_in_range(ip: &[u8], range: &[u8]) -> bool {
    let (address, mask) = range.split_at(range.len() / 2);
    ip.len() == address.len()
        && ip.iter().zip(address).zip(mask).all(|((ip, address), mask)| ip & mask == address & mask)
}

/// The host of a URI, unless it has none or an IP address.
fn host(uri: &str) -> Option<&str> {
    let (_, rest) = uri.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    if host.starts_with('[') {
        return None;
    }
    let host = host.split(':').next()?;
    (!host.is_empty() && host.parse::<IpAddr>().is_err()).then_some(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_constraints() {
        let permit = |permitted: &[GeneralName<'_>], excluded: &[GeneralName<'_>], name: GeneralName<'_>| {
            let (permitted, excluded) = (Names::new(permitted), Names::new(excluded));
            let constraints = Constraints { permitted, excluded, all_known: true };
            constraints.permit(&Names::new(&[name])).is_ok()
        };
        let check = |constraint: fn(&'static str) -> GeneralName<'static>,
                     of: &'static str,
                     name,
                     expected: (bool, bool)| {
            let found =
                (permit(&[constraint(of)], &[], constraint(name)), permit(&[], &[constraint(of)], constraint(name)));
            assert_eq!(found, expected, "{name} in {of}: permitted, or not excluded");
        };
        let (inside, outside) = ((true, false), (false, true));
        let dns = |name| GeneralName::DNSName(name);
        check(dns, "example.org", "example.org", inside);
        check(dns, "example.org", "a.Example.org", inside);
        check(dns, "example.org", "an-example.org", outside);
        check(dns, ".example.org", "example.org", outside);
        check(dns, ".example.org", "a.example.org", inside);
        check(dns, "", "a.example.org", inside);
        check(dns, "a.example.org", "*.example.org", (false, false));
        check(dns, "a.example.org", "example.org", outside);
        let email = |name| GeneralName::RFC822Name(name);
        check(email, "example.org", "jane@example.org", inside);
        check(email, "example.org", "jane@a.example.org", outside);
        check(email, ".example.org", "jane@a.example.org", inside);
        check(email, "jane@example.org", "jane@EXAMPLE.org", inside);
        check(email, "jane@example.org", "joe@example.org", outside);
        let uri = |name| GeneralName::URI(name);
        let uri_in = |host, uri_name, expected| {
            assert_eq!(permit(&[GeneralName::URI(host)], &[], uri(uri_name)), expected, "{uri_name} in {host}");
        };
        uri_in("example.org", "https://u@example.org:1/x", true);
        uri_in(".example.org", "spiffe://a.example.org/x", true);
        uri_in("example.org", "https://1.2.3.4/", false);
        uri_in("example.org", "urn:x", false);
        let ip = |range: &'static [u8], ip: &'static [u8], expected| {
            assert_eq!(permit(&[GeneralName::IPAddress(range)], &[], GeneralName::IPAddress(ip)), expected);
        };
        ip(&[10, 0, 0, 0, 255, 0, 0, 0], &[10, 1, 2, 3], true);
        ip(&[10, 0, 0, 0, 255, 0, 0, 0], &[11, 1, 2, 3], false);
        assert!(!permit(&[GeneralName::DNSName("a")], &[], GeneralName::URI("urn:x")));
        assert!(permit(&[GeneralName::DNSName("a")], &[], GeneralName::RFC822Name("x@y")));
    }
}
