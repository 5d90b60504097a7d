use super::*;

/// Input, then text, value and milli-value of what was parsed.
#[test]
fn parsed() {
    let check = |input: &str, text: &str, value: i64, milli_value: i64| {
        let quantity = Quantity::parse(input).unwrap();
        assert_eq!(quantity.to_string(), text, "{input}");
        assert_eq!((quantity.value(), quantity.milli_value()), (value, milli_value), "{input}");
        assert_eq!(Quantity::canonicalize(input).unwrap(), text);
        assert_eq!(Quantity::parse(text).unwrap().to_string(), text, "again");
    };
    check("0", "0", 0, 0);
    check("00", "0", 0, 0);
    check("0n", "0", 0, 0);
    check("0u", "0", 0, 0);
    check("0m", "0", 0, 0);
    check("0Ki", "0", 0, 0);
    check("0k", "0", 0, 0);
    check("0Mi", "0", 0, 0);
    check("0e3", "0", 0, 0);
    check("0Ei", "0", 0, 0);
    check("1", "1", 1, 1000);
    check("1Ki", "1Ki", 1024, 1024000);
    check("8Ki", "8Ki", 8192, 8192000);
    check("7Mi", "7Mi", 7340032, 7340032000);
    check("6Gi", "6Gi", 6442450944, 6442450944000);
    check("5Ti", "5Ti", 5497558138880, 5497558138880000);
    check("4Pi", "4Pi", 4503599627370496, 4503599627370496000);
    check("3Ei", "3Ei", 3458764513820540928, -9223372036854775808);
    check("10Ti", "10Ti", 10995116277760, 10995116277760000);
    check("100Ti", "100Ti", 109951162777600, 109951162777600000);
    check("5n", "5n", 1, 1);
    check("4u", "4u", 1, 1);
    check("3m", "3m", 1, 3);
    check("9", "9", 9, 9000);
    check("8k", "8k", 8000, 8000000);
    check("50k", "50k", 50000, 50000000);
    check("7M", "7M", 7000000, 7000000000);
    check("6G", "6G", 6000000000, 6000000000000);
    check("5T", "5T", 5000000000000, 5000000000000000);
    check("40T", "40T", 40000000000000, 40000000000000000);
    check("300T", "300T", 300000000000000, 300000000000000000);
    check("2P", "2P", 2000000000000000, 2000000000000000000);
    check("1E", "1E", 1000000000000000000, 0);
    check("1E-3", "1E-3", 1, 1);
    check("1e3", "1e3", 1000, 1000000);
    check("1E6", "1E6", 1000000, 1000000000);
    check("1e9", "1e9", 1000000000, 1000000000000);
    check("1E12", "1E12", 1000000000000, 1000000000000000);
    check("1e15", "1e15", 1000000000000000, 1000000000000000000);
    check("1E18", "1E18", 1000000000000000000, 0);
    check("1e14", "100e12", 100000000000000, 100000000000000000);
    check("1e13", "10e12", 10000000000000, 10000000000000000);
    check("100.035k", "100.035k", 100035, 100035000);
    check("0.001", "1m", 1, 1);
    check("0.0005k", "500m", 1, 500);
    check("0.005", "5m", 1, 5);
    check("0.05", "50m", 1, 50);
    check("0.5", "500m", 1, 500);
    check("0.00050k", "500m", 1, 500);
    check("0.00500", "5m", 1, 5);
    check("0.05000", "50m", 1, 50);
    check("0.50000", "500m", 1, 500);
    check("0.5e0", "500e-3", 1, 500);
    check("0.5e-1", "50e-3", 1, 50);
    check("0.5e-2", "5e-3", 1, 5);
    check("10.035M", "10.035M", 10035000, 10035000000);
    check("1.2e3", "1200", 1200, 1200000);
    check("1.3E+6", "1300e3", 1300000, 1300000000);
    check("1.40e9", "1400e6", 1400000000, 1400000000000);
    check("1.53E12", "1530e9", 1530000000000, 1530000000000000);
    check("1.6e15", "1600e12", 1600000000000000, 1600000000000000000);
    check("1.7E18", "1700e15", 1700000000000000000, 0);
    check("9.01", "9010m", 10, 9010);
    check("8.1k", "8100", 8100, 8100000);
    check("7.123456M", "7.123456M", 7123456, 7123456000);
    check("6.987654321G", "6.987654321G", 6987654321, 6987654321000);
    check("5.444T", "5.444T", 5444000000000, 5444000000000000);
    check("40.1T", "40100G", 40100000000000, 40100000000000000);
    check("300.2T", "300200G", 300200000000000, 300200000000000000);
    check("2.5P", "2500T", 2500000000000000, 2500000000000000000);
    check("1.01E", "1010P", 1010000000000000000, 0);
    check("3.001n", "4n", 1, 1);
    check("1.1E-9", "2e-9", 1, 1);
    check("0.0000000001", "1n", 1, 1);
    check("0.0000000005", "1n", 1, 1);
    check("0.5e-9", "1e-9", 1, 1);
    check("0.9n", "1n", 1, 1);
    check("0.00000012345", "124n", 1, 1);
    check("0.00000012354", "124n", 1, 1);
    check("9Ei", "9223372036854775807", 9223372036854775807, -1000);
    check("9223372036854775807Ki", "9223372036854775807", 9223372036854775807, -1000);
    check("12E", "12E", 0, 0);
    check("100.035Ki", "102435840m", 102436, 102435840);
    check("0.5Mi", "512Ki", 524288, 524288000);
    check("0.05Gi", "53687091200m", 53687092, 53687091200);
    check("0.025Ti", "27487790694400m", 27487790695, 27487790694400);
    check("0.000000000001Ki", "2n", 1, 1);
    check(".001", "1m", 1, 1);
    check(".0001k", "100m", 1, 100);
    check("1.", "1.", 1, 1000);
    check("1.G", "1.G", 1000000000, 1000000000000);
    check("1024Mi", "1Gi", 1073741824, 1073741824000);
    check("307200Ki", "300Mi", 314572800, 314572800000);
    check("1025024Mi", "1001Gi", 1074815565824, 1074815565824000);
    check("1024Gi", "1Ti", 1099511627776, 1099511627776000);
    check("5000m", "5", 5, 5000);
    check("1000M", "1G", 1000000000, 1000000000000);
    check("0.001T", "1G", 1000000000, 1000000000000);
    check("1000u", "1m", 1, 1);
    check("1.08", "1080m", 2, 1080);
    check("1080000000n", "1080m", 2, 1080);
    check("1025", "1025", 1025, 1025000);
    check(".001e12", "1e9", 1000000000, 1000000000000);
    check("1000e-12", "1e-9", 1, 1);
    check("80e-3", "80e-3", 1, 80);
    check("300e6", "300e6", 300000000, 300000000000);
    check("1.500k", "1.500k", 1500, 1500000);
    check("+1", "+1", 1, 1000);
    check("001", "001", 1, 1000);
    check("-1", "-1", -1, -1000);
    check("-12.3k", "-12300", -12300, -12300000);
    check("-500m", "-500m", -1, -500);
    check("-1.5Gi", "-1536Mi", -1610612736, -1610612736000);
    check("1024", "1024", 1024, 1024000);
    check("2048Ki", "2Mi", 2097152, 2097152000);
    check("1023Ki", "1023Ki", 1047552, 1047552000);
    check("1000E", "1", 0, 0);
    check("9999999999999999999", "9999999999999999999", -8446744073709551617, 1864712049423023128);
    check(
        "123456789012345678901234567890",
        "123456789012345678901234567890",
        -4362896299872285998,
        8982045596877734992,
    );
    check("1e100", "10e99", 0, 0);
    check("1e-100", "1e-9", 1, 1);
    check("1.1Ki", "1126400m", 1127, 1126400);
    check("1e+03", "1e+03", 1000, 1000000);
    check("1E3", "1E3", 1000, 1000000);
    check("k", "0", 0, 0);
    check(".", "0", 0, 0);
    check("+", "0", 0, 0);
    check("-.5", "-500m", -1, -500);
    check("e3", "0", 0, 0);
    check("12e4294967296", "12e4294967296", 12, 12000);
}

