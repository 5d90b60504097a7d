//! A case: one site of one kind, grown in one style and sent in one form.

use std::fmt;

use crate::sites::Site;
use crate::target::{Stored, Target};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Style {
    Ordered,
    Reversed,
    Equal,
    Invalid,
}

/// The form of a body, and what it is sent for. What has no "large" in its name goes to a small object, which stays as
/// it is: the requests are dry runs, but for `Store`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Form {
    CreateJson,
    CreateYaml,
    CreateProtobuf,
    UpdateJson,
    UpdateYaml,
    UpdateProtobuf,
    /// One operation with a large value.
    JsonPatch,
    /// An operation for each element.
    JsonPatchMany,
    MergePatch,
    StrategicPatch,
    ApplyJson,
    ApplyYaml,
    /// Created, read in each form, updated and deleted.
    StoreJson,
    StoreYaml,
    StoreProtobuf,
    /// Patches of a large object.
    LargeJsonPatch,
    LargeMergePatch,
    LargeStrategicPatch,
    LargeApply,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Validation {
    Strict,
    Warn,
    Ignore,
}

pub const STYLES: [Style; 4] = [Style::Ordered, Style::Reversed, Style::Equal, Style::Invalid];
pub const VALIDATIONS: [Validation; 3] = [Validation::Strict, Validation::Warn, Validation::Ignore];
pub const FORMS: [Form; 19] = [
    Form::CreateJson,
    Form::CreateYaml,
    Form::CreateProtobuf,
    Form::UpdateJson,
    Form::UpdateYaml,
    Form::UpdateProtobuf,
    Form::JsonPatch,
    Form::JsonPatchMany,
    Form::MergePatch,
    Form::StrategicPatch,
    Form::ApplyJson,
    Form::ApplyYaml,
    Form::StoreJson,
    Form::StoreYaml,
    Form::StoreProtobuf,
    Form::LargeJsonPatch,
    Form::LargeMergePatch,
    Form::LargeStrategicPatch,
    Form::LargeApply,
];

pub struct Case<'t> {
    pub target: &'t Target,
    pub site: &'t Site,
    pub style: Style,
    pub form: Form,
    pub validation: Validation,
    /// In the name of what it stores.
    pub number: usize,
}

impl fmt::Display for Case<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Case { target, site, style, form, validation, .. } = self;
        write!(f, "{} {} {style:?} {form:?} {validation:?}", target.name, site.name())
    }
}

impl Form {
    /// Whether this form can be sent to a target.
    pub fn suits(self, target: &Target) -> bool {
        use Form::*;
        let built_in = target.ty.is_some();
        match self {
            CreateJson | CreateYaml => true,
            CreateProtobuf => built_in,
            ApplyJson | ApplyYaml => target.persisted,
            UpdateJson | UpdateYaml | JsonPatch | JsonPatchMany | MergePatch => target.stored != Stored::Nothing,
            UpdateProtobuf | StrategicPatch => built_in && target.stored != Stored::Nothing,
            StoreJson | StoreYaml | LargeJsonPatch | LargeMergePatch | LargeApply => target.stored == Stored::All,
            StoreProtobuf | LargeStrategicPatch => built_in && target.stored == Stored::All,
        }
    }

    pub fn is_large(self) -> bool {
        matches!(self, Form::LargeJsonPatch | Form::LargeMergePatch | Form::LargeStrategicPatch | Form::LargeApply)
    }

    /// Whether the object is stored.
    pub fn stores(self) -> bool {
        self.is_large() || matches!(self, Form::StoreJson | Form::StoreYaml | Form::StoreProtobuf)
    }

    pub fn is_protobuf(self) -> bool {
        matches!(self, Form::CreateProtobuf | Form::UpdateProtobuf | Form::StoreProtobuf)
    }
}
