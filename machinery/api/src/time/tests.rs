use super::*;

/// Input, text, seconds and nanoseconds.
#[test]
fn times() {
    let check = |input: &str, text: &str, seconds: i64, nanos: u32| {
        let time = Timestamp::parse(input).unwrap();
        assert_eq!((time.to_string().as_str(), time.seconds, time.nanos), (text, seconds, nanos), "{input}");
    };
    check("2006-01-02T15:04:05Z", "2006-01-02T15:04:05Z", 1136214245, 0);
    check("2006-01-02T15:04:05+07:00", "2006-01-02T08:04:05Z", 1136189045, 0);
    check("2006-01-02T15:04:05.999999999-07:30", "2006-01-02T22:34:05Z", 1136241245, 999999999);
    check("2006-01-02T5:04:05Z", "2006-01-02T05:04:05Z", 1136178245, 0);
    check("2006-01-02T15:04:05,5Z", "2006-01-02T15:04:05Z", 1136214245, 500000000);
    check("1969-12-31T23:59:59.25Z", "1969-12-31T23:59:59Z", -1, 250000000);
    check("0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z", -62135596800, 0);
    check("0000-01-01T00:00:00+01:00", "-0001-12-31T23:00:00Z", -62167222800, 0);
    check("9999-12-31T23:59:59-01:00", "10000-01-01T00:59:59Z", 253402304399, 0);
    check("2000-02-29T00:00:00Z", "2000-02-29T00:00:00Z", 951782400, 0);
    check("2006-01-02T00:00:00+24:60", "2005-12-31T23:00:00Z", 1136070000, 0);
    assert!(Timestamp::parse("0001-01-01T00:00:00Z").unwrap().is_zero());
}

#[test]
fn no_times() {
    let fails = |input: &str, error: &str| assert_eq!(Timestamp::parse(input).unwrap_err().to_string(), error);
    fails("", "parsing time \"\" as \"2006-01-02T15:04:05Z07:00\": cannot parse \"\" as \"2006\"");
    fails("x", "parsing time \"x\" as \"2006-01-02T15:04:05Z07:00\": cannot parse \"x\" as \"2006\"");
    fails("2006", "parsing time \"2006\" as \"2006-01-02T15:04:05Z07:00\": cannot parse \"\" as \"-\"");
    fails(
        "2006-1-02T15:04:05Z",
        "parsing time \"2006-1-02T15:04:05Z\" as \"2006-01-02T15:04:05Z07:00\": cannot parse \"1-02T15:04:05Z\" as \"01\"",
    );
    fails(
        "2006-01-02 15:04:05Z",
        "parsing time \"2006-01-02 15:04:05Z\" as \"2006-01-02T15:04:05Z07:00\": cannot parse \" 15:04:05Z\" as \"T\"",
    );
    fails(
        "2006-01-02t15:04:05Z",
        "parsing time \"2006-01-02t15:04:05Z\" as \"2006-01-02T15:04:05Z07:00\": cannot parse \"t15:04:05Z\" as \"T\"",
    );
    fails("2006-13-02T15:04:05Z", "parsing time \"2006-13-02T15:04:05Z\": month out of range");
    fails("2006-00-02T15:04:05Z", "parsing time \"2006-00-02T15:04:05Z\": month out of range");
    fails("2006-02-30T15:04:05Z", "parsing time \"2006-02-30T15:04:05Z\": day out of range");
    fails("2006-01-00T15:04:05Z", "parsing time \"2006-01-00T15:04:05Z\": day out of range");
    fails("2006-01-02T24:04:05Z", "parsing time \"2006-01-02T24:04:05Z\": hour out of range");
    fails("2006-01-02T15:60:05Z", "parsing time \"2006-01-02T15:60:05Z\": minute out of range");
    fails("2006-01-02T15:04:60Z", "parsing time \"2006-01-02T15:04:60Z\": second out of range");
    fails(
        "2006-01-02T15:04:05",
        "parsing time \"2006-01-02T15:04:05\" as \"2006-01-02T15:04:05Z07:00\": cannot parse \"\" as \"Z07:00\"",
    );
    fails(
        "2006-01-02T15:04:05z",
        "parsing time \"2006-01-02T15:04:05z\" as \"2006-01-02T15:04:05Z07:00\": cannot parse \"z\" as \"Z07:00\"",
    );
    fails(
        "2006-01-02T15:04:05.Z",
        "parsing time \"2006-01-02T15:04:05.Z\" as \"2006-01-02T15:04:05Z07:00\": cannot parse \".Z\" as \"Z07:00\"",
    );
    fails("2006-01-02T15:04:05Zx", "parsing time \"2006-01-02T15:04:05Zx\": extra text: \"x\"");
    fails(
        "2006-01-02T15:04:05+0700",
        "parsing time \"2006-01-02T15:04:05+0700\" as \"2006-01-02T15:04:05Z07:00\": cannot parse \"+0700\" as \"Z07:00\"",
    );
    fails(
        "2006-01-02T15:04:05+25:00",
        "parsing time \"2006-01-02T15:04:05+25:00\": time zone offset hour out of range",
    );
    fails(
        "2006-01-02T15:04:05+00:61",
        "parsing time \"2006-01-02T15:04:05+00:61\": time zone offset minute out of range",
    );
    fails(
        "2006-01-02T15:04:05 07:00",
        "parsing time \"2006-01-02T15:04:05 07:00\" as \"2006-01-02T15:04:05Z07:00\": cannot parse \" 07:00\" as \"Z07:00\"",
    );
    fails(
        "20a6-01-02T15:04:05Z",
        "parsing time \"20a6-01-02T15:04:05Z\" as \"2006-01-02T15:04:05Z07:00\": cannot parse \"20a6-01-02T15:04:05Z\" as \"2006\"",
    );
    fails("é", "parsing time \"\\xc3\\xa9\" as \"2006-01-02T15:04:05Z07:00\": cannot parse \"\\xc3\\xa9\" as \"2006\"");
    fails(
        "a\"b\\\u{1}",
        "parsing time \"a\\\"b\\\\\\x01\" as \"2006-01-02T15:04:05Z07:00\": cannot parse \"a\\\"b\\\\\\x01\" as \"2006\"",
    );
}

