//! Target groups' calls. Groups are asked for by ARN; one that is named is looked up once.

use super::{Aws, failed, incomplete};
use crate::cloud::{Answer, Balancer, BalancerRef, Check, CloudError, Health, Kind, Member, TargetKind};
use aws_sdk_elasticloadbalancingv2::types::{
    TargetDescription, TargetGroup, TargetHealthDescription, TargetHealthStateEnum, TargetTypeEnum,
};
use std::sync::PoisonError;
use std::time::Duration;

/// Targets in one request.
const TARGETS: usize = 200;
/// What AWS takes when the attribute is not there.
const DEFAULT_DELAY: Duration = Duration::from_secs(300);

impl Aws {
    pub(super) async fn describe_group(&self, group: &str) -> Answer<Balancer> {
        let found = self.target_group(group).await?;
        let arn = found.target_group_arn().unwrap_or_default();
        let (used_by, attributes) =
            futures::try_join!(self.users_of(found.load_balancer_arns()), self.group_attributes(arn))?;
        let seconds = |key: &str| {
            let value = attributes.iter().find(|(have, _)| have == key).map(|(_, value)| value.parse());
            value.and_then(Result::ok).map(Duration::from_secs)
        };
        let name = found.target_group_name().unwrap_or(group).to_owned();
        let (dns_name, zones) = used_by;
        Ok(Balancer {
            reference: BalancerRef::TargetGroup(group.to_owned()),
            targets: target_kind(&name, found.target_type())?,
            name,
            dns_name,
            zones,
            drain: Some(seconds("deregistration_delay.timeout_seconds").unwrap_or(DEFAULT_DELAY))
                .filter(|delay| !delay.is_zero()),
            slow_start: seconds("slow_start.duration_seconds").unwrap_or_default(),
            health_check: health_check(&found),
            check: check(&found),
            in_use: !found.load_balancer_arns().is_empty(),
        })
    }

    async fn target_group(&self, group: &str) -> Answer<TargetGroup> {
        const ACTION: &str = "DescribeTargetGroups";
        let request = self.elbv2.describe_target_groups();
        let request =
            if group.starts_with("arn:") { request.target_group_arns(group) } else { request.names(group) };
        let answer = request.send().await.map_err(|error| failed(ACTION, &error))?;
        let found =
            answer.target_groups().first().cloned().ok_or_else(|| incomplete(ACTION, "the target group"))?;
        if let Some(arn) = found.target_group_arn() {
            let mut arns = self.arns.lock().unwrap_or_else(PoisonError::into_inner);
            arns.insert(group.to_owned(), arn.to_owned());
        }
        Ok(found)
    }

    async fn arn(&self, group: &str) -> Answer<String> {
        if group.starts_with("arn:") {
            return Ok(group.to_owned());
        }
        let known = self.arns.lock().unwrap_or_else(PoisonError::into_inner).get(group).cloned();
        if let Some(arn) = known {
            return Ok(arn);
        }
        let found = self.target_group(group).await?;
        found
            .target_group_arn()
            .map(str::to_owned)
            .ok_or_else(|| incomplete("DescribeTargetGroups", "the ARN"))
    }

    /// Address and zones of the load balancers that use a group.
    async fn users_of(&self, arns: &[String]) -> Answer<(Option<String>, Vec<String>)> {
        if arns.is_empty() {
            return Ok((None, Vec::new()));
        }
        let request = self.elbv2.describe_load_balancers().set_load_balancer_arns(Some(arns.to_vec()));
        let mut pages = request.into_paginator().items().send();
        let mut dns_name = None;
        let mut zones: Vec<String> = Vec::new();
        while let Some(item) = pages.next().await {
            let found = item.map_err(|error| failed("DescribeLoadBalancers", &error))?;
            dns_name = dns_name.or_else(|| found.dns_name().map(str::to_owned));
            let named = found.availability_zones().iter().filter_map(|zone| zone.zone_name());
            zones.extend(named.map(str::to_owned));
        }
        zones.sort();
        zones.dedup();
        Ok((dns_name, zones))
    }

    async fn group_attributes(&self, arn: &str) -> Answer<Vec<(String, String)>> {
        let request = self.elbv2.describe_target_group_attributes().target_group_arn(arn);
        let answer = request.send().await.map_err(|error| failed("DescribeTargetGroupAttributes", &error))?;
        let pair = |attribute: &aws_sdk_elasticloadbalancingv2::types::TargetGroupAttribute| {
            Some((attribute.key()?.to_owned(), attribute.value()?.to_owned()))
        };
        Ok(answer.attributes().iter().filter_map(pair).collect())
    }

    pub(super) async fn describe_target_health(&self, group: &str) -> Answer<Vec<Member>> {
        let request = self.elbv2.describe_target_health().target_group_arn(self.arn(group).await?);
        let answer = request.send().await.map_err(|error| failed("DescribeTargetHealth", &error))?;
        Ok(answer.target_health_descriptions().iter().filter_map(member).collect())
    }

