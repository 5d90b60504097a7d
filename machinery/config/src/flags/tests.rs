use super::*;

const COMMAND: Command = Command {
    name: "corten test",
    usage: "[flags]",
    about: "Tests.",
    arguments: Arguments::Any,
    sections: &[
        Section {
            title: "Generic",
            flags: &[
                Flag::string("data-dir", "/var/lib/corten", "Where `DIR` data is kept."),
                Flag::bool("verbose", false, "Say more."),
                Flag::bool("profiling", true, "Profile.").short('p'),
                Flag::int("v", "0", "Verbosity.").short('v'),
                Flag::ip("bind-address", "0.0.0.0", "Where to listen."),
                Flag::duration("request-timeout", "1m0s", "How long."),
                Flag::float("ratio", "0", "A ratio.").hidden(),
            ],
        },
        Section {
            title: "Other",
            flags: &[
                Flag::list("authorization-mode", "Node,RBAC", "Modes.").check(no_always_allow),
                Flag::repeated("key", "Keys."),
                Flag::map("labels", "", "Labels."),
                Flag::bool_map("feature-gates", "", "Gates."),
                Flag::choice("log-format", &["text", "json"], "text", "Format."),
                Flag::string("old", "", "Old.").deprecated("use --data-dir"),
                Flag::unsupported("insecure-port", "TLS is always on"),
            ],
        },
    ],
};

fn no_always_allow(value: &str) -> Result<(), String> {
    if value.contains("AlwaysAllow") { Err("authorization is always on".to_owned()) } else { Ok(()) }
}

fn parse(line: &str) -> Result<Flags, Error> {
    COMMAND.parse(line.split(' ').filter(|word| !word.is_empty()))
}

#[test]
fn defaults_are_valid_and_used() {
    for flag in COMMAND.flags().filter(|flag| !flag.default.is_empty()) {
        assert_eq!(parse::check(flag, flag.default), Ok(()), "--{}", flag.name);
    }
    let flags = parse("").unwrap();
    assert_eq!((flags.string("data-dir"), flags.bool("verbose"), flags.int("v")), ("/var/lib/corten", false, 0));
    assert_eq!(flags.ip("bind-address"), Some(IpAddr::from([0, 0, 0, 0])));
    assert_eq!((flags.duration("request-timeout"), flags.float("ratio")), (Duration::from_secs(60), 0.0));
    assert_eq!(flags.list("authorization-mode"), ["Node", "RBAC"]);
    assert!(flags.list("key").is_empty() && flags.map("labels").is_empty() && !flags.is_set("data-dir"));
}

