//! Making one object of every cluster.

use std::sync::Arc;

use corten_api::status::Reason;
use serde_json::Value;

use super::initial::{FLOW_CONTROL, Initial, RBAC};
use super::reconcile::{Outcome, reconcile};
use crate::api::Api;
use crate::control::client::{self, Refused, Result};

/// How often somebody else may be quicker.
const ATTEMPTS: usize = 5;

/// How an attempt ended that was not refused.
enum Attempt {
    Done,
    /// Somebody else has made, changed or deleted it meanwhile (which a refusal says), or it was deleted in order to be
    /// made anew.
    LookAgain(Option<Refused>),
}

/// Makes the object, if it is not there; adds what it lacks, if it is a role or a binding.
pub async fn ensure(api: &Arc<Api>, initial: &Initial) -> Result<()> {
    let mut last = None;
    for _ in 0..ATTEMPTS {
        match attempt(api, initial).await? {
            Attempt::Done => return Ok(()),
            Attempt::LookAgain(refused) => last = refused.or(last),
        }
        // The other one's write may not have come to the caches yet.
        api.catch_up().await?;
    }
    Err(last.unwrap_or_else(|| refused("it comes and goes all the time")))
}

async fn attempt(api: &Arc<Api>, initial: &Initial) -> Result<Attempt> {
    // Nothing is written over what cannot be read. It is no failure of the store, so the other objects are still made.
    let kept = api.lookup(&initial.group, &initial.plural, &initial.key).map_err(|status| refused(status.message()))?;
    let Some(existing) = kept else {
        return made(client::create(api, &with_manager(initial), initial.json).await.map(drop));
    };
    if initial.group != RBAC {
        return Ok(Attempt::Done);
    }
    let parse = |json: &[u8]| serde_json::from_slice::<Value>(json).map_err(|error| refused(&error.to_string()));
    let (existing, expected) = (parse(&existing.json)?, parse(initial.json.as_bytes())?);
    match reconcile(&existing, &expected) {
        Outcome::Whole => Ok(Attempt::Done),
        Outcome::Update(whole) => {
            tracing::info!(object = initial.path(), "adding what is missing");
            made(client::update(api, &initial.path(), whole.to_string()).await.map(drop))
        }
        Outcome::Recreate if !existing["metadata"]["deletionTimestamp"].is_null() => {
            Err(refused("it refers to another role, and its deletion waits for its finalizers"))
        }
        Outcome::Recreate => {
            tracing::info!(object = initial.path(), "binding to its role again");
            let uid = existing["metadata"]["uid"].as_str().unwrap_or_default();
            let deleted = client::delete_if(api, &initial.path(), uid).await;
            match made(deleted.map(drop))? {
                Attempt::Done => Ok(Attempt::LookAgain(None)),
                again => Ok(again),
            }
        }
    }
}

/// Losing a race is no failure.
fn made(outcome: Result<()>) -> Result<Attempt> {
    match outcome {
        Ok(()) => Ok(Attempt::Done),
        Err(refused) if refused.is_already_exists() || refused.is_conflict() || refused.is_not_found() => {
            Ok(Attempt::LookAgain(Some(refused)))
        }
        Err(refused) => Err(refused),
    }
}

fn with_manager(initial: &Initial) -> String {
    let manager =
        if initial.group == FLOW_CONTROL { "?fieldManager=api-priority-and-fairness-config-producer-v1" } else { "" };
    format!("{}{manager}", initial.collection)
}

fn refused(message: &str) -> Refused {
    Refused { code: 409, reason: Reason::Conflict, message: message.to_owned() }
}
