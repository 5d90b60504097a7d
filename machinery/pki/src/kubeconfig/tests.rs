use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::*;

fn access() -> Access {
    let credential = Credential::Certificate { certificate_pem: b"cert".to_vec(), key_pem: b"key".to_vec() };
    Access { server: "https://127.0.0.1:6443".to_owned(), authority_pem: b"ca".to_vec(), credential }
}

const OURS: &str = "apiVersion: v1
clusters:
- cluster:
    certificate-authority-data: Y2E=
    server: https://127.0.0.1:6443
  name: corten
contexts:
- context:
    cluster: corten
    user: corten
  name: corten
current-context: corten
kind: Config
users:
- user:
    client-certificate-data: Y2VydA==
    client-key-data: a2V5
  name: corten
";

#[test]
fn a_file_of_our_own() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("admin.kubeconfig");
    assert!(write(&path, "corten", &access()).unwrap());
    assert_eq!(fs::read_to_string(&path).unwrap(), OURS);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(!write(&path, "corten", &access()).unwrap());
    assert!(read(&path).unwrap() == access());
}

#[test]
fn merging_keeps_what_is_there() {
    fn check(before: Option<&str>, after: &str) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/config");
        if let Some(before) = before {
            fs::create_dir(path.parent().unwrap()).unwrap();
            fs::write(&path, before).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        }
        assert!(merge(&path, "corten", &access()).unwrap());
        assert_eq!(fs::read_to_string(&path).unwrap(), after);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(!merge(&path, "corten", &access()).unwrap());
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
        assert!(read(&path).unwrap() == access());
    }
    check(None, OURS);
    check(Some(""), OURS);
    let other = "kind: Config
apiVersion: v1
preferences: {colors: true}
current-context: \"no\"
contexts:
- {name: \"no\", context: {cluster: other, user: '1_000', namespace: '0x10'}}
- {name: corten, context: {cluster: gone, user: gone, namespace: team}}
clusters:
- name: other
  cluster: {server: https://other, insecure-skip-tls-verify: yes}
users:
";
    let merged = "kind: Config
apiVersion: v1
preferences:
  colors: true
current-context: corten
contexts:
- name: \"no\"
  context:
    cluster: other
    user: \"1_000\"
    namespace: \"0x10\"
- name: corten
  context:
    cluster: corten
    user: corten
    namespace: team
clusters:
- name: other
  cluster:
    server: https://other
    insecure-skip-tls-verify: yes
- cluster:
    certificate-authority-data: Y2E=
    server: https://127.0.0.1:6443
  name: corten
users:
- user:
    client-certificate-data: Y2VydA==
    client-key-data: a2V5
  name: corten
";
    check(Some(other), merged);
}

#[test]
fn a_renewed_certificate_replaces_its_old_one_and_nothing_else() {
    fn check(before: &str, after: Option<&str>) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config");
        fs::write(&path, before).unwrap();
        let credential = Credential::Certificate { certificate_pem: b"new".to_vec(), key_pem: b"key".to_vec() };
        let renewed = Access { credential, ..access() };
        assert_eq!(renew(&path, "corten", &renewed).unwrap(), after.is_some(), "{before}");
        assert_eq!(fs::read_to_string(&path).unwrap(), after.unwrap_or(before));
    }
    let renewed = |text: &str| text.replace("Y2VydA==", "bmV3");
    check(OURS, Some(&renewed(OURS)));
    // The user reaches the server by another way, and works with another cluster now.
    let changed = OURS.replace("127.0.0.1:6443", "proxy").replace("current-context: corten", "current-context: other");
    check(&changed, Some(&renewed(&changed)));
    check(&OURS.replace("Y2E=", "b3RoZXI="), None);
    check(&OURS.replace("name: corten", "name: other"), None);
    check(&OURS.replace("client-key-data: a2V5", "token: t"), None);
    check("", None);
    let folder = tempfile::tempdir().unwrap();
    assert!(!renew(&folder.path().join("gone"), "corten", &access()).unwrap());
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn only_a_file_with_our_key_is_made_private() {
    fn check(text: &str, mode: u32, edit: impl Fn(&Path) -> Result<bool>, expected: u32) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config");
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        edit(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, expected, "{mode:o} {text}");
    }
    let credential = Credential::Certificate { certificate_pem: b"new".to_vec(), key_pem: b"key".to_vec() };
    let next = Access { credential, ..access() };
    let foreign = OURS.replace("name: corten", "name: other");
    // With a change to write, and without.
    for access in [access(), next] {
        let (merge, renew) =
            (|path: &Path| merge(path, "corten", &access), |path: &Path| renew(path, "corten", &access));
        for edit in [&merge as &dyn Fn(&Path) -> Result<bool>, &renew] {
            check(OURS, 0o644, edit, 0o600);
            check(OURS, 0o600, edit, 0o600);
            check(OURS, 0o444, edit, 0o400);
            check(OURS, 0o400, edit, 0o400);
        }
        check(&foreign, 0o664, merge, 0o600);
        check(&foreign, 0o664, renew, 0o664);
        check(&foreign, 0o444, renew, 0o444);
        check("", 0o644, renew, 0o644);
    }
}

