//! How groups, versions, kinds and resources are named. Names known at compile time cost nothing to copy; those of
//! custom resources are owned.

use std::borrow::Cow;
use std::fmt;

pub type Name = Cow<'static, str>;

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GroupVersion {
    pub group: Name,
    pub version: Name,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GroupKind {
    pub group: Name,
    pub kind: Name,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GroupResource {
    pub group: Name,
    pub resource: Name,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GroupVersionKind {
    pub group: Name,
    pub version: Name,
    pub kind: Name,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GroupVersionResource {
    pub group: Name,
    pub version: Name,
    pub resource: Name,
}

/// An apiVersion with more than one slash.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unexpected GroupVersion string: {0}")]
pub struct UnexpectedGroupVersion(pub String);

/// Splits `apps/v1` into group and version; `v1` has the empty group. Nothing and a lone slash are the empty pair.
pub fn split_api_version(api_version: &str) -> Result<(&str, &str), UnexpectedGroupVersion> {
    if api_version.is_empty() || api_version == "/" {
        return Ok(("", ""));
    }
    match api_version.split_once('/') {
        None => Ok(("", api_version)),
        Some((_, rest)) if rest.contains('/') => Err(UnexpectedGroupVersion(api_version.to_owned())),
        Some(parts) => Ok(parts),
    }
}

impl GroupVersion {
    pub fn new(group: impl Into<Name>, version: impl Into<Name>) -> Self {
        GroupVersion { group: group.into(), version: version.into() }
    }

    pub const fn of(group: &'static str, version: &'static str) -> Self {
        GroupVersion { group: Cow::Borrowed(group), version: Cow::Borrowed(version) }
    }

    pub fn parse(api_version: &str) -> Result<Self, UnexpectedGroupVersion> {
        let (group, version) = split_api_version(api_version)?;
        Ok(GroupVersion::new(group.to_owned(), version.to_owned()))
    }

    pub fn is_empty(&self) -> bool {
        self.group.is_empty() && self.version.is_empty()
    }

    pub fn with_kind(&self, kind: impl Into<Name>) -> GroupVersionKind {
        GroupVersionKind { group: self.group.clone(), version: self.version.clone(), kind: kind.into() }
    }

    pub fn with_resource(&self, resource: impl Into<Name>) -> GroupVersionResource {
        GroupVersionResource { group: self.group.clone(), version: self.version.clone(), resource: resource.into() }
    }
}

impl GroupKind {
    pub fn new(group: impl Into<Name>, kind: impl Into<Name>) -> Self {
        GroupKind { group: group.into(), kind: kind.into() }
    }

    pub const fn of(group: &'static str, kind: &'static str) -> Self {
        GroupKind { group: Cow::Borrowed(group), kind: Cow::Borrowed(kind) }
    }

    /// `Deployment.apps`.
    pub fn parse(text: &str) -> Self {
        let (kind, group) = text.split_once('.').unwrap_or((text, ""));
        GroupKind::new(group.to_owned(), kind.to_owned())
    }
}

impl GroupResource {
    pub fn new(group: impl Into<Name>, resource: impl Into<Name>) -> Self {
        GroupResource { group: group.into(), resource: resource.into() }
    }

    pub const fn of(group: &'static str, resource: &'static str) -> Self {
        GroupResource { group: Cow::Borrowed(group), resource: Cow::Borrowed(resource) }
    }

    /// `deployments.apps`.
    pub fn parse(text: &str) -> Self {
        let (resource, group) = text.split_once('.').unwrap_or((text, ""));
        GroupResource::new(group.to_owned(), resource.to_owned())
    }

    pub fn is_empty(&self) -> bool {
        self.group.is_empty() && self.resource.is_empty()
    }
}

impl GroupVersionKind {
    pub fn new(group: impl Into<Name>, version: impl Into<Name>, kind: impl Into<Name>) -> Self {
        GroupVersionKind { group: group.into(), version: version.into(), kind: kind.into() }
    }

    pub const fn of(group: &'static str, version: &'static str, kind: &'static str) -> Self {
        GroupVersionKind { group: Cow::Borrowed(group), version: Cow::Borrowed(version), kind: Cow::Borrowed(kind) }
    }

    /// From an object's apiVersion and kind.
    pub fn parse(api_version: &str, kind: &str) -> Result<Self, UnexpectedGroupVersion> {
        let (group, version) = split_api_version(api_version)?;
        Ok(GroupVersionKind::new(group.to_owned(), version.to_owned(), kind.to_owned()))
    }

    pub fn is_empty(&self) -> bool {
        self.group.is_empty() && self.version.is_empty() && self.kind.is_empty()
    }

    pub fn group_kind(&self) -> GroupKind {
        GroupKind { group: self.group.clone(), kind: self.kind.clone() }
    }

    pub fn group_version(&self) -> GroupVersion {
        GroupVersion { group: self.group.clone(), version: self.version.clone() }
    }
}

impl GroupVersionResource {
    pub fn new(group: impl Into<Name>, version: impl Into<Name>, resource: impl Into<Name>) -> Self {
        GroupVersionResource { group: group.into(), version: version.into(), resource: resource.into() }
    }

    pub const fn of(group: &'static str, version: &'static str, resource: &'static str) -> Self {
        GroupVersionResource {
            group: Cow::Borrowed(group),
            version: Cow::Borrowed(version),
            resource: Cow::Borrowed(resource),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.group.is_empty() && self.version.is_empty() && self.resource.is_empty()
    }

    pub fn group_resource(&self) -> GroupResource {
        GroupResource { group: self.group.clone(), resource: self.resource.clone() }
    }

    pub fn group_version(&self) -> GroupVersion {
        GroupVersion { group: self.group.clone(), version: self.version.clone() }
    }
}

impl fmt::Display for GroupVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.group.is_empty() { f.write_str(&self.version) } else { write!(f, "{}/{}", self.group, self.version) }
    }
}

impl fmt::Display for GroupKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&qualified(&self.group, &self.kind))
    }
}