    pub(super) async fn register_targets(&self, group: &str, ids: &[String]) -> Answer<()> {
        let arn = self.arn(group).await?;
        for ids in ids.chunks(TARGETS) {
            let request = self.elbv2.register_targets().target_group_arn(&arn);
            let request = request.set_targets(Some(targets(ids)));
            request.send().await.map_err(|error| failed("RegisterTargets", &error))?;
        }
        Ok(())
    }

    pub(super) async fn deregister_targets(&self, group: &str, ids: &[String]) -> Answer<()> {
        let arn = self.arn(group).await?;
        for ids in ids.chunks(TARGETS) {
            let request = self.elbv2.deregister_targets().target_group_arn(&arn);
            let request = request.set_targets(Some(targets(ids)));
            request.send().await.map_err(|error| failed("DeregisterTargets", &error))?;
        }
        Ok(())
    }
}

/// Without a port: AWS takes the group's.
fn targets(ids: &[String]) -> Vec<TargetDescription> {
    ids.iter().map(|id| TargetDescription::builder().id(id).build()).collect()
}

fn target_kind(name: &str, kind: Option<&TargetTypeEnum>) -> Answer<TargetKind> {
    match kind {
        None | Some(TargetTypeEnum::Instance) => Ok(TargetKind::Instance),
        Some(TargetTypeEnum::Ip) => Ok(TargetKind::Ip),
        Some(other) => {
            let message = format!(
                "the targets of target group {name} are of type `{}`; instances can be targets of type `instance` \
                 or `ip`",
                other.as_str()
            );
            Err(CloudError::new("DescribeTargetGroups", Kind::Invalid, message))
        }
    }
}

fn health_check(group: &TargetGroup) -> Option<String> {
    let protocol = group.health_check_protocol()?.as_str();
    let port = group.health_check_port().unwrap_or("traffic-port");
    Some(format!("{protocol}:{port}{}", group.health_check_path().unwrap_or_default()))
}

fn check(group: &TargetGroup) -> Option<Check> {
    let seconds = |number: Option<i32>| number.and_then(|n| u64::try_from(n).ok()).map(Duration::from_secs);
    let count = |number: Option<i32>| number.and_then(|n| u32::try_from(n).ok());
    Some(Check {
        interval: seconds(group.health_check_interval_seconds())?,
        timeout: seconds(group.health_check_timeout_seconds()).unwrap_or_default(),
        healthy: count(group.healthy_threshold_count()).unwrap_or(1),
        unhealthy: count(group.unhealthy_threshold_count()).unwrap_or(1),
    })
}

fn member(described: &TargetHealthDescription) -> Option<Member> {
    let health = described.target_health();
    let reason = health.and_then(|health| health.reason()).map(|reason| reason.as_str().to_owned());
    Some(Member {
        instance: described.target()?.id()?.to_owned(),
        health: normal(health.and_then(|health| health.state())),
        reason_code: reason,
        description: health.and_then(|health| health.description()).map(str::to_owned),
    })
}

fn normal(state: Option<&TargetHealthStateEnum>) -> Health {
    match state {
        Some(TargetHealthStateEnum::Healthy) => Health::InService,
        Some(TargetHealthStateEnum::Initial) => Health::Initial,
        Some(TargetHealthStateEnum::Unhealthy) => Health::OutOfService,
        Some(TargetHealthStateEnum::Draining | TargetHealthStateEnum::UnhealthyDraining) => Health::Draining,
        Some(TargetHealthStateEnum::Unused) => Health::Unused,
        _ => Health::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_sdk_elasticloadbalancingv2::types::{TargetHealth, TargetHealthReasonEnum};

    fn described(state: &str, reason: Option<TargetHealthReasonEnum>) -> Member {
        let health = TargetHealth::builder().state(state.into()).set_reason(reason).build();
        let target = TargetDescription::builder().id("i-1").build();
        let described = TargetHealthDescription::builder().target(target).target_health(health).build();
        member(&described).expect("a member")
    }

    #[test]
    fn every_state_of_a_target_has_its_meaning() {
        let meanings = [
            ("healthy", Health::InService),
            ("initial", Health::Initial),
            ("unhealthy", Health::OutOfService),
            ("draining", Health::Draining),
            ("unhealthy.draining", Health::Draining),
            ("unused", Health::Unused),
            ("unavailable", Health::Unknown),
            ("something-new", Health::Unknown),
        ];
        for (state, health) in meanings {
            assert_eq!(described(state, None).health, health, "{state}");
        }
        let unused = described("unused", Some(TargetHealthReasonEnum::NotInUse));
        assert_eq!(unused.reason_code.as_deref(), Some("Target.NotInUse"));
    }
}
