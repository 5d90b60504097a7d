//! What pods for Windows have of their own, and what they cannot have.

use corten_api::field::{BadValue, Error, Errors, Path};
use corten_api::names;
use corten_object::tree::View;
use corten_views::core_v1::{PodSecurityContext, PodSpec, SecurityContext, WindowsSecurityContextOptions};

use super::containers;

const CREDENTIAL_SPEC_KIB: usize = 64;
const DOMAIN_LENGTH: usize = 256;
const USER_LENGTH: usize = 104;

pub fn validate_options(options: WindowsSecurityContextOptions<'_>, path: &Path<'_>, errors: &mut Errors) {
    if let Some(name) = options.gmsa_credential_spec_name() {
        for message in names::is_dns1123_subdomain(name) {
            errors.push(Error::invalid(&path.child("gmsaCredentialSpecName"), BadValue::typed(name), message));
        }
    }
    if let Some(spec) = options.gmsa_credential_spec() {
        let path = path.child("gmsaCredentialSpec");
        if spec.is_empty() {
            let detail = "gmsaCredentialSpec cannot be an empty string";
            errors.push(Error::invalid(&path, BadValue::typed(spec), detail));
        } else if spec.len() > CREDENTIAL_SPEC_KIB * 1024 {
            let detail = format!("gmsaCredentialSpec size must be under {CREDENTIAL_SPEC_KIB} KiB");
            errors.push(Error::invalid(&path, BadValue::typed(spec), detail));
        }
    }
    if let Some(name) = options.run_as_user_name() {
        for detail in user_name_errors(name) {
            errors.push(Error::invalid(&path.child("runAsUserName"), BadValue::typed(name), detail));
        }
    }
}

/// `DOMAIN\user` or `user`.
fn user_name_errors(name: &str) -> Vec<String> {
    if name.is_empty() {
        return vec!["runAsUserName cannot be an empty string".to_owned()];
    }
    if name.bytes().any(|c| c.is_ascii_control()) {
        return vec!["runAsUserName cannot contain control characters".to_owned()];
    }
    let (domain, user) = match name.split_once('\\') {
        Some((_, rest)) if rest.contains('\\') => {
            return vec!["runAsUserName cannot contain more than one backslash".to_owned()];
        }
        Some((domain, user)) => (Some(domain), user),
        None => (None, name),
    };
    let mut wrong = Vec::new();
    if let Some(domain) = domain {
        if domain.len() >= DOMAIN_LENGTH {
            wrong.push(format!("runAsUserName's Domain length must be under {DOMAIN_LENGTH} characters"));
        }
        if !is_net_bios_name(domain) && !is_dns_name(domain) {
            wrong.push("runAsUserName's Domain doesn't match the NetBios nor the DNS format".to_owned());
        }
    }
    if user.is_empty() {
        wrong.push("runAsUserName's User cannot be empty".to_owned());
    } else if user.len() > USER_LENGTH {
        wrong.push(format!("runAsUserName's User length must not be longer than {USER_LENGTH} characters"));
    }
    if !user.is_empty() && user.chars().all(|c| matches!(c, '.' | ' ')) {
        wrong.push("runAsUserName's User cannot contain only periods or spaces".to_owned());
    }
    if user.contains(['"', '/', '\\', ':', ';', '|', '=', ',', '+', '*', '?', '<', '>', '@', '[', ']']) {
        let detail = r#"runAsUserName's User cannot contain the following characters: "/\:;|=,+*?<>@[]"#;
        wrong.push(detail.to_owned());
    }
    wrong
}

fn is_net_bios_name(name: &str) -> bool {
    let reserved = ['\\', '/', ':', '*', '?', '"', '<', '>', '|'];
    (1..=15).contains(&name.chars().count()) && !name.starts_with('.') && !name.contains(reserved)
}

fn is_dns_name(name: &str) -> bool {
    name.split('.').all(|label| {
        let bytes = label.as_bytes();
        let edge = |c: Option<&u8>| c.is_some_and(u8::is_ascii_alphanumeric);
        let inner = |c: &u8| c.is_ascii_alphanumeric() || *c == b'-';
        bytes.len() <= 63 && edge(bytes.first()) && edge(bytes.last()) && bytes.iter().all(inner)
    })
}

