//! Requests as nobody should send them: each is answered as Go's server answers it, or the connection ends, and nothing
//! panics.

use std::cell::Cell;
use std::fmt::Write as _;
use std::sync::Once;

use corten_runtime::random::Random;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{Rig, head};
use crate::fixture::{settle, within};

async fn check(rig: &Rig, sent: &str, expected: &str) {
    let answer = rig.answer_to(sent.as_bytes()).await;
    assert_eq!(answer.lines().next().unwrap_or_default(), expected, "{sent:?}");
}

#[tokio::test]
async fn targets_that_are_no_paths() {
    let rig = Rig::start().await;
    let ok = "HTTP/1.1 200 OK";
    for (line, expected) in [
        ("GET /livez HTTP/1.1", ok),
        ("GET http://x/livez HTTP/1.1", ok),
        ("GET https://x:1/livez?verbose HTTP/1.1", ok),
        ("OPTIONS * HTTP/1.1", ok),
        // The administrator's; nobody else may look at what is no path.
        ("CONNECT x:443 HTTP/1.1", ok),
        ("GET * HTTP/1.1", "HTTP/1.1 404 Not Found"),
        ("GET x:443 HTTP/1.1", "HTTP/1.1 400 Bad Request"),
        ("GET x HTTP/1.1", "HTTP/1.1 400 Bad Request"),
        ("CONNECT /livez HTTP/1.1", ok),
        ("BREW /pot HTTP/1.1", "HTTP/1.1 404 Not Found"),
        ("GET // HTTP/1.1", ok),
        ("GET /%zz HTTP/1.1", "HTTP/1.1 404 Not Found"),
        ("GET /livez HTTP/1.0", "HTTP/1.0 200 OK"),
    ] {
        check(&rig, &format!("{line}\r\nHost: x\r\n\r\n"), expected).await;
    }
    check(&rig, "GET /livez HTTP/1.1\r\n\r\n", "HTTP/1.1 400 Bad Request").await;
    check(&rig, "GET /livez HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n", "HTTP/1.1 400 Bad Request").await;
    check(&rig, "GET /livez HTTP/1.1\r\nHost: x\r\nX: \u{e9}\r\n\r\n", ok).await;
    rig.is_well().await;
}

#[tokio::test]
async fn heads_of_nearly_a_megabyte_are_taken() {
    let rig = Rig::start().await;
    let groups = |count: usize, length: usize| {
        let mut head = String::from("GET /livez HTTP/1.1\r\nHost: x\r\nImpersonate-User: u\r\n");
        for number in 0..count {
            let _ = write!(head, "Impersonate-Group: g{number:0length$}\r\n");
        }
        head + "\r\n"
    };
    check(&rig, &groups(120, 10), "HTTP/1.1 200 OK").await;
    check(&rig, &groups(1000, 1000), "HTTP/1.1 200 OK").await;
    let too_large = "HTTP/1.1 431 Request Header Fields Too Large";
    check(&rig, &groups(1000, 1100), too_large).await;
    check(&rig, &groups(2000, 1), too_large).await;
    let long = format!("GET /livez?x={} HTTP/1.1\r\nHost: x\r\n\r\n", "a".repeat(70_000));
    check(&rig, &long, "HTTP/1.1 414 URI Too Long").await;
    rig.is_well().await;
}

thread_local! {
    static PANICS: Cell<usize> = const { Cell::new(0) };
}

/// Counts the panics of this thread, on which all tasks of a test run.
fn count_panics() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            PANICS.set(PANICS.get() + 1);
            before(panic);
        }));
    });
}

/// A head from parts that are right, odd or wrong.
fn crooked(random: &Random) -> Vec<u8> {
    const METHODS: [&str; 12] =
        ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE", "PRI", "get", "M-SEARCH"];
    const TARGETS: [&str; 24] = [
        "/",
        "",
        "*",
        "x",
        "x:443",
        "//",
        "/api",
        "/api/",
        "/apis/",
        "/api/v1",
        "/api/v1/",
        "/api/v1/pods",
        "/api/v1/namespaces/default/pods/a/status",
        "/api/v1/watch/",
        "/api/v1/watch/pods",
        "/api/v1/proxy",
        "http://x",
        "http://x/api/v1/pods?limit=1",
        "/openapi/v3",
        "/%",
        "/%00%ff",
        "/livez/",
        "/a?b=<>\"",
        "/apis/a/b/c/d/e/f/g",
    ];
    const QUERIES: [&str; 8] =
        ["", "", "?", "?watch=1&timeoutSeconds=1", "?=&&=", "?labelSelector=%ff", "?limit=-1", "?timeout=%"];
    const VERSIONS: [&str; 6] = ["HTTP/1.1", "HTTP/1.1", "HTTP/1.0", "HTTP/2.0", "HTTP/9", ""];
    const HEADERS: [&str; 24] = [
        "Host: x",
        "Host:",
        "Host: x y",
        "Content-Length: 0",
        "Content-Length: 3",
        "Content-Length: -1",
        "Content-Length: 99999999999999999999",
        "Transfer-Encoding: chunked",
        "Transfer-Encoding: gzip",
        "Connection: close",
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Upgrade: h2c",
        "Expect: 100-continue",
        "Sec-WebSocket-Key: x",
        "Sec-WebSocket-Version: 13",
        "Origin: x",
        "Accept: \u{e9}",
        "Accept: application/yaml;q=x,*/*",
        "Accept-Encoding: gzip",
        "Impersonate-User: u",
        "Authorization: Bearer \u{fe}",
        ": x",
        "X\u{0}: y",
    ];
    const BODIES: [&str; 7] = [
        "",
        "",
        "{}",
        "3\r\nabc\r\n0\r\n\r\n",
        "3;x=y\r\nabc\r\n0\r\nT: x\r\n\r\n",
        "zz\r\n",
        "GET / HTTP/1.1\r\n\r\n",
    ];
    let pick = |from: &[&str]| from[random.below(from.len() as u64) as usize].to_owned();
    let mut head = format!("{} {}{} {}\r\n", pick(&METHODS), pick(&TARGETS), pick(&QUERIES), pick(&VERSIONS));
    for _ in 0..random.below(7) {
        let _ = write!(head, "{}\r\n", pick(&HEADERS));
    }
    let _ = write!(head, "\r\n{}", pick(&BODIES));
    let mut head = head.into_bytes();
    // Some are damaged besides, and some are not whole.
    if random.below(4) == 0 {
        let at = random.below(head.len() as u64) as usize;
        head[at] = random.below(256) as u8;
    }
    if random.below(4) == 0 {
        head.truncate(random.below(head.len() as u64) as usize);
    }
    head
}