#[test]
fn not_parsed() {
    let fails = |input: &str, error: ParseError| assert_eq!(Quantity::parse(input).unwrap_err(), error, "{input}");
    fails("", ParseError::Format);
    fails("1.1.M", ParseError::Format);
    fails("1+1.0M", ParseError::Format);
    fails("0.1mi", ParseError::Suffix);
    fails("0.1am", ParseError::Format);
    fails("aoeu", ParseError::Format);
    fails(".5i", ParseError::Suffix);
    fails("1i", ParseError::Suffix);
    fails("-3.01i", ParseError::Suffix);
    fails("-3.01e-", ParseError::Suffix);
    fails(" 1", ParseError::Format);
    fails("1 ", ParseError::Format);
    fails("Ei", ParseError::Numeric);
    fails(".Ei", ParseError::Numeric);
    fails("1e", ParseError::Suffix);
    fails("1eE5", ParseError::Suffix);
    fails("1e99999999999999999999", ParseError::Suffix);
    fails("1KiB", ParseError::Format);
    fails("0x1", ParseError::Format);
    fails("1_000", ParseError::Format);
    fails("--1", ParseError::Suffix);
    fails("1Kii", ParseError::Suffix);
    assert_eq!(
        ParseError::Format.to_string(),
        "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
    );
    assert_eq!(ParseError::Numeric.to_string(), "unable to parse numeric part of quantity");
    assert_eq!(ParseError::Suffix.to_string(), "unable to parse quantity's suffix");
    assert_eq!(Quantity::parse_json(" 1Gi\n").unwrap().to_string(), "1Gi");
}

