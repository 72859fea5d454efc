//! Load balancers of every kind as one model: what they are called, what they promise, how their members are.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// Which balancer is meant.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BalancerRef {
    /// A classic load balancer, by name.
    Classic(String),
    /// A target group of an application or network load balancer, by name or ARN.
    TargetGroup(String),
}

impl BalancerRef {
    /// Its name; of an ARN the part that is the group's name.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Classic(name) => name,
            Self::TargetGroup(name) if name.starts_with("arn:") => name.split('/').nth(1).unwrap_or(name),
            Self::TargetGroup(name) => name,
        }
    }
}

impl fmt::Display for BalancerRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// By what a balancer knows its members.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TargetKind {
    /// By instance id.
    #[default]
    Instance,
    /// By private address.
    Ip,
}

/// What one member of a balancer is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Health {
    /// It gets requests.
    InService,
    /// It was registered and has not been checked yet.
    Initial,
    /// It fails its check and gets no requests.
    OutOfService,
    /// It is being taken out; classic ELB still calls that `InService`.
    Draining,
    /// Nothing sends requests to it: no listener uses the group, or the zone is off. Waiting does not help.
    Unused,
    /// The balancer does not know.
    Unknown,
}

impl Health {
    /// For people.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::InService => "in service",
            Self::Initial => "registered, not checked yet",
            Self::OutOfService => "out of service",
            Self::Draining => "draining",
            Self::Unused => "unused",
            Self::Unknown => "unknown to the balancer",
        }
    }
}

/// One member of a balancer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The instance; where targets are addresses, the address, until [`name_members`] has found whose it is.
    pub instance: String,
    /// What it is doing.
    pub health: Health,
    /// AWS's code, such as `ELB`, `Instance`, or `Target.FailedHealthChecks`, when it is out of service.
    pub reason_code: Option<String>,
    /// The balancer's words.
    pub description: Option<String>,
}

/// When a balancer checks its members, and what it takes to be in or out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Check {
    /// From one check to the next.
    pub interval: Duration,
    /// How long one may take.
    pub timeout: Duration,
    /// Checks in a row that must pass.
    pub healthy: u32,
    /// Checks in a row that must fail.
    pub unhealthy: u32,
}

/// A load balancer, or a target group of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Balancer {
    /// As it was asked for.
    pub reference: BalancerRef,
    /// Its name.
    pub name: String,
    /// Its address; of a target group, that of a load balancer that uses it.
    pub dns_name: Option<String>,
    /// Zones it sends requests to; empty where they cannot be read.
    pub zones: Vec<String>,
    /// How long it drains; `None`: it does not.
    pub drain: Option<Duration>,
    /// How long a new member gets fewer requests, beside others.
    pub slow_start: Duration,
    /// Its health check, as `HTTP:8080/health`.
    pub health_check: Option<String>,
    /// When it checks.
    pub check: Option<Check>,
    /// By what it knows its members.
    pub targets: TargetKind,
    /// Whether anything sends requests through it: a target group that no listener uses never has a healthy member.
    pub in_use: bool,
}

impl Balancer {
    /// A classic balancer of which only the name is known.
    #[must_use]
    pub fn classic(name: &str) -> Self {
        Self {
            reference: BalancerRef::Classic(name.to_owned()),
            name: name.to_owned(),
            dns_name: None,
            zones: Vec::new(),
            drain: None,
            slow_start: Duration::ZERO,
            health_check: None,
            check: None,
            targets: TargetKind::Instance,
            in_use: true,
        }
    }
}

/// Members that are addresses get the id of the instance that has the address; others keep it.
#[must_use]
pub fn name_members<'a>(
    members: Vec<Member>,
    targets: TargetKind,
    instances: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> Vec<Member> {
    if targets == TargetKind::Instance {
        return members;
    }
    let owners: BTreeMap<&str, &str> = instances.into_iter().map(|(id, address)| (address, id)).collect();
    let named = |mut member: Member| {
        if let Some(id) = owners.get(member.instance.as_str()) {
            (*id).clone_into(&mut member.instance);
        }
        member
    };
    members.into_iter().map(named).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_group_is_called_by_its_name_however_it_is_referred_to() {
        let arn = "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/web/0123456789abcdef";
        assert_eq!(BalancerRef::TargetGroup(arn.into()).to_string(), "web");
        assert_eq!(BalancerRef::TargetGroup("web".into()).to_string(), "web");
    }

    #[test]
    fn addresses_become_the_instances_that_have_them() {
        let member = |id: &str| Member {
            instance: id.into(),
            health: Health::InService,
            reason_code: None,
            description: None,
        };
        let members = vec![member("10.0.0.1"), member("10.0.0.9")];
        let named = name_members(members.clone(), TargetKind::Ip, [("i-1", "10.0.0.1")]);
        let ids: Vec<&str> = named.iter().map(|m| m.instance.as_str()).collect();
        assert_eq!(ids, ["i-1", "10.0.0.9"]);
        assert_eq!(name_members(members.clone(), TargetKind::Instance, [("i-1", "10.0.0.1")]), members);
    }
}