#[test]
fn micro_times() {
    let micro = |input: &str, text: &str, seconds: i64, nanos: u32| {
        let time = Timestamp::parse_micro(input).unwrap();
        assert_eq!((time.format_micro().as_str(), time.seconds, time.nanos), (text, seconds, nanos), "{input}");
    };
    let micro_fails =
        |input: &str, error: &str| assert_eq!(Timestamp::parse_micro(input).unwrap_err().to_string(), error);
    micro("2006-01-02T15:04:05.123456Z", "2006-01-02T15:04:05.123456Z", 1136214245, 123456000);
    micro("2006-01-02T15:04:05.000001+01:00", "2006-01-02T14:04:05.000001Z", 1136210645, 1000);
    micro_fails(
        "2006-01-02T15:04:05Z",
        "parsing time \"2006-01-02T15:04:05Z\" as \"2006-01-02T15:04:05.000000Z07:00\": cannot parse \"Z\" as \".000000\"",
    );
    micro_fails(
        "2006-01-02T15:04:05.12345Z",
        "parsing time \"2006-01-02T15:04:05.12345Z\" as \"2006-01-02T15:04:05.000000Z07:00\": cannot parse \".12345Z\" as \".000000\"",
    );
    micro_fails(
        "2006-01-02T15:04:05.1234567Z",
        "parsing time \"2006-01-02T15:04:05.1234567Z\" as \"2006-01-02T15:04:05.000000Z07:00\": cannot parse \"7Z\" as \"Z07:00\"",
    );
    micro_fails(
        "2006-01-02T15:04:05.12a456Z",
        "parsing time \"2006-01-02T15:04:05.12a456Z\" as \"2006-01-02T15:04:05.000000Z07:00\": cannot parse \".12a456Z\" as \".000000\"",
    );
    micro_fails(
        "2006-01-02T15:04:05.-12345Z",
        "parsing time \"2006-01-02T15:04:05.-12345Z\": fractional second out of range",
    );
    micro_fails(
        "2006-01-02T15:04:05;123456Z",
        "parsing time \"2006-01-02T15:04:05;123456Z\" as \"2006-01-02T15:04:05.000000Z07:00\": cannot parse \";123456Z\" as \".000000\"",
    );
    let time = Timestamp { seconds: 0, nanos: 999_999_999 };
    assert_eq!(time.format_micro(), "1970-01-01T00:00:00.999999Z");
    assert_eq!(time.truncate_to_micros().nanos, 999_999_000);
    assert_eq!(time.truncate_to_seconds().nanos, 0);
}