#[test]
fn written() {
    use Format::{BinarySI, DecimalExponent, DecimalSI};
    let check = |value: i64, scale: i32, format: Format, expected: &str| {
        assert_eq!(Quantity::scaled(value, scale, format).to_string(), expected);
    };
    check(1024 * 1024 * 1024, 0, BinarySI, "1Gi");
    check(300 * 1024 * 1024, 0, BinarySI, "300Mi");
    check(6 * 1024, 0, BinarySI, "6Ki");
    check(1001 * 1024 * 1024 * 1024, 0, BinarySI, "1001Gi");
    check(5, 0, BinarySI, "5");
    check(500, -3, BinarySI, "500m");
    check(1234567, -3, BinarySI, "1234567m");
    check(1025, 0, BinarySI, "1025");
    check(-1024, 0, BinarySI, "-1Ki");
    check(0, 0, BinarySI, "0");
    check(1, 9, DecimalSI, "1G");
    check(1000, 6, DecimalSI, "1G");
    check(1_000_000_000, 0, DecimalSI, "1G");
    check(108, -2, DecimalSI, "1080m");
    check(10800, -4, DecimalSI, "1080m");
    check(108, -8, DecimalSI, "1080n");
    check(1_234_567, 6, DecimalSI, "1234567M");
    check(i64::MAX, 1, DecimalSI, "92233720368547758070");
    check(1, 9, DecimalExponent, "1e9");
    check(80, -3, DecimalExponent, "80e-3");
    check(1, 4, DecimalExponent, "10e3");
    check(0, 0, DecimalExponent, "0");
}

#[test]
fn compared() {
    let check = |a: &str, b: &str, expected: Ordering| {
        let (a, b) = (Quantity::parse(a).unwrap(), Quantity::parse(b).unwrap());
        assert_eq!((a.cmp(&b), b.cmp(&a)), (expected, expected.reverse()), "{a} {b}");
    };
    check("0", "0Ki", Ordering::Equal);
    check("1Gi", "1073741824", Ordering::Equal);
    check("1000m", "1", Ordering::Equal);
    check("1e3", "1k", Ordering::Equal);
    check("0.1Gi", "107374182400m", Ordering::Equal);
    check("1", "1.0000000000000000000001", Ordering::Less);
    check("1Ki", "1k", Ordering::Greater);
    check("-1", "1m", Ordering::Less);
    check("-2.5Gi", "-1.5Gi", Ordering::Less);
    check("9Ei", "8E", Ordering::Greater);
    check("1e2147483647", "1E", Ordering::Greater);
    check("-1e2147483647", "1e-2147483647", Ordering::Less);
    check("12345678901234567890e2147483000", "12345678901234567891e2147483000", Ordering::Less);
    check("1e200", "10e199", Ordering::Equal);
    assert_eq!(Quantity::parse("1.5Gi").unwrap().cmp_i64(1_610_612_736), Ordering::Equal);
    assert_eq!(Quantity::parse("1m").unwrap().cmp_i64(0), Ordering::Greater);
    assert_eq!(Quantity::parse("1e300").unwrap().cmp_i64(i64::MAX), Ordering::Greater);
}