impl fmt::Display for GroupResource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&qualified(&self.group, &self.resource))
    }
}

impl fmt::Display for GroupVersionKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}, Kind={}", self.group, self.version, self.kind)
    }
}

impl fmt::Display for GroupVersionResource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}, Resource={}", self.group, self.version, self.resource)
    }
}

/// `deployments.apps`, `Deployment.apps`; the core group is left out.
pub(crate) fn qualified<'a>(group: &str, name: &'a str) -> Cow<'a, str> {
    if group.is_empty() { Cow::Borrowed(name) } else { Cow::Owned(format!("{name}.{group}")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn group_versions() {
        let check = |input: &str, group: &'static str, version: &'static str, shown: &str| {
            let parsed = GroupVersion::parse(input).unwrap();
            assert_eq!(parsed, GroupVersion::of(group, version), "{input}");
            assert_eq!(parsed.to_string(), shown);
        };
        check("", "", "", "");
        check("/", "", "", "");
        check("v1", "", "v1", "v1");
        check("apps/v1", "apps", "v1", "apps/v1");
        check("/v1", "", "v1", "v1");
        check("apps/", "apps", "", "apps/");
        let error = GroupVersion::parse("/a/").unwrap_err();
        assert_eq!(error.to_string(), "unexpected GroupVersion string: /a/");
    }

    #[test]
    fn shown() {
        assert_eq!(GroupVersionKind::of("apps", "v1", "Deployment").to_string(), "apps/v1, Kind=Deployment");
        assert_eq!(GroupVersionKind::of("", "v1", "Pod").to_string(), "/v1, Kind=Pod");
        assert_eq!(GroupVersionResource::of("", "v1", "pods").to_string(), "/v1, Resource=pods");
        assert_eq!(GroupResource::of("", "pods").to_string(), "pods");
        assert_eq!(GroupResource::parse("leases.coordination.k8s.io").to_string(), "leases.coordination.k8s.io");
        assert_eq!(GroupKind::parse("Lease.coordination.k8s.io"), GroupKind::of("coordination.k8s.io", "Lease"));
        assert_eq!(GroupKind::parse("Pod").to_string(), "Pod");
    }
}