/// Containers that run as processes of the host: all of a pod do, or none.
pub fn validate_host_processes(spec: PodSpec<'_>, path: &Path<'_>, errors: &mut Errors) {
    let of_pod = spec
        .security_context()
        .and_then(|context| context.windows_options())
        .and_then(|options| options.host_process());
    let (mut all, mut on_host) = (0, 0);
    containers::visit(spec, path, |container, path| {
        all += 1;
        let own = container
            .security_context()
            .and_then(|context| context.windows_options())
            .and_then(|options| options.host_process());
        if let (Some(pod), Some(own)) = (of_pod, own)
            && pod != own
        {
            let detail = format!("pod hostProcess value must be identical if both are specified, was {pod}");
            errors.push(Error::invalid(&path.child("securityContext.windowsOptions.hostProcess"), own, detail));
        }
        if own.or(of_pod) == Some(true) {
            on_host += 1;
        }
    });
    if on_host == 0 {
        return;
    }
    if on_host != all {
        let detail = "If pod contains any hostProcess containers then all containers must be HostProcess containers";
        errors.push(Error::invalid(path, "", detail));
    }
    if !spec.host_network() {
        let detail = "hostNetwork must be true if pod contains any hostProcess containers";
        errors.push(Error::invalid(&path.child("hostNetwork"), false, detail));
    }
}

/// What a pod for Windows cannot have.
pub fn validate(spec: PodSpec<'_>, path: &Path<'_>, errors: &mut Errors) {
    let detail = "cannot be set for a windows pod";
    let mut forbid = |set: bool, path: Path<'_>| {
        if set {
            errors.push(Error::forbidden(&path, detail));
        }
    };
    let own = spec.security_context().map(|context| context.as_struct());
    let has = |field| own.is_some_and(|context| context.has(field));
    let context = path.child("securityContext");
    forbid(has(PodSecurityContext::APP_ARMOR_PROFILE), context.child("appArmorProfile"));
    forbid(has(PodSecurityContext::SE_LINUX_OPTIONS), context.child("seLinuxOptions"));
    forbid(spec.host_users().is_some(), path.child("hostUsers"));
    forbid(spec.host_pid(), path.child("hostPID"));
    forbid(spec.host_ipc(), path.child("hostIPC"));
    forbid(has(PodSecurityContext::SECCOMP_PROFILE), context.child("seccompProfile"));
    forbid(has(PodSecurityContext::FS_GROUP), context.child("fsGroup"));
    forbid(has(PodSecurityContext::FS_GROUP_CHANGE_POLICY), context.child("fsGroupChangePolicy"));
    forbid(has(PodSecurityContext::SYSCTLS), context.child("sysctls"));
    forbid(spec.share_process_namespace().is_some(), path.child("shareProcessNamespace"));
    forbid(has(PodSecurityContext::RUN_AS_USER), context.child("runAsUser"));
    forbid(has(PodSecurityContext::RUN_AS_GROUP), context.child("runAsGroup"));
    forbid(has(PodSecurityContext::SUPPLEMENTAL_GROUPS), context.child("supplementalGroups"));
    forbid(has(PodSecurityContext::SUPPLEMENTAL_GROUPS_POLICY), context.child("supplementalGroupsPolicy"));
    forbid(has(PodSecurityContext::SE_LINUX_CHANGE_POLICY), context.child("seLinuxChangePolicy"));
    containers::visit(spec, path, |container, path| {
        let Some(own) = container.security_context() else { return };
        let path = path.child("securityContext");
        for (field, name) in CONTAINER_FIELDS {
            forbid(own.as_struct().has(*field), path.child(name));
        }
    });
}

const CONTAINER_FIELDS: &[(corten_schema::FieldId, &str)] = &[
    (SecurityContext::APP_ARMOR_PROFILE, "appArmorProfile"),
    (SecurityContext::SE_LINUX_OPTIONS, "seLinuxOptions"),
    (SecurityContext::SECCOMP_PROFILE, "seccompProfile"),
    (SecurityContext::CAPABILITIES, "capabilities"),
    (SecurityContext::READ_ONLY_ROOT_FILESYSTEM, "readOnlyRootFilesystem"),
    (SecurityContext::PRIVILEGED, "privileged"),
    (SecurityContext::ALLOW_PRIVILEGE_ESCALATION, "allowPrivilegeEscalation"),
    (SecurityContext::PROC_MOUNT, "procMount"),
    (SecurityContext::RUN_AS_USER, "runAsUser"),
    (SecurityContext::RUN_AS_GROUP, "runAsGroup"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_names() {
        let check = |name: &str, expected: usize| assert_eq!(user_name_errors(name).len(), expected, "{name}");
        for name in ["Container User", "foo", r"foo\bar", r"foo.bar\baz", r"1234567890abcde\u", r"a.b-c\u", "a.b"] {
            check(name, 0);
        }
        check("", 1);
        check("a\tb", 1);
        check(r"a\b\c", 1);
        check(r".foo\bar", 1);
        check(r"foo\", 1);
        check("...", 1);
        check("foo<bar", 1);
        check(&"u".repeat(105), 1);
        check(&format!(r"{}\u", "d".repeat(256)), 2);
    }
}