#[test]
fn pflags_syntax() {
    fn check(line: &str, seen: impl Fn(&Flags) -> String, expected: &str) {
        assert_eq!(seen(&parse(line).unwrap_or_else(|error| panic!("{line}: {error}"))), expected, "{line}");
    }
    let data = |flags: &Flags| flags.string("data-dir").to_owned();
    check("--data-dir=/a", data, "/a");
    check("--data-dir /a", data, "/a");
    check("--data_dir /a", data, "/a");
    check("--data-dir /a --data-dir=/b=c", data, "/b=c");
    check("--data-dir=", data, "");
    check("--data-dir --verbose", data, "--verbose");
    let verbose = |flags: &Flags| format!("{} {:?}", flags.bool("verbose"), flags.arguments());
    check("--verbose", verbose, "true []");
    check("--verbose=false", verbose, "false []");
    check("--verbose false", verbose, "true [\"false\"]");
    check("a --verbose - -- --verbose=false -x", verbose, "true [\"a\", \"-\", \"--verbose=false\", \"-x\"]");
    let short = |flags: &Flags| format!("{} {}", flags.int("v"), flags.bool("profiling"));
    check("-v 3", short, "3 true");
    check("-v3", short, "3 true");
    check("-v=3", short, "3 true");
    check("--v=0x10", short, "16 true");
    check("-p=false", short, "0 false");
    check("-pv 7", short, "7 true");
    let list = |flags: &Flags| flags.list("authorization-mode").join("|");
    check("--authorization-mode=RBAC", list, "RBAC");
    check("--authorization-mode=Node,RBAC --authorization-mode=Webhook", list, "Node|RBAC|Webhook");
    check("--authorization-mode=\"a,b\",c,\"d\"\"\",", list, "a,b|c|d\"|");
    check("--authorization-mode=", list, "");
    check("--key=a,b --key=c", |flags| flags.list("key").join("|"), "a,b|c");
    let map = |flags: &Flags| format!("{:?}", flags.map("labels"));
    check("--labels=b=1,a=x=y,, --labels=b=2", map, r#"{"a": "x=y", "b": "2"}"#);
    let gates = |flags: &Flags| format!("{:?}", flags.bool_map("feature-gates"));
    check("--feature-gates=B=true,A=F", gates, r#"[("B", true), ("A", false)]"#);
    check("--bind-address=::1", |flags| format!("{:?}", flags.ip("bind-address")), "Some(::1)");
    check("--old=x", |flags| format!("{:?}", flags.deprecated()), r#"[("old", "use --data-dir")]"#);
}

#[test]
fn errors_name_the_flag() {
    fn check(line: &str, expected: &str) {
        let error = parse(line).map(|_| ()).unwrap_err();
        assert_eq!(error.to_string(), format!("{expected}\nSee 'corten test --help' for usage."));
        assert_eq!(error.exit_code(), 1);
    }
    check("--nothing-like-it=1", "unknown flag: --nothing-like-it");
    check("--data-dirs=1", "unknown flag: --data-dirs (did you mean --data-dir?)");
    check("-x", "unknown shorthand flag: 'x' in -x");
    check("-px", "unknown shorthand flag: 'x' in -px");
    check("---a", "bad flag syntax: ---a");
    check("--=a", "bad flag syntax: --=a");
    check("--data-dir", "flag needs an argument: --data-dir");
    check("-pv", "flag needs an argument: 'v' in -pv");
    check("--insecure-port=0", "flag --insecure-port is not supported: TLS is always on");
    check(
        "--verbose=maybe",
        "invalid argument \"maybe\" for \"--verbose\" flag: strconv.ParseBool: parsing \"maybe\": invalid syntax",
    );
    check("-v x", "invalid argument \"x\" for \"-v, --v\" flag: strconv.ParseInt: parsing \"x\": invalid syntax");
    check(
        "--request-timeout=5",
        "invalid argument \"5\" for \"--request-timeout\" flag: time: missing unit in duration \"5\"",
    );
    check("--bind-address=a", "invalid argument \"a\" for \"--bind-address\" flag: failed to parse IP: \"a\"");
    check("--labels=a", "invalid argument \"a\" for \"--labels\" flag: malformed pair, expect string=string");
    check(
        "--feature-gates=a",
        "invalid argument \"a\" for \"--feature-gates\" flag: malformed pair, expect string=bool",
    );
    check(
        "--feature-gates=a=b",
        "invalid argument \"a=b\" for \"--feature-gates\" flag: invalid value of a: b, err: strconv.ParseBool: parsing \
         \"b\": invalid syntax",
    );
    check("--log-format=xml", "invalid argument \"xml\" for \"--log-format\" flag: it must be one of text, json");
    check(
        "--authorization-mode=AlwaysAllow",
        "invalid argument \"AlwaysAllow\" for \"--authorization-mode\" flag: authorization is always on",
    );
    check(
        "--authorization-mode=\"a",
        "invalid argument \"\\\"a\" for \"--authorization-mode\" flag: unfinished quote in \"\\\"a\"",
    );
}

#[test]
fn arguments_are_counted() {
    fn check(arguments: Arguments, words: &[&str], expected: Option<&str>) {
        let result = Command { arguments, ..COMMAND }.parse(words.iter().copied());
        let message = result.err().map(|error| error.to_string().lines().next().unwrap().to_owned());
        assert_eq!(message.as_deref(), expected);
    }
    check(Arguments::None, &[], None);
    check(Arguments::None, &["a"], Some("\"corten test\" does not take any arguments, got [\"a\"]"));
    check(Arguments::Exactly(1), &["a"], None);
    check(Arguments::Exactly(1), &["a", "b"], Some("\"corten test\" takes 1 arguments, got [\"a\", \"b\"]"));
}

#[test]
fn help_comes_from_the_table() {
    let expected = "Tests.

Usage:
  corten test [flags]

Generic flags:

      --data-dir DIR               Where DIR data is kept. (default \"/var/lib/corten\")
      --verbose                    Say more.
  -p, --profiling                  Profile. (default true)
  -v, --v int                      Verbosity.
      --bind-address ip            Where to listen. (default 0.0.0.0)
      --request-timeout duration   How long. (default 1m0s)

Other flags:

      --authorization-mode strings    Modes. (default [Node,RBAC])
      --key stringArray               Keys.
      --labels mapStringString        Labels.
      --feature-gates mapStringBool   Gates.
      --log-format string             Format. One of text, json. (default \"text\")
      --old string                    Old. (DEPRECATED: use --data-dir)
";
    for line in ["--help", "-h", "--verbose -h --nothing"] {
        assert_eq!(parse(line).unwrap_err(), Error::Help(expected.to_owned()));
    }
    assert_eq!(Error::Help(String::new()).exit_code(), 0);
}

#[test]
#[should_panic(expected = "corten test has no flag --nothing")]
fn asking_for_a_flag_that_is_not_there_is_a_mistake() {
    parse("").unwrap().string("nothing");
}
