//! Goals that come from records: rolling back, promoting, taking back, recovering, restoring.

use super::build::{Goal, existing, tidy, toward};
use super::{Description, Ending, Existing, Identity, Intent, Plan, PlanError, Recording, Task};
use crate::cloud::{TemplateData, Version};
use crate::naming;
use crate::snapshot::Snapshot;
use crate::spec::{Spec, Strategy};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};

/// The record that a rollback repeats: that number's, or the last success that is not what runs now. Where nothing runs and
/// nothing was tried since, the last success is what ran until it died, and is not gone back to. What was itself rolled
/// back from is not gone back to: its successor repeats an older one, and going back goes on from there.
///
/// # Errors
/// [`PlanError`] when there is none, or it never succeeded.
pub fn candidate(snapshot: &Snapshot, number: Option<i64>) -> Result<&Version, PlanError> {
    let succeeded = snapshot.marked(naming::SUCCEEDED);
    let find = |number: i64| snapshot.versions.iter().find(|version| version.number == number);
    if let Some(number) = number {
        return match (find(number), succeeded.contains(&number)) {
            (None, _) => Err(PlanError::NoSuchNumber(number)),
            (Some(_), false) => Err(PlanError::NeverSucceeded(number)),
            (Some(version), true) => Ok(version),
        };
    }
    let mut newest: Vec<&Version> = succeeded.iter().filter_map(|&number| find(number)).collect();
    newest.sort_by_key(|version| std::cmp::Reverse(version.number));
    let runs = |version: &Version| {
        let deployment = Snapshot::deployment(version);
        snapshot.instances.iter().any(|i| i.tags.get(naming::DEPLOYMENT) == Some(&deployment))
    };
    let Some(last) = newest.first().copied() else { return Err(PlanError::NothingToRollBackTo) };
    let tried_since = snapshot.latest().is_some_and(|latest| latest.number > last.number);
    if !runs(last) && (tried_since || !snapshot.instances.is_empty()) {
        return Ok(last);
    }
    let mut before = last.number;
    while let Some(number) = find(before).and_then(|v| Description::read(&v.description).rollback_of) {
        before = number.min(before - 1);
    }
    newest.into_iter().find(|version| version.number < before).ok_or(PlanError::NothingToRollBackTo)
}

pub(super) fn rollback(
    spec: &Spec,
    snapshot: &Snapshot,
    identity: &Identity,
    intent: &Intent,
    number: Option<i64>,
) -> Result<Goal, PlanError> {
    let version = candidate(snapshot, number)?;
    let said = Description::read(&version.description);
    let count = said.count.unwrap_or(spec.count);
    let identity = Identity { commit: said.commit.clone(), ..identity.clone() };
    let description = Description {
        deployment: identity.deployment.clone(),
        who: identity.who.clone(),
        commit: said.commit.clone(),
        count: Some(count),
        rollback_of: Some(version.number),
    };
    let template = renamed(&version.data, &said.deployment, &identity.deployment);
    Ok(Goal {
        task: intent.task,
        record: Recording::New(description.write()),
        tags: tags(spec, &template, &identity.deployment),
        template,
        attempt: String::new(),
        count,
        strategy: if intent.in_waves { spec.strategy } else { Strategy::BlueGreen },
        only: None,
        ending: Ending::Success,
        replaced: 0,
        notes: vec![format!("this repeats deployment number {}, {}", version.number, said.deployment)],
        identity,
    })
}

/// A record's data under another deployment's id. User-data that is compressed keeps the id it had: all that an
/// instance does with it is to show it.
fn renamed(data: &TemplateData, from: &str, to: &str) -> TemplateData {
    let mut data = data.clone();
    data.tags.insert(naming::DEPLOYMENT.to_owned(), to.to_owned());
    let text = STANDARD.decode(&data.user_data).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    if let Some(text) = text {
        let text = text.replacen(&format!("\ndeployment: {from}\n"), &format!("\ndeployment: {to}\n"), 1);
        data.user_data = STANDARD.encode(text);
    }
    data
}

/// The record's own, whatever the spec says by now: a launch that is repeated after a kill has to be the same one.
fn tags(spec: &Spec, template: &TemplateData, deployment: &str) -> crate::cloud::Tags {
    let mut tags = template.tags.clone();
    tags.extend(naming::ownership(&spec.service, &spec.environment));
    tags.insert(naming::DEPLOYMENT.to_owned(), deployment.to_owned());
    tags
}

