//! References to images, as far as defaulting must understand them: whether one asks for the tag `latest`.

/// Whether the tag is `latest`, said or, where there is neither tag nor digest, meant. What is no valid reference has
/// no tag.
pub fn is_latest(image: &str) -> bool {
    // 64 hexadecimal digits are an image's id, which cannot be pulled.
    if image.len() == 64 && image.bytes().all(is_lower_hex) {
        return false;
    }
    let (domain, rest) = split_domain(image);
    let repository = rest.split(':').next().unwrap_or_default();
    if repository.chars().any(char::is_uppercase) {
        return false;
    }
    let (rest, digest) = match rest.split_once('@') {
        Some((rest, digest)) => (rest, Some(digest)),
        None => (rest, None),
    };
    let (path, tag) = match rest.split_once(':') {
        Some((path, tag)) => (path, Some(tag)),
        None => (rest, None),
    };
    let length = domain.map_or("docker.io/library".len(), str::len) + 1 + path.len();
    let valid = domain.is_none_or(|domain| is_domain(domain) || is_path_component(domain))
        && path.split('/').all(is_path_component)
        && tag.is_none_or(is_tag)
        && digest.is_none_or(is_digest)
        && length <= 255 + domain.map_or("docker.io".len(), str::len) + 1;
    valid && tag.map_or(digest.is_none(), |tag| tag == "latest")
}

/// What stands before the first slash is a host if it looks like one.
fn split_domain(image: &str) -> (Option<&str>, &str) {
    match image.split_once('/') {
        Some((first, rest))
            if first == "localhost" || first.contains(['.', ':']) || first.chars().any(char::is_uppercase) =>
        {
            (Some(first), rest)
        }
        _ => (None, image),
    }
}

fn is_lower_hex(c: u8) -> bool {
    matches!(c, b'0'..=b'9' | b'a'..=b'f')
}

/// `host`, `host:port`, `[address]:port`.
fn is_domain(domain: &str) -> bool {
    let (host, port) = match domain.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((address, port)) => {
                let valid = !address.is_empty() && address.bytes().all(|c| c == b':' || c.is_ascii_hexdigit());
                return valid && (port.is_empty() || port.strip_prefix(':').is_some_and(is_port));
            }
            None => return false,
        },
        None => match domain.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (domain, None),
        },
    };
    let component = |component: &str| {
        let bytes = component.as_bytes();
        !bytes.is_empty()
            && bytes.iter().all(|c| *c == b'-' || c.is_ascii_alphanumeric())
            && !component.starts_with('-')
            && !component.ends_with('-')
    };
    host.split('.').all(component) && port.is_none_or(is_port)
}

fn is_port(port: &str) -> bool {
    !port.is_empty() && port.bytes().all(|c| c.is_ascii_digit())
}

/// Lower-case letters and digits, parted by a dot, one or two underscores, or dashes.
fn is_path_component(component: &str) -> bool {
    let mut rest = component.as_bytes();
    loop {
        let word = rest.iter().take_while(|c| matches!(c, b'a'..=b'z' | b'0'..=b'9')).count();
        if word == 0 {
            return false;
        }
        rest = &rest[word..];
        let separator = match rest {
            [] => return true,
            [b'_', b'_', ..] => 2,
            [b'_' | b'.', ..] => 1,
            _ => rest.iter().take_while(|c| **c == b'-').count(),
        };
        if separator == 0 {
            return false;
        }
        rest = &rest[separator..];
    }
}

fn is_tag(tag: &str) -> bool {
    let word = |c: u8| c == b'_' || c.is_ascii_alphanumeric();
    let bytes = tag.as_bytes();
    bytes.first().is_some_and(|&c| word(c))
        && bytes.len() <= 128
        && bytes.iter().all(|&c| word(c) || matches!(c, b'.' | b'-'))
}

fn is_digest(digest: &str) -> bool {
    let Some((algorithm, value)) = digest.split_once(':') else { return false };
    let length = match algorithm {
        "sha256" => 64,
        "sha384" => 96,
        "sha512" => 128,
        _ => return false,
    };
    value.len() == length && value.bytes().all(is_lower_hex)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latest() {
        let digest = format!("sha256:{}", "a".repeat(64));
        let check = |image: &str, expected: bool| assert_eq!(is_latest(image), expected, "{image}");
        check("nginx", true);
        check("nginx:latest", true);
        check("nginx:1", false);
        check("example.com/a/b", true);
        check("example.com:5000/a/b", true);
        check("example.com:5000/a/b:latest", true);
        check("example.com:5000/a/b:v1", false);
        check("[::1]:5000/a", true);
        check("localhost/a", true);
        check("a__b/c_d--e.f", true);
        check(&format!("nginx@{digest}"), false);
        check(&format!("nginx:latest@{digest}"), true);
        check("nginx:latest@sha256:abc", false);
        check("", false);
        check(" nginx", false);
        check("Nginx", false);
        check("Example/nginx", true);
        check("nginx:", false);
        check("nginx:la test", false);
        check("a___b", false);
        check("a//b", false);
        check("-a", false);
        check(&"a".repeat(64), false);
        check(&"g".repeat(64), true);
    }
}