#[test]
fn nobody_is_told_of_a_file_in_which_nothing_is_ours() {
    fn check(text: &str, locked: bool, expected: Result<bool, ()>) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config");
        fs::write(&path, text).unwrap();
        if locked {
            fs::write(folder.path().join("config.lock"), "").unwrap();
        }
        assert_eq!(renew(&path, "corten", &access()).map_err(|_| ()), expected, "{locked} {text}");
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
    }
    check("kind: Pod\n", false, Ok(false));
    check("a: [", false, Ok(false));
    check(&OURS.replace("name: corten", "name: other"), false, Ok(false));
    // Whoever has the lock may have written a part of the file only.
    check("", true, Err(()));
    check(OURS, true, Err(()));
}

#[test]
fn a_broken_file_stays() {
    fn check(text: &str, problem: &str) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config");
        fs::write(&path, text).unwrap();
        let error = format!("{:#}", merge(&path, "corten", &access()).unwrap_err());
        assert!(error.contains(problem) && error.contains("config is no kubeconfig, and stays as it is"), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
    check("a: [", "no YAML: ");
    check("a: 1\na: 2\n", "it has \"a\" twice");
    check("- a\n", "it does not hold an object");
    check("kind: Pod\n", "its kind is not Config");
    check("apiVersion: v2\n", "its apiVersion is not v1");
    check("clusters: {a: b}\n", "its clusters are no list of objects");
    check("users: [a]\n", "its users are no list of objects");
}

#[test]
fn a_lock_is_respected() {
    let folder = tempfile::tempdir().unwrap();
    let (path, lock) = (folder.path().join("config"), folder.path().join("config.lock"));
    fs::write(&lock, "").unwrap();
    let error = merge(&path, "corten", &access()).unwrap_err().to_string();
    assert!(error.ends_with(&format!("if nobody does, remove {}", lock.display())), "{error}");
    assert!(lock.exists() && !path.exists());
}

#[test]
fn a_link_is_followed() {
    let folder = tempfile::tempdir().unwrap();
    let (link, path) = (folder.path().join("link"), folder.path().join("config"));
    fs::write(&path, "").unwrap();
    std::os::unix::fs::symlink(&path, &link).unwrap();
    merge(&link, "corten", &access()).unwrap();
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(fs::read_to_string(&path).unwrap(), OURS);
}

#[test]
fn which_file_is_the_users() {
    fn check(kubeconfig: &str, home: Option<&str>, expected: Option<&str>) {
        let found = users_file(Some(OsStr::new(kubeconfig)), home.map(Path::new));
        assert_eq!(found.as_deref(), expected.map(Path::new), "{kubeconfig:?}");
    }
    use std::ffi::OsStr;
    check("", Some("/home/u"), Some("/home/u/.kube/config"));
    check("", None, None);
    check("/nowhere/a", Some("/home/u"), Some("/nowhere/a"));
    check("/nowhere/a::/nowhere/b:", Some("/home/u"), Some("/nowhere/b"));
    check("/nowhere/a:/dev/null:/nowhere/b", Some("/home/u"), Some("/dev/null"));
    assert_eq!(users_file(None, Some(Path::new("/r"))), Some("/r/.kube/config".into()));
}

#[test]
fn reading() {
    fn check(user: &str, cluster: &str, expected: Result<Credential, &str>) {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("ca"), "ca").unwrap();
        fs::write(folder.path().join("token"), "from-file\n").unwrap();
        let path = folder.path().join("config");
        let text = format!(
            "current-context: c\ncontexts: [{{name: c, context: {{cluster: k, user: u}}}}]\nclusters: [{{name: k, \
             cluster: {{{cluster}}}}}]\nusers: [{{name: u, user: {{{user}}}}}]\n"
        );
        fs::write(&path, text).unwrap();
        match (read(&path), expected) {
            (Ok(access), Ok(credential)) => {
                assert!(access.credential == credential, "{user}");
                assert_eq!((access.server.as_str(), access.authority_pem.as_slice()), ("https://s", b"ca".as_slice()));
            }
            (Err(error), Err(problem)) => assert!(format!("{error:#}").contains(problem), "{error:#}"),
            (result, _) => panic!("{user} {cluster}: {result:?}"),
        }
    }
    let cluster = "server: https://s, certificate-authority: ca";
    let token = |token: &str| Ok(Credential::Token(token.to_owned()));
    let pair = Credential::Certificate { certificate_pem: b"cert".to_vec(), key_pem: b"key".to_vec() };
    check("token: abc", cluster, token("abc"));
    check("token: abc, tokenFile: token", cluster, token("from-file"));
    check("token: abc", "server: https://s, certificate-authority-data: Y2E=", token("abc"));
    check("client-certificate-data: Y2VydA==, client-key-data: a2V5", cluster, Ok(pair));
    check("client-key-data: '#'", cluster, Err("client-key-data: Invalid"));
    check("exec: {command: x}", cluster, Err("user \"u\": neither a client certificate"));
    check("token: abc", "certificate-authority: ca", Err("cluster \"k\" has no server"));
    check("token: abc", "server: https://s", Err("cluster \"k\" has no certificate-authority"));
    check("token: abc", "server: https://s, certificate-authority: gone", Err("gone: No such file"));
    let insecure = "server: https://s, insecure-skip-tls-verify: true";
    check("token: abc", insecure, Err("which is not supported"));
}
