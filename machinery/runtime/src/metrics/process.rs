//! What the kernel says about this process, under the names that every Prometheus client uses.

use std::fs;

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{Counter, Gauge};

/// The kernel reports times of a process in this unit on every architecture that Linux runs on today.
const TICKS_PER_SECOND: f64 = 100.0;

#[derive(Clone)]
pub struct Process {
    cpu_seconds: Counter,
    open_files: Gauge,
    max_files: Gauge,
    resident: Gauge,
    virtual_memory: Gauge,
    virtual_memory_max: Gauge,
    start_time: Gauge,
    received: Counter,
    sent: Counter,
}

/// The numbers of /proc/self/stat that matter here.
#[derive(Debug, PartialEq)]
struct Stat {
    cpu_ticks: f64,
    start_ticks: f64,
    virtual_bytes: f64,
    resident_pages: f64,
}

impl Process {
    pub fn new() -> Process {
        let gauge = |name: &str, help: &str| Gauge::new(name, help).expect("the name is a valid one");
        let counter = |name: &str, help: &str| Counter::new(name, help).expect("the name is a valid one");
        Process {
            cpu_seconds: counter("process_cpu_seconds_total", "Total user and system CPU time spent in seconds."),
            received: counter(
                "process_network_receive_bytes_total",
                "Number of bytes received by the process over the network.",
            ),
            sent: counter(
                "process_network_transmit_bytes_total",
                "Number of bytes sent by the process over the network.",
            ),
            virtual_memory_max: gauge(
                "process_virtual_memory_max_bytes",
                "Maximum amount of virtual memory available in bytes.",
            ),
            open_files: gauge("process_open_fds", "Number of open file descriptors."),
            max_files: gauge("process_max_fds", "Maximum number of open file descriptors."),
            resident: gauge("process_resident_memory_bytes", "Resident memory size in bytes."),
            virtual_memory: gauge("process_virtual_memory_bytes", "Virtual memory size in bytes."),
            start_time: gauge("process_start_time_seconds", "Start time of the process since unix epoch in seconds."),
        }
    }

    /// Reads what can be read; a number that cannot be read keeps its last value.
    fn read(&self) {
        if let Some(stat) = fs::read_to_string("/proc/self/stat").ok().as_deref().and_then(parse_stat) {
            // Two readers at once may both add; the counter is then ahead by less than a tick of the other's time.
            let spent = stat.cpu_ticks / TICKS_PER_SECOND - self.cpu_seconds.get();
            self.cpu_seconds.inc_by(spent.max(0.0));
            self.virtual_memory.set(stat.virtual_bytes);
            self.resident.set(stat.resident_pages * rustix::param::page_size() as f64);
            if let Some(boot) = fs::read_to_string("/proc/stat").ok().as_deref().and_then(parse_boot_time) {
                self.start_time.set(boot + stat.start_ticks / TICKS_PER_SECOND);
            }
        }
        if let Ok(open) = fs::read_dir("/proc/self/fd") {
            // Without the one that reads the folder.
            self.open_files.set(open.count().saturating_sub(1) as f64);
        }
        let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
        self.max_files.set(limit.map_or(f64::INFINITY, |limit| limit as f64));
        let limit = rustix::process::getrlimit(rustix::process::Resource::As).current;
        self.virtual_memory_max.set(limit.map_or(u64::MAX as f64, |limit| limit as f64));
        if let Some((received, sent)) =
            fs::read_to_string("/proc/self/net/netstat").ok().as_deref().and_then(parse_netstat)
        {
            self.received.inc_by((received - self.received.get()).max(0.0));
            self.sent.inc_by((sent - self.sent.get()).max(0.0));
        }
    }

    fn parts(&self) -> [&dyn Collector; 9] {
        [
            &self.cpu_seconds,
            &self.open_files,
            &self.max_files,
            &self.resident,
            &self.virtual_memory,
            &self.virtual_memory_max,
            &self.start_time,
            &self.received,
            &self.sent,
        ]
    }
}

impl Collector for Process {
    fn desc(&self) -> Vec<&Desc> {
        self.parts().into_iter().flat_map(Collector::desc).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        self.read();
        self.parts().into_iter().flat_map(Collector::collect).collect()
    }
}

fn parse_stat(text: &str) -> Option<Stat> {
    // The second field is the program's name in brackets and may hold anything.
    let (_, rest) = text.rsplit_once(')')?;
    let fields: Vec<f64> = rest.split_whitespace().skip(1).map_while(|field| field.parse().ok()).collect();
    // The fourth field of the file is the first one here.
    let field = |number: usize| fields.get(number - 4).copied();
    Some(Stat {
        cpu_ticks: field(14)? + field(15)?,
        start_ticks: field(22)?,
        virtual_bytes: field(23)?,
        resident_pages: field(24)?,
    })
}

fn parse_boot_time(text: &str) -> Option<f64> {
    text.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()
}

/// What the network of this process has received and sent: a line of names, and below it one of numbers.
fn parse_netstat(text: &str) -> Option<(f64, f64)> {
    let mut lines = text.lines().filter_map(|line| line.strip_prefix("IpExt:"));
    let (names, values) = (lines.next()?, lines.next()?);
    let value = |wanted: &str| {
        let place = names.split_whitespace().position(|name| name == wanted)?;
        values.split_whitespace().nth(place)?.parse().ok()
    };
    Some((value("InOctets")?, value("OutOctets")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stat_lines() {
        let line = "7 (a) b (c) S 1 7 7 0 -1 4194560 900 0 0 0 15 5 0 0 20 0 3 0 4242 5000000 250 18446744073709551615";
        let expected = Stat { cpu_ticks: 20.0, start_ticks: 4242.0, virtual_bytes: 5e6, resident_pages: 250.0 };
        assert_eq!(parse_stat(line), Some(expected));
        assert_eq!(parse_stat("7 (a) S 1 7"), None);
        assert_eq!(parse_stat(""), None);
        assert_eq!(
            parse_netstat("TcpExt: A\nTcpExt: 1\nIpExt: X InOctets OutOctets\nIpExt: 1 20 30\n"),
            Some((20.0, 30.0))
        );
        assert_eq!(parse_netstat("IpExt: X\n"), None);
        assert_eq!(parse_boot_time("cpu 1 2\nbtime 1700000000\n"), Some(1.7e9));
    }
}