/// Every day of eight centuries, there and back.
/// What is written of any year is read again, and only so.
#[test]
fn written_years() {
    for (seconds, text) in [
        (0, "1970-01-01T00:00:00.000001Z"),
        (253_402_300_799, "9999-12-31T23:59:59.000001Z"),
        (253_402_300_800, "10000-01-01T00:00:00.000001Z"),
        (-62_167_219_200, "0000-01-01T00:00:00.000001Z"),
        (-62_167_219_201, "-0001-12-31T23:59:59.000001Z"),
        (-377_705_116_801, "-10000-12-31T23:59:59.000001Z"),
        (i64::MAX, "292277026596-12-04T15:30:07.000001Z"),
        (i64::MIN, "-292277022657-01-27T08:29:52.000001Z"),
    ] {
        let time = Timestamp { seconds, nanos: 1000 };
        assert_eq!(time.format_micro(), text);
        assert_eq!(Timestamp::parse_written(text), Some(time), "{text}");
        let whole = time.truncate_to_seconds();
        assert_eq!(Timestamp::parse_written(&whole.format()), Some(whole), "{whole}");
    }
    for text in ["", "-", "--01-01T00:00:00Z", "10000-13-01T00:00:00Z", "292277026596-12-04T15:30:08Z"] {
        assert_eq!(Timestamp::parse_written(text), None, "{text}");
    }
    for year in [i64::MAX, -i64::MAX] {
        assert_eq!(Timestamp::parse_written(&format!("{year}-01-01T00:00:00Z")), None, "{year}");
    }
    assert!(Timestamp::parse("10000-01-01T00:00:00Z").is_err());
}

#[test]
fn days() {
    let mut days = days_from_civil(1600, 1, 1);
    for year in 1600..2400 {
        for month in 1..=12 {
            for day in 1..=days_in(year, month) {
                assert_eq!(days_from_civil(year, month, day), days);
                assert_eq!(civil_from_days(days), (year, month, day));
                days += 1;
            }
        }
    }
    assert_eq!(days_from_civil(1970, 1, 1), 0);
}

#[test]
fn durations() {
    let check = |input: &str, nanos: i64, text: &str| {
        let duration = Duration::parse(input).unwrap();
        assert_eq!((duration.0, duration.to_string().as_str()), (nanos, text), "{input}");
    };
    check("0", 0, "0s");
    check("5s", 5000000000, "5s");
    check("30s", 30000000000, "30s");
    check("1478s", 1478000000000, "24m38s");
    check("-5s", -5000000000, "-5s");
    check("+5s", 5000000000, "5s");
    check("-0", 0, "0s");
    check("5.0s", 5000000000, "5s");
    check("5.6s", 5600000000, "5.6s");
    check("5.s", 5000000000, "5s");
    check(".5s", 500000000, "500ms");
    check("1.0s", 1000000000, "1s");
    check("1.004s", 1004000000, "1.004s");
    check("100.00100s", 100001000000, "1m40.001s");
    check("10ns", 10, "10ns");
    check("11us", 11000, "11µs");
    check("12µs", 12000, "12µs");
    check("12μs10ns", 12010, "12.01µs");
    check("13ms", 13000000, "13ms");
    check("14s", 14000000000, "14s");
    check("15m", 900000000000, "15m0s");
    check("16h", 57600000000000, "16h0m0s");
    check("3h30m", 12600000000000, "3h30m0s");
    check("10.5s4m", 250500000000, "4m10.5s");
    check("-2m3.4s", -123400000000, "-2m3.4s");
    check("1h2m3s4ms5us6ns", 3723004005006, "1h2m3.004005006s");
    check("39h9m14.425s", 140954425000000, "39h9m14.425s");
    check("52763797000ns", 52763797000, "52.763797s");
    check("0.3333333333333333333h", 1200000000000, "20m0s");
    check("9007199254740993ns", 9007199254740993, "2501h59m59.254740993s");
    check("9223372036854775807ns", 9223372036854775807, "2562047h47m16.854775807s");
    check("9223372036854775.807us", 9223372036854775807, "2562047h47m16.854775807s");
    check("-9223372036854775808ns", -9223372036854775808, "-2562047h47m16.854775808s");
    check("0.100000000000000000000h", 360000000000, "6m0s");
    check("0.830103483285477580700h", 2988372539827, "49m48.372539827s");
}

