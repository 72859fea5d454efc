//! Desired against live, for one environment after the other. Pure but for [`look`], which reads.

use crate::cloud::{Answer, Cloud, CloudError, Health, Instance, Member};
use crate::lock::{self, Holder, LockError};
use crate::snapshot::Snapshot;
use crate::spec::Spec;
use crate::{naming, system};
use serde::Serialize;
use std::fmt::Write;

/// How an environment is.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Environment {
    /// Its name.
    pub environment: String,
    /// How many instances the spec wants.
    pub desired: u32,
    /// How many live.
    pub live: usize,
    /// How many get requests from every balancer.
    pub in_service: Option<usize>,
    /// The balancers.
    pub balancers: Vec<Balancer>,
    /// The id of the last deployment that succeeded.
    pub current: Option<String>,
    /// The image that the spec means now.
    pub image: String,
    /// The commit that the spec's branch points to now, where it could be asked.
    pub commit: Option<String>,
    /// The commit that was deployed last, where the record says so.
    pub deployed_commit: Option<String>,
    /// Who holds the lock.
    pub lock: Option<String>,
    /// The instances.
    pub instances: Vec<Row>,
}

/// A balancer as status shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Balancer {
    /// Its name.
    pub name: String,
    /// Its address.
    pub dns_name: Option<String>,
    /// Members that carry no tags of this service and environment.
    pub foreign: usize,
}

/// One instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Row {
    /// Its id.
    pub id: String,
    /// Its state.
    pub state: &'static str,
    /// The view of the balancers, of the first that does not send it requests; `None` when it is no member there.
    pub health: Option<&'static str>,
    /// Why that balancer sends it nothing.
    pub reason: Option<String>,
    /// The deployment that launched it.
    pub deployment: Option<String>,
    /// Its image.
    pub image: String,
    /// Its private address.
    pub private_ip: Option<String>,
    /// Its public address.
    pub public_ip: Option<String>,
    /// Its zone.
    pub zone: Option<String>,
    /// When it was launched.
    pub launched: Option<chrono::DateTime<chrono::Utc>>,
}

/// Reads how the environment of a spec is.
///
/// # Errors
/// [`CloudError`] of the call that failed, or what stands in the lock's place.
pub async fn look(cloud: &dyn Cloud, spec: &Spec) -> Result<Environment, LockError> {
    let snapshot = Snapshot::read(cloud, spec).await?;
    let holder = lock::holder_of(cloud, spec).await?;
    Ok(environment(spec, &snapshot, holder.map(|held| locked(&held.holder))))
}

/// Who holds the lock, and what to do where the holder is provably gone.
fn locked(holder: &Holder) -> String {
    let is_gone = holder.is_stale(&system::holder(), system::now(), &system::is_alive);
    let next = if is_gone { "; it is gone, and `mayfly recover` finishes its work" } else { "" };
    format!("{holder}{next}")
}

/// The commit of the last deployment that succeeded, by the record's default version.
///
/// # Errors
/// [`CloudError`] of the call that failed.
pub async fn deployed_commit(cloud: &dyn Cloud, spec: &Spec) -> Answer<Option<String>> {
    let all = crate::history::read(cloud, &spec.service, &spec.environment).await?;
    let current = all.into_iter().find(|whole| whole.entry.ending == crate::history::Ending::Current);
    Ok::<_, CloudError>(current.and_then(|whole| whole.entry.commit))
}

/// A snapshot as status shows it.
#[must_use]
pub fn environment(spec: &Spec, snapshot: &Snapshot, lock: Option<String>) -> Environment {
    let instances: Vec<Row> =
        snapshot.instances.iter().map(|instance| row(instance, &snapshot.balancers)).collect();
    let serving = instances.iter().filter(|row| row.health == Some(Health::InService.words())).count();
    let ours = |member: &&Member| snapshot.instances.iter().any(|instance| instance.id == member.instance);
    Environment {
        environment: spec.environment.clone(),
        desired: spec.count,
        live: instances.len(),
        in_service: (!snapshot.balancers.is_empty()).then_some(serving),
        balancers: snapshot
            .balancers
            .iter()
            .map(|(balancer, members)| Balancer {
                name: balancer.name.clone(),
                dns_name: balancer.dns_name.clone(),
                foreign: members.iter().filter(|member| !ours(member)).count(),
            })
            .collect(),
        current: snapshot.record.as_ref().and_then(|record| record.tags.get(naming::CURRENT)).cloned(),
        image: snapshot.image.clone(),
        commit: None,
        deployed_commit: None,
        lock,
        instances,
    }
}