#[test]
fn added_and_subtracted() {
    let check = |a: &str, b: &str, sum: &str, difference: &str| {
        let (a, b) = (Quantity::parse(a).unwrap(), Quantity::parse(b).unwrap());
        let (mut up, mut down) = (a.clone(), a.clone());
        up.add(&b);
        down.sub(&b);
        assert_eq!((up.to_string().as_str(), down.to_string().as_str()), (sum, difference), "{a} {b}");
    };
    check("1Ki", "1", "1025", "1023");
    check("10", "1.1", "11100m", "8900m");
    check("1Gi", "1G", "2073741824", "73741824");
    check("0", "1Gi", "1Gi", "-1Gi");
    check("0", "1e3", "1e3", "-1e3");
    check("500m", "0.5", "1", "0");
    check("1.500k", "0", "1500", "1500");
    check("8Ei", "8Ei", "18446744073709551614", "0");
    check("12345678901234567890", "1", "12345678901234567891", "12345678901234567889");
    check("1n", "9E", "9000000000000000000000000001n", "-8999999999999999999999999999n");
    check("-100.5Gi", "0.5Gi", "-100Gi", "-101Gi");
    check("1e100000", "1", "10e99999", "10e99999");
    let mut quantity = Quantity::parse("1.500k").unwrap();
    quantity.neg();
    assert_eq!((quantity.to_string().as_str(), quantity.sign()), ("-1500", -1));
    let mut quantity = Quantity::parse("100000000000000000000.5k").unwrap();
    quantity.neg();
    assert_eq!((quantity.to_string().as_str(), quantity.sign()), ("-100000000000000000000500", -1));
}

#[test]
fn rounded() {
    let check = |input: &str, scale: i32, expected: &str, exact: bool| {
        let mut quantity = Quantity::parse(input).unwrap();
        assert_eq!(quantity.round_up(scale), exact, "{input}");
        assert_eq!(quantity.to_string(), expected, "{input}");
    };
    check("9.01", 0, "10", false);
    check("9.01", -3, "9010m", true);
    check("-9.01", 0, "-10", false);
    check("1n", 0, "1", false);
    check("1.5Gi", 0, "1536Mi", true);
    check("0.0000001Gi", 0, "108", false);
    check("12", 1, "20", false);
}

#[test]
fn scaled() {
    let check = |input: &str, scale: i32, expected: i64| {
        assert_eq!(Quantity::parse(input).unwrap().scaled_value(scale), expected, "{input} {scale}");
    };
    check("1", MILLI, 1000);
    check("1001m", 0, 2);
    check("-1001m", 0, -2);
    check("1.5Gi", 6, 1611);
    check("1.5", NANO, 1_500_000_000);
    check("1Ki", MICRO, 1_024_000_000);
    check("0e2147483647", 0, 0);
    check("1e-2147483647", 0, 1);
    assert_eq!(Quantity::parse("1k").unwrap().as_i64(), Some(1000));
    assert_eq!(Quantity::parse("1m").unwrap().as_i64(), None);
    assert_eq!(Quantity::parse("10E").unwrap().as_i64(), None);
}

/// The common forms own nothing.
#[test]
fn compact() {
    for text in ["100m", "1", "128Mi", "16Gi", "1.5", "2k", "0", "0.5", "250m", "1e3"] {
        let quantity = Quantity::parse(text).unwrap();
        assert!(matches!(quantity.amount, Amount::Small(_)) && quantity.text.is_none(), "{text}");
    }
    for text in ["100m", "128Mi", "16Gi", "500m"] {
        assert!(matches!(Quantity::canonicalize(text).unwrap(), Cow::Borrowed(_)), "{text}");
    }
}
