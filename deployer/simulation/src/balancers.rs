//! Balancers of both kinds, call for call as the deployer's client of AWS asks for them.

use crate::cloud::{SimulatedCloud, odd};
use mayfly_deployer::cloud::{
    Answer, Balancer, BalancerRef, Check, CloudError, Health, Kind, Member, TargetKind,
};
use mayfly_sandbox::world::{
    BalancerInstances, DescribeBalancers, DescribeLoadBalancers, DescribeTargetGroups, ElbRequest,
    Elbv2Request, GroupRecord, GroupTargets, InstanceHealth, Response, TargetHealth, TargetRef, TargetType,
};
use std::collections::BTreeSet;
use std::sync::PoisonError;
use std::time::Duration;

fn seconds(number: u32) -> Duration {
    Duration::from_secs(u64::from(number))
}

impl SimulatedCloud {
    pub(crate) async fn classic(&self, name: &str) -> Answer<Balancer> {
        const ACTION: &str = "DescribeLoadBalancers";
        let body = DescribeBalancers { names: vec![name.to_owned()], ..DescribeBalancers::default() };
        let found = match self.elb(ElbRequest::DescribeLoadBalancers(body)).await? {
            Response::Balancers(page) => page.items.into_iter().next(),
            other => return Err(odd(ACTION, &other)),
        };
        let found = found.ok_or_else(|| CloudError::new(ACTION, Kind::NotFound, "no such balancer"))?;
        let attributes = match self.elb(ElbRequest::DescribeLoadBalancerAttributes(name.to_owned())).await? {
            Response::BalancerAttributes(balancer) => balancer,
            other => return Err(odd("DescribeLoadBalancerAttributes", &other)),
        };
        let check = &found.health_check;
        Ok(Balancer {
            dns_name: Some(found.address.to_string()),
            zones: found.zones.iter().cloned().collect(),
            drain: attributes.draining.then(|| seconds(attributes.drain_timeout)),
            check: Some(Check {
                interval: seconds(check.interval),
                timeout: seconds(check.timeout),
                healthy: check.healthy_threshold,
                unhealthy: check.unhealthy_threshold,
            }),
            ..Balancer::classic(name)
        })
    }

    pub(crate) async fn group(&self, name: &str) -> Answer<Balancer> {
        let GroupRecord { group, load_balancers } = self.look_up(name).await?;
        let (zones, attributes) = tokio::try_join!(self.zones(&load_balancers), self.attributes(&group.arn))?;
        let number = |key: &str| {
            let found = attributes.iter().find(|(have, _)| have == key);
            found.and_then(|(_, value)| value.parse().ok()).unwrap_or(0)
        };
        let drain = seconds(number("deregistration_delay.timeout_seconds"));
        let check = &group.check;
        Ok(Balancer {
            reference: BalancerRef::TargetGroup(name.to_owned()),
            name: group.name,
            dns_name: None,
            zones,
            drain: Some(drain).filter(|drain| !drain.is_zero()),
            slow_start: seconds(number("slow_start.duration_seconds")),
            health_check: None,
            check: Some(Check {
                interval: seconds(check.interval),
                timeout: seconds(check.timeout),
                healthy: check.healthy_threshold,
                unhealthy: check.unhealthy_threshold,
            }),
            targets: match group.target_type {
                TargetType::Instance => TargetKind::Instance,
                TargetType::Ip => TargetKind::Ip,
            },
            in_use: !load_balancers.is_empty(),
        })
    }

    async fn look_up(&self, name: &str) -> Answer<GroupRecord> {
        const ACTION: &str = "DescribeTargetGroups";
        let body = DescribeTargetGroups { names: vec![name.to_owned()], ..DescribeTargetGroups::default() };
        let found = match self.elbv2(Elbv2Request::DescribeTargetGroups(body)).await? {
            Response::TargetGroups(page) => page.items.into_iter().next(),
            other => return Err(odd(ACTION, &other)),
        };
        let found = found.ok_or_else(|| CloudError::new(ACTION, Kind::NotFound, "no such target group"))?;
        let mut arns = self.arns.lock().unwrap_or_else(PoisonError::into_inner);
        arns.insert(name.to_owned(), found.group.arn.clone());
        Ok(found)
    }

