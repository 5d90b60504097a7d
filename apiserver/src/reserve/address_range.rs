//! The addresses of a service CIDR: which of them can be given, and in which order they are tried.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use corten_runtime::random::Random;
use ipnet::IpNet;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressRange {
    pub cidr: IpNet,
    first: u128,
    last: u128,
    /// How many addresses at the start are kept for who names one.
    band: u128,
}

impl AddressRange {
    /// None for what is too large to be one: an IPv6 network of less than 64 bits.
    pub fn new(cidr: IpNet) -> Option<AddressRange> {
        let cidr = cidr.trunc();
        if cidr.max_prefix_len() == 128 && cidr.prefix_len() < 64 {
            return None;
        }
        let (network, broadcast) = (number(cidr.network()), number(cidr.broadcast()));
        let size = broadcast - network + 1;
        let band = if size <= 16 { 0 } else { (size / 16).clamp(16, 256) };
        // The network's own address is not given, nor is the last one of an IPv4 network.
        let last = if cidr.network().is_ipv4() { broadcast.saturating_sub(1) } else { broadcast };
        Some(AddressRange { cidr, first: network + 1, last, band })
    }

    pub fn family(&self) -> &'static str {
        family(self.cidr.network())
    }

    /// Whether a service may have the address from here.
    pub fn holds(&self, ip: IpAddr) -> bool {
        self.cidr.contains(&ip) && ip != self.cidr.network() && !(ip.is_ipv4() && ip == self.cidr.broadcast())
    }

    /// The address that the cluster's own service has.
    pub fn first(&self) -> IpAddr {
        self.ip(self.first)
    }

    /// Every address once, from a random place on; those of the band come last.
    pub fn candidates(&self, random: &Random) -> impl Iterator<Item = IpAddr> {
        let lower = (self.first + self.band).min(self.last + 1);
        let upper = walk(lower, self.last, random);
        let range = *self;
        upper.chain(walk(range.first, lower - 1, random)).map(move |at| range.ip(at))
    }

    fn ip(&self, number: u128) -> IpAddr {
        if self.cidr.network().is_ipv4() { Ipv4Addr::from(number as u32).into() } else { Ipv6Addr::from(number).into() }
    }
}

/// The ranges of a flag: one, or one of each family.
pub fn service_ranges(text: &str) -> Result<Vec<IpNet>, String> {
    let mut ranges = Vec::new();
    for part in text.split(',').map(str::trim) {
        let range: IpNet =
            part.parse().map_err(|_| format!("{part:?} is no range of addresses, as 10.96.0.0/16 is"))?;
        if range.max_prefix_len() - range.prefix_len() < 3 {
            return Err(format!("{part} is too small: it must hold at least 8 addresses"));
        }
        if AddressRange::new(range).is_none() {
            return Err(format!("{part} is too large: the shortest prefix of an IPv6 range is 64"));
        }
        ranges.push(range.trunc());
    }
    match ranges[..] {
        [_] => Ok(ranges),
        [first, second] if first.addr().is_ipv4() != second.addr().is_ipv4() => Ok(ranges),
        [_, _] => Err("two ranges must be of different families".to_owned()),
        _ => Err("there may be one range, or one of each family".to_owned()),
    }
}

fn walk(first: u128, last: u128, random: &Random) -> impl Iterator<Item = u128> + use<> {
    let count = (last + 1).saturating_sub(first);
    let start = u128::from(random.below(u64::try_from(count).unwrap_or(u64::MAX)));
    (0..count).map(move |step| first + (start + step) % count)
}

fn number(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(ip) => u128::from(u32::from(ip)),
        IpAddr::V6(ip) => u128::from(ip),
    }
}

pub fn family(ip: IpAddr) -> &'static str {
    if ip.is_ipv4() { "IPv4" } else { "IPv6" }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(cidr: &str) -> AddressRange {
        AddressRange::new(cidr.parse().unwrap()).unwrap()
    }

    #[test]
    fn bands_and_ends() {
        let check = |cidr: &str, count: usize, band: &[&str], first: &str| {
            let range = range(cidr);
            let order: Vec<String> = range.candidates(&Random::seeded(1)).map(|ip| ip.to_string()).collect();
            assert_eq!(order.len(), count, "{cidr}");
            let mut last: Vec<&str> = order[count - band.len()..].iter().map(String::as_str).collect();
            last.sort_unstable();
            assert_eq!(last, band, "{cidr}");
            assert_eq!(range.first().to_string(), first);
            let mut unique = order.clone();
            unique.sort_unstable();
            unique.dedup();
            assert_eq!(unique.len(), count, "{cidr}");
        };
        check("10.0.0.0/30", 2, &[], "10.0.0.1");
        check("10.0.0.0/31", 0, &[], "10.0.0.1");
        check("10.0.0.0/28", 14, &[], "10.0.0.1");
        check("10.0.0.128/16", 65534, &[], "10.0.0.1");
        check("fd00::/126", 3, &[], "fd00::1");
        let band: Vec<String> = (1..17).map(|n| format!("10.0.0.{n}")).collect();
        let mut band: Vec<&str> = band.iter().map(String::as_str).collect();
        band.sort_unstable();
        check("10.0.0.0/24", 254, &band, "10.0.0.1");
        check("10.0.0.0/27", 30, &band, "10.0.0.1");
    }

    #[test]
    fn large_networks_start_somewhere_above_the_band() {
        let range = range("fd00::/64");
        let first = range.candidates(&Random::seeded(2)).next().unwrap();
        assert!(range.holds(first) && number(first) > number("fd00::100".parse().unwrap()), "{first}");
        assert_eq!(AddressRange::new("fd00::/63".parse().unwrap()), None);
    }

    #[test]
    fn flags() {
        let good = |text: &str| assert!(service_ranges(text).is_ok(), "{text}");
        let bad = |text: &str, said: &str| assert!(service_ranges(text).unwrap_err().contains(said), "{text}");
        good("10.96.0.0/16");
        good("10.0.0.0/8, fd00::/108");
        good("fd00::/64,10.96.0.0/29");
        bad("", "no range");
        bad("10.96.0.0", "no range");
        bad("10.96.0.0/30", "too small");
        bad("fd00::/48", "too large");
        bad("10.96.0.0/16,10.97.0.0/16", "families");
        bad("10.96.0.0/16,fd00::/64,10.97.0.0/16", "one of each");
    }

    #[test]
    fn what_a_range_holds() {
        let check = |cidr: &str, ip: &str, held: bool| {
            assert_eq!(range(cidr).holds(ip.parse().unwrap()), held, "{cidr} {ip}");
        };
        check("10.0.0.0/24", "10.0.0.1", true);
        check("10.0.0.0/24", "10.0.0.0", false);
        check("10.0.0.0/24", "10.0.0.255", false);
        check("10.0.0.0/24", "10.0.1.1", false);
        check("fd00::/112", "fd00::ffff", true);
        check("fd00::/112", "fd00::", false);
        check("fd00::/112", "10.0.0.1", false);
    }
}