#[test]
fn no_durations() {
    let fails = |input: &str, error: &str| assert_eq!(Duration::parse(input).unwrap_err().to_string(), error);
    fails("5.", "time: missing unit in duration \"5.\"");
    fails("", "time: invalid duration \"\"");
    fails("3", "time: missing unit in duration \"3\"");
    fails("-", "time: invalid duration \"-\"");
    fails("s", "time: invalid duration \"s\"");
    fails(".", "time: invalid duration \".\"");
    fails("-.", "time: invalid duration \"-.\"");
    fails(".s", "time: invalid duration \".s\"");
    fails("+.s", "time: invalid duration \"+.s\"");
    fails("1d", "time: unknown unit \"d\" in duration \"1d\"");
    fails("9223372036854775810ns", "time: invalid duration \"9223372036854775810ns\"");
    fails("9223372036854775808ns", "time: invalid duration \"9223372036854775808ns\"");
    fails("9223372036854ms775us808ns", "time: invalid duration \"9223372036854ms775us808ns\"");
    fails("3000000h", "time: invalid duration \"3000000h\"");
    fails("1.5.5s", "time: missing unit in duration \"1.5.5s\"");
    fails("\u{85}", "time: invalid duration \"\\xc2\\x85\"");
}

/// Milliseconds, in both forms.
#[test]
fn human_durations() {
    let check = |millis: i64, long: &str, short: &str| {
        let duration = Duration(millis * 1_000_000);
        assert_eq!((human_duration(duration).as_str(), short_human_duration(duration).as_str()), (long, short));
    };
    check(-2000, "<invalid>", "<invalid>");
    check(-1500, "0s", "0s");
    check(-1000, "0s", "0s");
    check(0, "0s", "0s");
    check(999, "0s", "0s");
    check(1000, "1s", "1s");
    check(70000, "70s", "1m");
    check(119000, "119s", "1m");
    check(120000, "2m", "2m");
    check(190000, "3m10s", "3m");
    check(599000, "9m59s", "9m");
    check(600000, "10m", "10m");
    check(4200000, "70m", "1h");
    check(10740000, "179m", "2h");
    check(10800000, "3h", "3h");
    check(11220000, "3h7m", "3h");
    check(28800000, "8h", "8h");
    check(169200000, "47h", "1d");
    check(176400000, "2d1h", "2d");
    check(172800000, "2d", "2d");
    check(608400000, "7d1h", "7d");
    check(691200000, "8d", "8d");
    check(31536000000, "365d", "1y");
    check(62985600000, "729d", "1y");
    check(63072000000, "2y", "2y");
    check(69120000000, "2y70d", "2y");
    check(252288000000, "8y", "8y");
    check(345600000000, "10y", "10y");
}

#[test]
fn ages() {
    let check = |later: (i64, u32), earlier: (i64, u32), nanos: i64| {
        let at = |(seconds, nanos)| Timestamp { seconds, nanos };
        assert_eq!(at(later).since(at(earlier)), Duration(nanos));
    };
    check((10, 5), (9, 6), 999_999_999);
    check((9, 6), (10, 5), -999_999_999);
    check((i64::MAX, 0), (0, 0), i64::MAX);
    check((i64::MIN, 0), (0, 0), i64::MIN);
    assert_eq!(Timestamp::from_unix(5, -1), Timestamp { seconds: 4, nanos: 999_999_999 });
    assert_eq!(Timestamp::from_unix(5, 2_000_000_001), Timestamp { seconds: 7, nanos: 1 });
    assert!(Timestamp::from_seconds(i64::MAX).format().starts_with("292277026596-12-04T"));
    assert_eq!(Duration::from_seconds(i64::MAX), Duration(i64::MAX));
}
