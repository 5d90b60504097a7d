//! What may stand as a cron job's schedule.

/// Names of IANA's time zones, sorted.
const ZONES: &str = include_str!("time_zones.txt");

pub fn is_zone(name: &str) -> bool {
    matches!(name, "UTC" | "Local") || ZONES.lines().any(|zone| zone == name)
}

/// What is wrong with it.
pub fn check(schedule: &str) -> Result<(), String> {
    let mut rest = schedule;
    if schedule.starts_with("TZ=") || schedule.starts_with("CRON_TZ=") {
        let start = schedule.find('=').map_or(0, |at| at + 1);
        let Some(end) = schedule.find(' ') else {
            return Err("invalid schedule format: runtime error: slice bounds out of range [:-1]".to_owned());
        };
        let zone = &schedule[start..end];
        if !zone.is_empty() && !is_zone(zone) {
            return Err(format!("provided bad location {zone}: unknown time zone {zone}"));
        }
        rest = schedule[end..].trim();
    }
    if rest.starts_with('@') {
        return check_descriptor(rest);
    }
    let fields: Vec<&str> = rest.split_whitespace().collect();
    if fields.len() != 5 {
        return Err(format!("expected exactly 5 fields, found {}: [{}]", fields.len(), fields.join(" ")));
    }
    let bounds = [(0, 59, NO_NAMES), (0, 23, NO_NAMES), (1, 31, NO_NAMES), (1, 12, &MONTHS[..]), (0, 6, &DAYS[..])];
    for (field, bounds) in fields.iter().zip(bounds) {
        for range in field.split(',').filter(|range| !range.is_empty()) {
            check_range(range, bounds)?;
        }
    }
    Ok(())
}

const NO_NAMES: &[&str] = &[];
const DAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];
const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];

/// The least and the greatest value of a field, and names of its values from the least on.
type Bounds = (u64, u64, &'static [&'static str]);

fn check_range(range: &str, (min, max, names): Bounds) -> Result<(), String> {
    let value = |text: &str| match names.iter().position(|name| name.eq_ignore_ascii_case(text)) {
        Some(place) => Ok(min + place as u64),
        None => number(text),
    };
    let mut halves = range.split('/');
    let (span, step) = (halves.next().unwrap_or_default(), halves.next());
    let mut ends = span.split('-');
    let (low, high) = (ends.next().unwrap_or_default(), ends.next());
    let (start, mut end) = if low == "*" || low == "?" {
        (min, max)
    } else {
        let start = value(low)?;
        match (high, ends.next()) {
            (None, _) => (start, start),
            (Some(high), None) => (start, value(high)?),
            (Some(_), Some(_)) => return Err(format!("too many hyphens: {range}")),
        }
    };
    let mut every = 1;
    if let Some(step) = step {
        if halves.next().is_some() {
            return Err(format!("too many slashes: {range}"));
        }
        every = number(step)?;
        if high.is_none() {
            end = max;
        }
    }
    if start < min {
        return Err(format!("beginning of range ({start}) below minimum ({min}): {range}"));
    }
    if end > max {
        return Err(format!("end of range ({end}) above maximum ({max}): {range}"));
    }
    if start > end {
        return Err(format!("beginning of range ({start}) beyond end of range ({end}): {range}"));
    }
    if every == 0 {
        return Err(format!("step of range should be a positive number: {range}"));
    }
    Ok(())
}

fn number(text: &str) -> Result<u64, String> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let digits_only = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    match text.parse::<i64>() {
        Ok(number) => u64::try_from(number).map_err(|_| format!("negative number ({number}) not allowed: {text}")),
        Err(_) => {
            let cause = if digits_only { "value out of range" } else { "invalid syntax" };
            Err(format!("failed to parse int from {text}: strconv.Atoi: parsing {text:?}: {cause}"))
        }
    }
}

fn check_descriptor(text: &str) -> Result<(), String> {
    if matches!(text, "@yearly" | "@annually" | "@monthly" | "@weekly" | "@daily" | "@midnight" | "@hourly") {
        return Ok(());
    }
    match text.strip_prefix("@every ") {
        Some(duration) => check_duration(duration).map_err(|e| format!("failed to parse duration {text}: {e}")),
        None => Err(format!("unrecognized descriptor: {text}")),
    }
}

/// As Go reads durations: `1h30m`.
fn check_duration(text: &str) -> Result<(), String> {
    let invalid = || format!("time: invalid duration {text:?}");
    let mut rest = text.strip_prefix(['+', '-']).unwrap_or(text);
    if rest == "0" {
        return Ok(());
    }
    if rest.is_empty() {
        return Err(invalid());
    }
    while !rest.is_empty() {
        let number = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let whole = &rest[..number];
        rest = &rest[number..];
        let mut fraction = "";
        if let Some(after) = rest.strip_prefix('.') {
            let digits = after.find(|c: char| !c.is_ascii_digit()).unwrap_or(after.len());
            fraction = &after[..digits];
            rest = &after[digits..];
        }
        if (whole.is_empty() && fraction.is_empty()) || (!whole.is_empty() && whole.parse::<i64>().is_err()) {
            return Err(invalid());
        }
        let unit = rest.find(|c: char| c == '.' || c.is_ascii_digit()).unwrap_or(rest.len());
        let (unit, after) = rest.split_at(unit);
        match unit {
            "" => return Err(format!("time: missing unit in duration {text:?}")),
            "ns" | "us" | "µs" | "μs" | "ms" | "s" | "m" | "h" => rest = after,
            _ => return Err(format!("time: unknown unit {unit:?} in duration {text:?}")),
        }
    }
    Ok(())
}