    pub(crate) async fn arn(&self, name: &str) -> Answer<String> {
        let known = self.arns.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned();
        match known {
            Some(arn) => Ok(arn),
            None => Ok(self.look_up(name).await?.group.arn),
        }
    }

    async fn zones(&self, arns: &[String]) -> Answer<Vec<String>> {
        if arns.is_empty() {
            return Ok(Vec::new());
        }
        let body = DescribeLoadBalancers { arns: arns.to_vec(), ..DescribeLoadBalancers::default() };
        match self.elbv2(Elbv2Request::DescribeLoadBalancers(body)).await? {
            Response::LoadBalancers(page) => {
                let zones = page.items.iter().flat_map(|record| record.balancer.zones.keys().cloned());
                Ok(zones.collect::<BTreeSet<_>>().into_iter().collect())
            }
            other => Err(odd("DescribeLoadBalancers", &other)),
        }
    }

    async fn attributes(&self, arn: &str) -> Answer<Vec<(String, String)>> {
        match self.elbv2(Elbv2Request::DescribeTargetGroupAttributes(arn.to_owned())).await? {
            Response::Attributes(attributes) => Ok(attributes.into_iter().collect()),
            other => Err(odd("DescribeTargetGroupAttributes", &other)),
        }
    }

    pub(crate) async fn classic_members(&self, name: &str) -> Answer<Vec<Member>> {
        let body = BalancerInstances { name: name.to_owned(), ids: Vec::new() };
        match self.elb(ElbRequest::DescribeInstanceHealth(body)).await? {
            Response::Health(members) => Ok(members.into_iter().map(member).collect()),
            other => Err(odd("DescribeInstanceHealth", &other)),
        }
    }

    pub(crate) async fn targets(&self, name: &str) -> Answer<Vec<Member>> {
        let body = GroupTargets { group: self.arn(name).await?, targets: Vec::new() };
        match self.elbv2(Elbv2Request::DescribeTargetHealth(body)).await? {
            Response::TargetHealth(targets) => Ok(targets.into_iter().map(target).collect()),
            other => Err(odd("DescribeTargetHealth", &other)),
        }
    }
}

/// Targets without a port: the group's is taken.
pub(crate) fn group_targets(arn: &str, ids: &[String]) -> GroupTargets {
    let target = |id: &String| TargetRef { id: id.clone(), ..TargetRef::default() };
    GroupTargets { group: arn.to_owned(), targets: ids.iter().map(target).collect() }
}

fn member(health: InstanceHealth) -> Member {
    let is_draining = health.description.contains("deregistration currently in progress");
    let some = |text: &str| (text != "N/A").then(|| text.to_owned());
    Member {
        health: match health.state {
            _ if is_draining => Health::Draining,
            "InService" => Health::InService,
            _ if health.description.contains("registration is still in progress") => Health::Initial,
            "OutOfService" => Health::OutOfService,
            _ => Health::Unknown,
        },
        reason_code: some(health.reason_code),
        description: some(health.description),
        instance: health.instance_id,
    }
}

fn target(target: TargetHealth) -> Member {
    let (state, reason, description) = target.status;
    Member {
        instance: target.key.id,
        health: match state {
            "healthy" => Health::InService,
            "initial" => Health::Initial,
            "unhealthy" => Health::OutOfService,
            "draining" | "unhealthy.draining" => Health::Draining,
            "unused" => Health::Unused,
            _ => Health::Unknown,
        },
        reason_code: reason.map(str::to_owned),
        description,
    }
}
