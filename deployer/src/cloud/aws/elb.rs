//! Classic load balancing's calls.

use super::convert::member;
use super::{Aws, failed, incomplete};
use crate::cloud::{Answer, Balancer, Check, Member};
use aws_sdk_elasticloadbalancing::types::{HealthCheck, Instance};
use std::time::Duration;

impl Aws {
    /// The balancer with its attributes: draining is read, not assumed.
    pub(super) async fn describe_balancer(&self, name: &str) -> Answer<Balancer> {
        const ACTION: &str = "DescribeLoadBalancers";
        let request = self.elb.describe_load_balancers().load_balancer_names(name);
        let answer = request.send().await.map_err(|error| failed(ACTION, &error))?;
        let found =
            answer.load_balancer_descriptions().first().ok_or_else(|| incomplete(ACTION, "the balancer"))?;
        Ok(Balancer {
            dns_name: found.dns_name().map(str::to_owned),
            zones: found.availability_zones().to_vec(),
            drain: self.draining(name).await?,
            health_check: found.health_check().map(|check| check.target().to_owned()),
            check: found.health_check().map(check),
            ..Balancer::classic(name)
        })
    }

    async fn draining(&self, name: &str) -> Answer<Option<Duration>> {
        let request = self.elb.describe_load_balancer_attributes().load_balancer_name(name);
        let answer =
            request.send().await.map_err(|error| failed("DescribeLoadBalancerAttributes", &error))?;
        let draining = answer.load_balancer_attributes().and_then(|all| all.connection_draining());
        Ok(draining.filter(|draining| draining.enabled()).map(|draining| {
            let seconds = draining.timeout().and_then(|seconds| u64::try_from(seconds).ok());
            Duration::from_secs(seconds.unwrap_or(300))
        }))
    }

    pub(super) async fn describe_health(&self, balancer: &str) -> Answer<Vec<Member>> {
        let request = self.elb.describe_instance_health().load_balancer_name(balancer);
        let answer = request.send().await.map_err(|error| failed("DescribeInstanceHealth", &error))?;
        Ok(answer.instance_states().iter().filter_map(member).collect())
    }

    pub(super) async fn register_instances(&self, balancer: &str, ids: &[String]) -> Answer<()> {
        let request = self.elb.register_instances_with_load_balancer().load_balancer_name(balancer);
        let request = request.set_instances(Some(instances(ids)));
        request.send().await.map(|_| ()).map_err(|error| failed("RegisterInstancesWithLoadBalancer", &error))
    }

    pub(super) async fn deregister_instances(&self, balancer: &str, ids: &[String]) -> Answer<()> {
        let request = self.elb.deregister_instances_from_load_balancer().load_balancer_name(balancer);
        let request = request.set_instances(Some(instances(ids)));
        request
            .send()
            .await
            .map(|_| ())
            .map_err(|error| failed("DeregisterInstancesFromLoadBalancer", &error))
    }
}

fn check(check: &HealthCheck) -> Check {
    let seconds = |number: i32| Duration::from_secs(u64::try_from(number).unwrap_or_default());
    let count = |number: i32| u32::try_from(number).unwrap_or(1);
    Check {
        interval: seconds(check.interval()),
        timeout: seconds(check.timeout()),
        healthy: count(check.healthy_threshold()),
        unhealthy: count(check.unhealthy_threshold()),
    }
}

fn instances(ids: &[String]) -> Vec<Instance> {
    ids.iter().map(|id| Instance::builder().instance_id(id).build()).collect()
}