fn row(instance: &Instance, balancers: &[(crate::cloud::Balancer, Vec<Member>)]) -> Row {
    let views = balancers.iter().map(|(_, members)| members.iter().find(|m| m.instance == instance.id));
    let serves = |view: &Option<&Member>| view.is_some_and(|member| member.health == Health::InService);
    let views: Vec<Option<&Member>> = views.collect();
    let member = views.iter().find(|view| !serves(view)).or(views.first()).copied().flatten();
    let reason = member.filter(|member| member.health != Health::InService);
    Row {
        id: instance.id.clone(),
        state: instance.state.word(),
        health: member.map(|member| member.health.words()),
        reason: reason.and_then(|member| member.description.clone()),
        deployment: instance.tags.get(naming::DEPLOYMENT).cloned(),
        image: instance.image.clone(),
        private_ip: instance.private_ip.clone(),
        public_ip: instance.public_ip.clone(),
        zone: instance.zone.clone(),
        launched: instance.launched,
    }
}

impl Environment {
    /// What differs between what is wanted and what lives.
    #[must_use]
    pub fn differences(&self) -> Vec<String> {
        let mut differences = Vec::new();
        if self.live != self.desired as usize {
            differences.push(format!("{} of {} instances live", self.live, self.desired));
        }
        if let Some(serving) = self.in_service.filter(|serving| *serving < self.live) {
            differences.push(format!("{serving} of {} in service", self.live));
        }
        let others = self.instances.iter().filter(|row| row.deployment != self.current).count();
        if others > 0 {
            differences.push(format!("{others} not of the current deployment"));
        }
        if self.instances.iter().any(|row| row.image != self.image) {
            differences.push(format!("the spec's image is {} now", self.image));
        }
        match (&self.commit, &self.deployed_commit) {
            (Some(now), Some(then)) if now != then => {
                differences.push(format!(
                    "the states are at {} now, deployed was {}",
                    short(now),
                    short(then)
                ));
            }
            _ => {}
        }
        differences
    }

    /// One line for the environment, then one for each instance.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = format!("{:<12} {}/{} live", self.environment, self.live, self.desired);
        if let Some(serving) = self.in_service {
            let _ = write!(text, ", {serving} in service");
        }
        for (number, balancer) in self.balancers.iter().enumerate() {
            let address = balancer.dns_name.as_deref().unwrap_or("no address");
            let word = if number == 0 { "with" } else { "and" };
            let _ = write!(text, " {word} {} ({address})", balancer.name);
            if balancer.foreign > 0 {
                let _ = write!(text, " beside {} that are not Mayfly's", balancer.foreign);
            }
        }
        let _ = writeln!(text, ", current {}", self.current.as_deref().unwrap_or("none yet"));
        for difference in self.differences().iter().filter(|_| self.current.is_some() || self.live > 0) {
            let _ = writeln!(text, "  differs: {difference}");
        }
        for row in &self.instances {
            let health = if self.balancers.is_empty() { "" } else { row.health.unwrap_or("not a member") };
            let address = row.public_ip.as_deref().or(row.private_ip.as_deref()).unwrap_or("-");
            let deployment = row.deployment.as_deref().unwrap_or("-");
            let reason = row.reason.as_ref().map(|reason| format!(" ({reason})")).unwrap_or_default();
            let _ = writeln!(
                text,
                "  {:<20} {:<8} {health:<15} {address:<16} {deployment}{reason}",
                row.id, row.state
            );
        }
        if let Some(lock) = &self.lock {
            let _ = writeln!(text, "  {lock}");
        }
        text
    }
}

fn short(commit: &str) -> &str {
    commit.get(..12).unwrap_or(commit)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(id: &str, image: &str, deployment: &str) -> Row {
        Row {
            id: id.into(),
            state: "running",
            health: Some("in service"),
            reason: None,
            deployment: Some(deployment.into()),
            image: image.into(),
            private_ip: Some("10.0.0.1".into()),
            public_ip: None,
            zone: None,
            launched: None,
        }
    }

    fn at_rest() -> Environment {
        Environment {
            environment: "qa".into(),
            desired: 2,
            live: 2,
            in_service: Some(2),
            balancers: vec![Balancer { name: "lb".into(), dns_name: None, foreign: 0 }],
            current: Some("d1".into()),
            image: "ami-1".into(),
            commit: Some("a".repeat(40)),
            deployed_commit: Some("a".repeat(40)),
            lock: None,
            instances: vec![row("i-1", "ami-1", "d1"), row("i-2", "ami-1", "d1")],
        }
    }

    #[test]
    fn at_rest_nothing_differs_and_each_drift_is_named() {
        assert_eq!(at_rest().differences(), Vec::<String>::new());
        let mut drifted = at_rest();
        drifted.desired = 3;
        drifted.in_service = Some(1);
        drifted.image = "ami-2".into();
        drifted.commit = Some("b".repeat(40));
        drifted.instances[1].deployment = Some("d0".into());
        let expected = [
            "2 of 3 instances live",
            "1 of 2 in service",
            "1 not of the current deployment",
            "the spec's image is ami-2 now",
            "the states are at bbbbbbbbbbbb now, deployed was aaaaaaaaaaaa",
        ];
        assert_eq!(drifted.differences(), expected);
    }
}
