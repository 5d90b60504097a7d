//! TaintNodesByCondition: a new node takes no pods until somebody has found it ready.

use corten_api::status::Result;
use corten_object::tree::{Tree, View};
use corten_views::core_v1::{Node, NodeSpec, Taint};

use super::{Attributes, Operation, Phase, Plugin};
use crate::call::Call;

pub struct TaintNodesByCondition;

impl Plugin for TaintNodesByCondition {
    fn name(&self) -> &'static str {
        "TaintNodesByCondition"
    }

    fn phases(&self) -> &'static [Phase] {
        &[Phase::Admit]
    }

    fn admit(&self, _: &Call, attributes: &Attributes<'_>, object: &mut Tree, _: Option<&Tree>) -> Result<()> {
        if !attributes.is("", "nodes") || attributes.operation != Operation::Create {
            return Ok(());
        }
        const KEY: &str = "node.kubernetes.io/not-ready";
        let there = object
            .view::<Node<'_>>()
            .spec()
            .taints()
            .iter()
            .any(|taint| taint.key() == KEY && taint.effect() == "NoSchedule");
        if !there {
            let mut edit = object.edit();
            let mut spec = edit.ensure(Node::SPEC);
            let mut taint = spec.append(NodeSpec::TAINTS, Taint::TYPE);
            taint.set(Taint::KEY, KEY);
            taint.set(Taint::EFFECT, "NoSchedule");
        }
        Ok(())
    }
}