/// A recorded deployment as the goal.
fn recorded(spec: &Spec, snapshot: &Snapshot, version: &Version, task: Task) -> Goal {
    let said = Description::read(&version.description);
    let identity = Identity {
        deployment: said.deployment.clone(),
        who: said.who,
        started: version.created.unwrap_or(DateTime::<Utc>::UNIX_EPOCH),
        commit: said.commit,
    };
    let template = snapshot.record.as_ref().map(|record| record.id.clone()).unwrap_or_default();
    Goal {
        task,
        record: Recording::Existing { template, version: version.number },
        template: version.data.clone(),
        tags: tags(spec, &version.data, &said.deployment),
        attempt: String::new(),
        count: said.count.unwrap_or(spec.count),
        strategy: spec.strategy,
        only: None,
        ending: Ending::Success,
        replaced: 0,
        notes: Vec::new(),
        identity,
    }
}

/// The deployment that was begun last goes on to the whole.
fn completed(spec: &Spec, snapshot: &Snapshot, version: &Version, task: Task) -> Goal {
    Goal { replaced: missing(spec, snapshot), ..recorded(spec, snapshot, version, task) }
}

/// How many instances the last success lacks.
fn missing(spec: &Spec, snapshot: &Snapshot) -> u32 {
    let Some(last) = snapshot.last_success() else { return 0 };
    let said = Description::read(&last.description);
    let live = of(snapshot, &said.deployment).len();
    said.count.unwrap_or(spec.count).saturating_sub(u32::try_from(live).unwrap_or(u32::MAX))
}

fn of(snapshot: &Snapshot, deployment: &str) -> Vec<Existing> {
    let mine = |existing: &Existing| existing.deployment.as_deref() == Some(deployment);
    existing(snapshot).into_iter().filter(mine).collect()
}

pub(super) fn promote(spec: &Spec, snapshot: &Snapshot) -> Result<Goal, PlanError> {
    let nothing = |why: &str| PlanError::NothingToPromote(why.to_owned());
    let latest = snapshot.latest().ok_or_else(|| nothing("this service was never deployed"))?;
    if !is_held(snapshot, latest) {
        return Err(nothing("the last deployment is neither a canary nor a partial one"));
    }
    let goal = completed(spec, snapshot, latest, Task::Promote);
    if of(snapshot, &goal.identity.deployment).is_empty() {
        return Err(nothing("none of its instances is left; `mayfly abort` takes it back"));
    }
    // The part is there: what is left of a canary is the rest.
    Ok(goal)
}

/// Whether a deployment was left, on purpose, as a part of the whole.
fn is_held(snapshot: &Snapshot, version: &Version) -> bool {
    let is = |key: &str| snapshot.marked(key).contains(&version.number);
    (is(naming::CANARY) || is(naming::PARTIAL)) && !is_over(snapshot, version)
}

fn is_over(snapshot: &Snapshot, version: &Version) -> bool {
    let is = |key: &str| snapshot.marked(key).contains(&version.number);
    is(naming::SUCCEEDED) || is(naming::FAILED) || is(naming::ABORTED)
}

pub(super) fn abort(spec: &Spec, snapshot: &Snapshot) -> Result<Plan, PlanError> {
    let nothing = |why: &str| PlanError::NothingToAbort(why.to_owned());
    let latest = snapshot.latest().ok_or_else(|| nothing("this service was never deployed"))?;
    if snapshot.marked(naming::SUCCEEDED).contains(&latest.number) {
        return Err(nothing("the last deployment succeeded; `mayfly rollback` goes back to the one before"));
    }
    if is_over(snapshot, latest) && of(snapshot, &Snapshot::deployment(latest)).is_empty() {
        return Err(nothing("the last deployment is over and none of its instances is left"));
    }
    undone(spec, snapshot, latest, Task::Abort)
}

/// Leads back from a deployment to the last success.
fn undone(spec: &Spec, snapshot: &Snapshot, version: &Version, task: Task) -> Result<Plan, PlanError> {
    let deployment = Snapshot::deployment(version);
    if let Some(last) = snapshot.last_success() {
        let goal = taken_back(spec, snapshot, last, task, version, &deployment);
        return Ok(toward(spec, snapshot, goal));
    }
    let its = of(snapshot, &deployment);
    if its.iter().any(Existing::is_in_service) {
        return Err(PlanError::NoSuccess(deployment));
    }
    let goal = Goal {
        record: Recording::None,
        ending: Ending::Aborted(version.number),
        count: 0,
        ..recorded(spec, snapshot, version, task)
    };
    Ok(tidy(spec, snapshot, goal, its))
}

fn taken_back(
    spec: &Spec,
    snapshot: &Snapshot,
    last: &Version,
    task: Task,
    version: &Version,
    deployment: &str,
) -> Goal {
    Goal {
        strategy: Strategy::BlueGreen,
        ending: Ending::Aborted(version.number),
        attempt: format!("instead of {deployment}"),
        notes: vec![format!(
            "deployment number {} serves again, in the place of number {}",
            last.number, version.number
        )],
        ..recorded(spec, snapshot, last, task)
    }
}