/// A frame of HTTP/2.
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u32).to_be_bytes();
    let mut frame = vec![length[1], length[2], length[3], kind, flags];
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// A block of headers, none of them compressed.
fn block(headers: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in headers {
        block.push(0);
        for text in [name, value] {
            block.push(text.len() as u8);
            block.extend(text.as_bytes());
        }
    }
    block
}

/// Frames from parts that are right, odd or wrong.
fn crooked_frames(random: &Random) -> Vec<u8> {
    const PSEUDO: [(&str, &str); 18] = [
        (":method", "GET"),
        (":method", "CONNECT"),
        (":method", "OPTIONS"),
        (":method", ""),
        (":scheme", "https"),
        (":scheme", "x y"),
        (":path", "/api/v1/pods?watch=1"),
        (":path", "/livez"),
        (":path", "*"),
        (":path", ""),
        (":path", "x"),
        (":authority", "x"),
        (":authority", "x:y@z"),
        (":authority", ""),
        (":protocol", "websocket"),
        (":status", "200"),
        (":x", "y"),
        ("host", "x"),
    ];
    const ORDINARY: [(&str, &str); 8] = [
        ("content-length", "3"),
        ("content-length", "-1"),
        ("te", "gzip"),
        ("connection", "close"),
        ("upgrade", "websocket"),
        ("X", "y"),
        ("accept", "\u{e9}"),
        ("expect", "100-continue"),
    ];
    let below = |end: usize| random.below(end as u64) as usize;
    let mut frames = Vec::new();
    for _ in 0..1 + below(6) {
        let stream = [0, 1, 1, 3, 5, 2, 0x7fff_ffff][below(7)];
        let payload = match below(3) {
            0 => (0..below(20)).map(|_| below(256) as u8).collect(),
            _ => {
                let mut headers: Vec<_> = match below(3) {
                    0 => vec![(":method", "GET"), (":scheme", "https"), (":path", "/livez"), (":authority", "x")],
                    1 => vec![(":method", "CONNECT"), (":authority", "x:443")],
                    _ => Vec::new(),
                };
                headers.extend((0..below(4)).map(|_| PSEUDO[below(PSEUDO.len())]));
                headers.extend((0..below(3)).map(|_| ORDINARY[below(ORDINARY.len())]));
                block(&headers)
            }
        };
        let kind = [1, 1, 1, 1, 0, 2, 3, 4, 6, 7, 8, 9, 9, 200][below(14)];
        let flags = [5, 5, 4, 1, 0, 0xff][below(6)];
        frames.extend(frame(kind, flags, stream, &payload));
    }
    frames
}

#[tokio::test]
async fn nothing_panics_whatever_frames_are_sent() {
    count_panics();
    let rig = Rig::start().await;
    let random = Random::seeded(88);
    for _ in 0..2000 {
        let mut client = rig.connect(true);
        let mut sent = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
        sent.extend(frame(4, 0, 0, &[]));
        sent.extend(crooked_frames(&random));
        let _ = client.write_all(&sent).await;
        settle().await;
        let _ = client.shutdown().await;
        let mut answer = Vec::new();
        let _ = within("the end of the connection", client.read_to_end(&mut answer)).await;
        assert_eq!(PANICS.get(), 0, "{:?}", String::from_utf8_lossy(&sent));
    }
    rig.is_well().await;
}

#[tokio::test]
async fn nothing_panics_whatever_is_sent() {
    count_panics();
    let rig = Rig::start().await;
    let random = Random::seeded(8);
    for _ in 0..3000 {
        let mut client = rig.connect(false);
        let mut sent = crooked(&random);
        if random.below(3) == 0 {
            sent.extend(crooked(&random));
        }
        let _ = client.write_all(&sent).await;
        // The client says that it is done, so that the server does not wait for the rest.
        let _ = client.shutdown().await;
        head(&mut client).await;
        assert_eq!(PANICS.get(), 0, "{:?}", String::from_utf8_lossy(&sent));
    }
    rig.is_well().await;
}
