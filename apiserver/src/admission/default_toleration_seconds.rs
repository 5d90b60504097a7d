//! DefaultTolerationSeconds: a pod stays five minutes on a node that is not ready or cannot be reached, unless it says
//! otherwise.

use corten_api::status::Result;
use corten_object::tree::{Tree, View};
use corten_views::core_v1::{Pod, PodSpec, Toleration};

use super::{Attributes, Operation, Phase, Plugin};
use crate::call::Call;

pub struct DefaultTolerationSeconds;

const SECONDS: i64 = 300;

impl Plugin for DefaultTolerationSeconds {
    fn name(&self) -> &'static str {
        "DefaultTolerationSeconds"
    }

    fn phases(&self) -> &'static [Phase] {
        &[Phase::Admit]
    }

    fn admit(&self, _: &Call, attributes: &Attributes<'_>, object: &mut Tree, _: Option<&Tree>) -> Result<()> {
        if !attributes.is("", "pods") || !matches!(attributes.operation, Operation::Create | Operation::Update) {
            return Ok(());
        }
        for key in ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"] {
            let tolerated = object.view::<Pod<'_>>().spec().tolerations().iter().any(|toleration| {
                (toleration.key() == key || toleration.key().is_empty())
                    && matches!(toleration.effect(), "NoExecute" | "")
            });
            if tolerated {
                continue;
            }
            let mut edit = object.edit();
            let mut spec = edit.ensure(Pod::SPEC);
            let mut toleration = spec.append(PodSpec::TOLERATIONS, Toleration::TYPE);
            toleration.set(Toleration::KEY, key);
            toleration.set(Toleration::OPERATOR, "Exists");
            toleration.set(Toleration::EFFECT, "NoExecute");
            toleration.set(Toleration::TOLERATION_SECONDS, SECONDS);
        }
        Ok(())
    }
}