/// Puts the last success back in the place of a deployment that failed after it had replaced `count` of it.
/// `None` when nothing ever succeeded.
#[must_use]
pub fn restore(spec: &Spec, snapshot: &Snapshot, deployment: &str, count: u32) -> Option<Plan> {
    let last = snapshot.last_success()?;
    let failed = snapshot.versions.iter().find(|version| Snapshot::deployment(version) == deployment)?;
    let goal = taken_back(spec, snapshot, last, Task::Abort, failed, deployment);
    // No more than it ever was: what an earlier failure had left beside it is not put back.
    let whole = Description::read(&last.description).count.unwrap_or(count);
    let goal = Goal { count: count.min(whole), ..goal };
    Some(toward(spec, snapshot, goal))
}

/// Complete or undo, whichever is safer: once old instances have ended and the new serve, going on is; before, going
/// back is.
pub(super) fn recover(spec: &Spec, snapshot: &Snapshot) -> Result<Plan, PlanError> {
    let Some(latest) = snapshot.latest() else { return Ok(nothing_recorded(spec, snapshot)) };
    let its = of(snapshot, &Snapshot::deployment(latest));
    let serves = if spec.load_balancers.is_empty() {
        !its.is_empty()
    } else {
        its.iter().any(Existing::is_in_service)
    };
    if snapshot.marked(naming::SUCCEEDED).contains(&latest.number) {
        let count = u32::try_from(its.len()).unwrap_or(u32::MAX).max(1);
        let goal = recorded(spec, snapshot, latest, Task::Recover);
        let goal = Goal { count, ending: Ending::Nothing, strategy: Strategy::BlueGreen, ..goal };
        return Ok(toward(spec, snapshot, goal));
    }
    let replaced = snapshot.last_success().is_none() || missing(spec, snapshot) > 0;
    let is_partial = snapshot.marked(naming::PARTIAL).contains(&latest.number);
    match is_held(snapshot, latest) && !its.is_empty() && !is_torn(snapshot) {
        true if is_partial || !(serves && replaced) => Ok(held(spec, snapshot, latest)),
        _ if serves && replaced && !is_over(snapshot, latest) => {
            Ok(toward(spec, snapshot, completed(spec, snapshot, latest, Task::Recover)))
        }
        _ => undone(spec, snapshot, latest, Task::Recover),
    }
}

/// Whether some instance is out of one balancer and not yet out of another: a change of traffic was cut off. A balancer that
/// the spec names since then has none of them, and tears nothing.
fn is_torn(snapshot: &Snapshot) -> bool {
    let all = existing(snapshot);
    let mut sets = all.iter().filter(|one| one.is_registered()).map(|one| &one.registered);
    let Some(first) = sets.next() else { return false };
    sets.any(|set| set.len() != first.len() || set.iter().any(|balancer| !first.contains(balancer)))
}

/// What a new deployment says of a part that was left on purpose.
pub(super) fn held_note(snapshot: &Snapshot) -> Option<String> {
    let latest = snapshot.latest().filter(|latest| is_held(snapshot, latest))?;
    let deployment = Snapshot::deployment(latest);
    let lives = !of(snapshot, &deployment).is_empty();
    lives.then(|| format!("{deployment}, which was left as a part of the whole, is replaced too"))
}

/// What was left as a part on purpose stays; only what is out of service goes.
fn held(spec: &Spec, snapshot: &Snapshot, latest: &Version) -> Plan {
    let deployment = Snapshot::deployment(latest);
    let note = format!("{deployment} is held as a part of the whole: `mayfly promote` or `mayfly abort`");
    let goal = Goal {
        ending: Ending::Nothing,
        notes: vec![note],
        ..recorded(spec, snapshot, latest, Task::Recover)
    };
    let idle = |existing: &Existing| !spec.load_balancers.is_empty() && existing.registered.is_empty();
    let leftovers = existing(snapshot).into_iter().filter(idle).collect();
    tidy(spec, snapshot, goal, leftovers)
}

fn nothing_recorded(spec: &Spec, snapshot: &Snapshot) -> Plan {
    let goal = Goal {
        task: Task::Recover,
        identity: Identity {
            deployment: "-".to_owned(),
            who: "-".to_owned(),
            started: DateTime::<Utc>::UNIX_EPOCH,
            commit: None,
        },
        record: Recording::None,
        template: TemplateData::default(),
        tags: naming::instance_tags(spec, "-"),
        attempt: String::new(),
        count: 0,
        strategy: Strategy::BlueGreen,
        only: None,
        ending: Ending::Nothing,
        replaced: 0,
        notes: vec!["nothing was ever recorded, so nothing is half done".to_owned()],
    };
    tidy(spec, snapshot, goal, Vec::new())
}
