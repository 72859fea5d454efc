//! Attributes of load balancers and target groups: which there are, their defaults, and which values they take.
use super::error::{ApiError, ApiResult};
use super::target_model::{Attributes, BalancerKind, TargetProtocol, TargetType};

/// Seconds until a deregistering target is gone.
pub(super) const DEREGISTRATION_DELAY: &str = "deregistration_delay.timeout_seconds";
/// Seconds in which the share of a new target grows.
pub(super) const SLOW_START: &str = "slow_start.duration_seconds";
/// Whether connections are cut at the end of the deregistration delay.
pub(super) const DRAINED_CUT: &str = "deregistration_delay.connection_termination.enabled";
/// Who gets the next request.
pub(super) const ALGORITHM: &str = "load_balancing.algorithm.type";
/// With fewer healthy targets, all get traffic.
pub(super) const MINIMUM_HEALTHY: &str =
    "target_group_health.unhealthy_state_routing.minimum_healthy_targets.count";
/// Whether connections to unhealthy targets are cut.
pub(super) const UNHEALTHY_CUT: &str = "target_health_state.unhealthy.connection_termination.enabled";
/// Seconds for which connections to unhealthy targets go on otherwise.
pub(super) const UNHEALTHY_DRAIN: &str = "target_health_state.unhealthy.draining_interval_seconds";
/// Seconds until a silent connection is closed.
pub(super) const IDLE_TIMEOUT: &str = "idle_timeout.timeout_seconds";
/// Whether deleting is refused.
pub(super) const DELETION_PROTECTION: &str = "deletion_protection.enabled";
/// Whether zones share their targets.
pub(super) const CROSS_ZONE: &str = "load_balancing.cross_zone.enabled";

const GROUP: [(&str, &str); 8] = [
    (DEREGISTRATION_DELAY, "300"),
    ("stickiness.enabled", "false"),
    (CROSS_ZONE, "use_load_balancer_configuration"),
    ("target_group_health.dns_failover.minimum_healthy_targets.count", "1"),
    ("target_group_health.dns_failover.minimum_healthy_targets.percentage", "off"),
    (MINIMUM_HEALTHY, "1"),
    ("target_group_health.unhealthy_state_routing.minimum_healthy_targets.percentage", "off"),
    ("stickiness.type", ""),
];

const APPLICATION_GROUP: [(&str, &str); 6] = [
    (ALGORITHM, "round_robin"),
    ("load_balancing.algorithm.anomaly_mitigation", "off"),
    (SLOW_START, "0"),
    ("stickiness.app_cookie.cookie_name", ""),
    ("stickiness.app_cookie.duration_seconds", "86400"),
    ("stickiness.lb_cookie.duration_seconds", "86400"),
];

const NETWORK_GROUP: [(&str, &str); 4] = [
    (DRAINED_CUT, "false"),
    ("proxy_protocol_v2.enabled", "false"),
    (UNHEALTHY_CUT, "true"),
    (UNHEALTHY_DRAIN, "0"),
];

const BALANCER: [(&str, &str); 5] = [
    (DELETION_PROTECTION, "false"),
    ("access_logs.s3.enabled", "false"),
    ("access_logs.s3.bucket", ""),
    ("access_logs.s3.prefix", ""),
    ("zonal_shift.config.enabled", "false"),
];

const APPLICATION: [(&str, &str); 14] = [
    (CROSS_ZONE, "true"),
    (IDLE_TIMEOUT, "60"),
    ("client_keep_alive.seconds", "3600"),
    ("connection_logs.s3.enabled", "false"),
    ("connection_logs.s3.bucket", ""),
    ("connection_logs.s3.prefix", ""),
    ("routing.http.desync_mitigation_mode", "defensive"),
    ("routing.http.drop_invalid_header_fields.enabled", "false"),
    ("routing.http.preserve_host_header.enabled", "false"),
    ("routing.http.x_amzn_tls_version_and_cipher_suite.enabled", "false"),
    ("routing.http.xff_client_port.enabled", "false"),
    ("routing.http.xff_header_processing.mode", "append"),
    ("routing.http2.enabled", "true"),
    ("waf.fail_open.enabled", "false"),
];

const NETWORK: [(&str, &str); 2] =
    [(CROSS_ZONE, "false"), ("dns_record.client_routing_policy", "any_availability_zone")];

fn owned(pairs: &[(&str, &str)]) -> impl Iterator<Item = (String, String)> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect::<Vec<_>>().into_iter()
}

/// The attributes of a new target group.
pub(super) fn of_group(protocol: TargetProtocol, target_type: TargetType) -> Attributes {
    let mut all: Attributes = owned(&GROUP).collect();
    let (more, stickiness): (&[(&str, &str)], _) = match protocol.kind() {
        BalancerKind::Application => (&APPLICATION_GROUP, "lb_cookie"),
        BalancerKind::Network => (&NETWORK_GROUP, "source_ip"),
    };
    all.extend(owned(more));
    all.insert("stickiness.type".to_owned(), stickiness.to_owned());
    if protocol.kind() == BalancerKind::Network {
        let kept = (target_type == TargetType::Instance).to_string();
        all.insert("preserve_client_ip.enabled".to_owned(), kept);
    }
    all
}

/// The attributes of a new load balancer.
pub(super) fn of_balancer(kind: BalancerKind) -> Attributes {
    let more: &[(&str, &str)] = match kind {
        BalancerKind::Application => &APPLICATION,
        BalancerKind::Network => &NETWORK,
    };
    owned(&BALANCER).chain(owned(more)).collect()
}

/// All or none of the changes, over those that are there.
pub(super) fn changed(present: &Attributes, changes: &[(String, String)]) -> ApiResult<Attributes> {
    if changes.is_empty() {
        return Err(ApiError::validation("At least one attribute must be specified"));
    }
    let mut all = present.clone();
    for (key, value) in changes {
        if !present.contains_key(key) {
            let text = format!("Load balancer attribute key '{key}' is not recognized");
            return Err(ApiError::validation(text));
        }
        check(key, value)?;
        all.insert(key.clone(), value.clone());
    }
    let slow = all.get(SLOW_START).is_some_and(|seconds| seconds != "0");
    if slow && all.get(ALGORITHM).is_some_and(|algorithm| algorithm != "round_robin") {
        let text = "Slow start needs the routing algorithm round_robin";
        return Err(ApiError::client("InvalidConfigurationRequest", text));
    }
    Ok(all)
}

fn check(key: &str, value: &str) -> ApiResult<()> {
    let number = value.parse::<u32>().ok();
    let within = |least: u32, most: u32| number.is_some_and(|n| (least..=most).contains(&n));
    let good = match key {
        DEREGISTRATION_DELAY => within(0, 3600),
        SLOW_START => number == Some(0) || within(30, 900),
        IDLE_TIMEOUT => within(1, 4000),
        UNHEALTHY_DRAIN => within(0, 360_000),
        MINIMUM_HEALTHY => within(1, u32::MAX),
        ALGORITHM => ["round_robin", "least_outstanding_requests", "weighted_random"].contains(&value),
        key if key.ends_with(".enabled") && key != CROSS_ZONE => ["true", "false"].contains(&value),
        _ => value.chars().count() <= 1024,
    };
    if good {
        return Ok(());
    }
    let text = format!("The value '{value}' is not valid for the attribute '{key}'");
    Err(ApiError::validation(text))
}
