use std::time::{Duration, Instant};

use corten_runtime::random::Random;

use super::*;

#[track_caller]
fn matches(pattern: &str, text: &str, expected: bool) {
    assert_eq!(Arc::new(Pattern::read(pattern)).is_match(text), expected, "{pattern} on {text}");
}

#[test]
fn means_what_go_means() {
    matches(r"^\d+$", "12", true);
    matches(r"^\d+$", "١٢", false);
    matches(r"^[\w.]+$", "a_1.b", true);
    matches(r"^[^\d]$", "x", true);
    matches(r"^[\D]$", "1", false);
    matches(r"^[a&&b]+$", "a&b", true);
    matches(r"^[[a]+$", "[a", true);
    matches(r"^[]a]+$", "]a", true);
    matches(r"^a{,2}$", "a{,2}", true);
    matches(r"^a{2}$", "aa", true);
    matches(r"^\Qa.b\E$", "a.b", true);
    matches(r"^\Qa.b\E$", "axb", false);
    matches(r"^[+--]$", ",", true);
    matches(r"^[[:alpha:]]+$", "ab", true);
    matches(r"^\<a\>$", "<a>", true);
    matches(r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$", "a.b-c", true);
    matches(r"^(25[0-5]|2[0-4]\d)\.x$", "250.x", true);
}

#[test]
fn a_pattern_is_shared_and_forgotten_when_nobody_has_it() {
    let mut patterns = Patterns::default();
    let mut get = |text: &str| match patterns.find(text) {
        Some(known) => (known, patterns.by_text.len()),
        None => (patterns.add(Pattern::read(text)), patterns.by_text.len()),
    };
    let (first, _) = get("first");
    for number in 0..1000 {
        let (_, entries) = get(&number.to_string());
        assert!(entries <= ENTRIES_MIN, "{entries} entries for patterns that nobody has");
    }
    assert!(Arc::ptr_eq(&first, &get("first").0), "somebody has it");
    let recent = Arc::downgrade(&get("999").0);
    assert!(recent.upgrade().is_some_and(|recent| Arc::ptr_eq(&recent, &get("999").0)), "whoever comes next finds it");
    assert!(Arc::ptr_eq(&Pattern::shared("^a$"), &Pattern::shared("^a$")));
}

#[test]
fn says_what_go_says() {
    let error = |pattern: &str| Pattern::read(pattern).error.unwrap().into_string();
    assert_eq!(error("(a"), "error parsing regexp: missing closing ): `(a`");
    assert_eq!(error("a["), "error parsing regexp: missing closing ]: `[`");
    assert_eq!(error("*a"), "error parsing regexp: missing argument to repetition operator: `*`");
    assert_eq!(error("a(?=b)"), "error parsing regexp: invalid or unsupported Perl syntax: `(?=`");
    assert_eq!(error("a)"), "error parsing regexp: unexpected ): `a)`");
    assert_eq!(error("a{1001}"), "error parsing regexp: invalid repeat count: `{1001}`");
    assert_eq!(error("(a{101}){10}"), "error parsing regexp: invalid repeat count: `{101}`");
    assert_eq!(error("a{2,1}").lines().count(), 1);
    assert_eq!(error("a**"), "error parsing regexp: invalid nested repetition operator: `**`");
    assert_eq!(error("a{2}{3}"), "error parsing regexp: invalid nested repetition operator: `{2}{3}`");
    assert_eq!(error("(?x)a"), "error parsing regexp: invalid or unsupported Perl syntax: `(?x`");
    assert!(error(r"\p{Nothing}").starts_with("error parsing regexp: "));
    assert!(error(r"[a\p{Nothing}]").starts_with("error parsing regexp: "));
    let deep = format!("{}a{}", "(".repeat(1001), ")".repeat(1001));
    assert!(error(&deep).starts_with("error parsing regexp: expression nests too deeply: `((("));
    assert!(error(&"(abc{1000}){1}".repeat(150)).starts_with("error parsing regexp: expression too large: `(abc"));
    assert!(error(&"a".repeat(200_000)).starts_with("error parsing regexp: expression too large: `aaa"));
}

#[test]
fn places_and_modes() {
    matches(r"^b", "a\nb", false);
    matches(r"(?m)^b", "a\nb", true);
    matches(r"a$", "a\n", false);
    matches(r"(?m)a$", "a\nb", true);
    matches(r"\Aa\z", "a", true);
    matches(r"a.b", "a\nb", false);
    matches(r"(?s)a.b", "a\nb", true);
    matches(r"(?i)STRASSE\pL", "strasseſ", true);
    matches(r"(?i)k", "\u{212a}", true);
    matches(r"a(?i)b|c", "C", true);
    matches(r"(?:a(?i)b)c", "aBC", false);
    matches(r"(?i:a)b", "AB", false);
    matches(r"\bcat\b", "a cat.", true);
    matches(r"\bcat\b", "concat", false);
    matches(r"\bé", "é", false);
    matches(r"\Bé", "é", true);
    matches(r"^(a|b)?$", "", true);
    matches(r"^(a{2,4}|b{3,})$", "aaaaa", false);
    matches(r"^(a{2,4}|b{3,})$", "bbbbb", true);
    matches(r"^(()*a?)*$", "aa", true);
    matches(r"[^\x00-\x{10FFFF}]", "a", false);
    matches("", "", true);
    matches(r"^\pL{3}\PL$", "aéж1", true);
    matches(r"^[\p{Greek}\d]+$", "αβ1", true);
}

/// A pattern at random, over few characters, so that texts match now and then.
fn pattern(random: &Random, depth: u32) -> String {
    let inner = || pattern(random, depth + 1);
    match random.below(if depth > 4 { 6 } else { 14 }) {
        0..3 => ["a", "b", "1", " ", "é", "\\n"][random.below(6) as usize].to_owned(),
        3 => {
            [".", "[ab]", "[^a]", "\\w", "\\W", "\\d", "\\pL", "[^\\pL1]", "\\PL"][random.below(9) as usize].to_owned()
        }
        4 => ["^", "$", "\\A", "\\z", "(?m:^)", "(?m:$)", "\\b", "\\B"][random.below(8) as usize].to_owned(),
        5 => String::new(),
        6..9 => (0..1 + random.below(4)).map(|_| inner()).collect(),
        9 => format!("({}|{})", inner(), inner()),
        10 => format!("(?i:{}|{})", inner(), inner()),
        11 => format!("(?:{}){}", inner(), ["*", "+", "?", "*?"][random.below(4) as usize]),
        12 => format!("(?:{}){{{}}}", inner(), random.below(4)),
        _ => format!("(?:{}){{{},{}}}", inner(), random.below(2), 2 + random.below(3)),
    }
}

#[test]
fn matches_what_another_engine_matches() {
    let random = Random::seeded(11);
    let (mut yes, mut no) = (0, 0);
    for _ in 0..3000 {
        let text = pattern(&random, 0);
        // The other engine looks for words of any language.
        let characters: &[char] = match text.contains("\\b") || text.contains("\\B") {
            true => &['a', 'b', '1', ' ', '\n', 'A'],
            false => &['a', 'b', '1', ' ', '\n', 'A', 'é', 'Σ', '\u{1F600}'],
        };
        let mut other = text.clone();
        for (written, ascii) in [("\\w", "[0-9A-Za-z_]"), ("\\W", "[^0-9A-Za-z_]"), ("\\d", "[0-9]")] {
            other = other.replace(written, ascii);
        }
        let other = regex::Regex::new(&other).unwrap();
        let pattern = Arc::new(Pattern::read(&text));
        assert_eq!(pattern.error, None, "{text}");
        for _ in 0..12 {
            let on: String =
                (0..random.below(9)).map(|_| characters[random.below(characters.len() as u64) as usize]).collect();
            let expected = other.is_match(&on);
            assert_eq!(pattern.is_match(&on), expected, "{text:?} on {on:?}");
            *if expected { &mut yes } else { &mut no } += 1;
        }
    }
    assert!(yes > 3000 && no > 3000, "{yes} and {no}: the cases say little");
}

/// With as much stack as a level of an object may take.
#[test]
fn as_deep_as_may_be() {
    let deepest = || {
        matches(&format!("^{}a{}$", "(".repeat(990), ")".repeat(990)), "a", true);
        matches(&format!("^{}a{}$", "(?:".repeat(490), ")?".repeat(490)), "", true);
    };
    std::thread::Builder::new().stack_size(1000 * 10 * 1024).spawn(deepest).unwrap().join().unwrap();
}

/// More sets of states come up than are kept.
#[test]
fn goes_on_when_its_cache_is_full() {
    let random = Random::seeded(12);
    let text = r"^(a|b)*a(a|b){14}$";
    let (pattern, other) = (Arc::new(Pattern::read(text)), regex::Regex::new(text).unwrap());
    for _ in 0..20 {
        let on: String = (0..3000).map(|_| if random.below(2) == 0 { 'a' } else { 'b' }).collect();
        assert_eq!(pattern.is_match(&on), other.is_match(&on));
        assert!(pattern.program().unwrap().cache.lock().full());
    }
}

/// Small patterns that stand for much. None has a program before it is needed.
#[test]
fn what_a_pattern_takes() {
    let check = |text: &str, bytes_max: usize| {
        let pattern = Arc::new(Pattern::read(text));
        assert_eq!(pattern.error, None);
        assert!(pattern.program.lock().is_none());
        pattern.is_match("a");
        let bytes = pattern.program().unwrap().bytes();
        assert!(bytes <= bytes_max, "{bytes} bytes for {text}");
    };
    check("^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", 20 << 10);
    check(r"\pL{60}17", 32 << 10);
    check(r"^[\pL\pN]{1000}[^\pL]{1000}$", 96 << 10);
    check(&r"[\pL1]{1000}".repeat(100), 4 << 20);
}

#[test]
fn programs_are_given_up_for_new_ones() {
    let patterns: Vec<_> = (0..4).map(|number| Arc::new(Pattern::read(&number.to_string()))).collect();
    let mut programs = Programs::default();
    let mut add = |at: usize, bytes| {
        programs
            .add(Arc::downgrade(&patterns[at]), bytes)
            .iter()
            .map(|old| old.upgrade().unwrap().text.clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(add(0, PROGRAM_BYTES_MAX / 2), []);
    assert_eq!(add(1, PROGRAM_BYTES_MAX / 2), []);
    assert_eq!(add(2, 1), ["0".into()]);
    assert_eq!(add(3, PROGRAM_BYTES_MAX + 1), ["1".into(), "2".into()]);
}

/// Twice the text takes twice the time, and so does a pattern of twice the states.
#[test]
fn the_time_grows_with_the_text() {
    let cost = |times: usize, length: usize| -> Duration {
        let pattern = Arc::new(Pattern::read(&format!("^(?:a?){{{times}}}a{{{times}}}b$")));
        let text = "a".repeat(length);
        let round = |_| {
            let started = Instant::now();
            assert!(!pattern.is_match(&text));
            started.elapsed()
        };
        (0..3).map(round).min().unwrap_or_default()
    };
    let once = cost(50, 500);
    let (longer, larger) = (cost(50, 1000), cost(100, 500));
    assert!(
        longer < once * 8 && larger < once * 8,
        "{once:?}; {longer:?} for a longer text, {larger:?} for more states"
    );
}
