//! Every state and reason that the API tells of a target.
use super::targets::Elb2;
use super::*;

fn unhealthy(parts: Elb2, outcome: ProbeOutcome) -> (&'static str, &'static str, String) {
    let mut bench = Bench::quick();
    let (group, _) = bench.target_balancer("web", parts);
    let id = bench.healthy(&group, 1).remove(0);
    bench.check(&group, &id, outcome);
    bench.check(&group, &id, outcome);
    let (state, reason, text) = bench.status(&group, &id);
    (state, reason.unwrap_or_default(), text.unwrap_or_default())
}

#[test]
fn an_application_balancer_tells_how_a_check_failed() {
    let said = |outcome| unhealthy(Elb2::APPLICATION, outcome);
    let timed_out = ("unhealthy", "Target.Timeout", "Request timed out".to_owned());
    assert_eq!(said(ProbeOutcome::TimedOut), timed_out);
    let code = "Health checks failed with these codes: [503]".to_owned();
    assert_eq!(said(ProbeOutcome::CodeMismatch(503)), ("unhealthy", "Target.ResponseCodeMismatch", code));
    let failed = ("unhealthy", "Target.FailedHealthChecks", "Health checks failed".to_owned());
    assert_eq!(said(ProbeOutcome::ConnectionError), failed);
    assert_eq!(said(ProbeOutcome::InternalError).1, "Elb.InternalError");
}

#[test]
fn a_network_balancer_knows_one_reason() {
    for outcome in [ProbeOutcome::TimedOut, ProbeOutcome::ConnectionError, ProbeOutcome::CodeMismatch(500)] {
        assert_eq!(unhealthy(Elb2::NETWORK, outcome).1, "Target.FailedHealthChecks");
    }
}

#[test]
fn a_new_target_that_fails_is_initial_until_the_threshold_and_then_unhealthy() {
    let mut bench = Bench::quick();
    let (group, _) = bench.target_balancer("web", Elb2::APPLICATION);
    let ids = bench.boot(1);
    bench.enroll(&group, &ids).unwrap();
    bench.check(&group, &ids[0], ProbeOutcome::TimedOut);
    assert_eq!(bench.brief(&group, &ids[0]), ("initial", "Elb.InitialHealthChecking"));
    bench.check(&group, &ids[0], ProbeOutcome::TimedOut);
    assert_eq!(bench.brief(&group, &ids[0]), ("unhealthy", "Target.Timeout"));
    bench.check(&group, &ids[0], ProbeOutcome::Passed);
    assert_eq!(bench.brief(&group, &ids[0]).0, "unhealthy", "now the healthy threshold counts");
}

#[test]
fn a_stopped_target_is_unused_and_proves_itself_when_back() {
    let mut bench = Bench::quick();
    let (group, _) = bench.target_balancer("web", Elb2::APPLICATION);
    let ids = bench.healthy(&group, 1);
    let body = InstanceIds { ids: ids.clone(), force: false };
    bench.ec2(Ec2Request::StopInstances(body.clone())).unwrap();
    let (state, reason, text) = bench.status(&group, &ids[0]);
    assert_eq!((state, reason), ("unused", Some("Target.InvalidState")));
    assert_eq!(text.unwrap(), "Target is in the stopped state");
    assert_eq!(bench.traffic(&ids[0]), Traffic::None);
    bench.ec2(Ec2Request::StartInstances(body)).unwrap();
    assert_eq!(bench.brief(&group, &ids[0]), ("initial", "Elb.InitialHealthChecking"));
}

#[test]
fn a_terminated_target_is_invalid_while_it_ends_and_then_gone() {
    let mut bench = Bench::with(Delays { shutting_down_ms: 1_000, ..Delays::none() });
    let (group, _) = bench.target_balancer("web", Elb2::APPLICATION);
    let ids = bench.healthy(&group, 2);
    bench.terminate(&ids[..1]).unwrap();
    assert_eq!(bench.brief(&group, &ids[0]), ("unused", "Target.InvalidState"));
    bench.pass(1_000);
    let left = bench.target_health(&group, &[]).unwrap();
    assert_eq!(left.iter().map(|health| health.key.id.clone()).collect::<Vec<_>>(), ids[1..]);
}

#[test]
fn a_group_whose_checks_are_off_is_unavailable() {
    let config = Config { unavailable_groups: vec!["web".to_owned()], ..Config::default() };
    let mut bench = Bench::new(Config { delays: Delays::none(), ..config });
    let (group, _) = bench.target_balancer("web", Elb2::APPLICATION);
    let ids = bench.healthy(&group, 1);
    assert_eq!(bench.brief(&group, &ids[0]), ("unavailable", "Target.HealthCheckDisabled"));
    assert_eq!(bench.traffic(&ids[0]), Traffic::New);
}

#[test]
fn a_network_target_that_falls_ill_can_keep_its_connections_for_a_while() {
    let mut bench = Bench::quick();
    let (group, _) = bench.target_balancer("web", Elb2::NETWORK);
    bench.attribute(&group, "target_health_state.unhealthy.connection_termination.enabled", "false").unwrap();
    bench.attribute(&group, "target_health_state.unhealthy.draining_interval_seconds", "60").unwrap();
    let ids = bench.healthy(&group, 2);
    bench.check(&group, &ids[0], ProbeOutcome::ConnectionError);
    bench.check(&group, &ids[0], ProbeOutcome::ConnectionError);
    assert_eq!(bench.brief(&group, &ids[0]), ("unhealthy.draining", "Target.FailedHealthChecks"));
    assert_eq!(bench.traffic(&ids[0]), Traffic::Draining);
    bench.pass(60_000);
    assert_eq!(bench.brief(&group, &ids[0]), ("unhealthy", "Target.FailedHealthChecks"));
    assert_eq!(bench.traffic(&ids[0]), Traffic::None);
}

#[test]
fn an_unknown_target_is_refused_and_a_known_one_is_not_registered() {
    let mut bench = Bench::quick();
    let (group, _) = bench.target_balancer("web", Elb2::APPLICATION);
    let ids = bench.boot(1);
    assert_eq!(bench.brief(&group, &ids[0]), ("unused", "Target.NotRegistered"));
    assert_eq!(code(bench.target_health(&group, &["i-0123456789abcdef0".to_owned()])), "InvalidTarget");
    assert_eq!(code(bench.target_health(&group, &["web-1".to_owned()])), "ValidationError");
}

#[test]
fn a_target_waits_for_a_balancer_that_is_provisioned() {
    let mut bench = Bench::with(Delays { provisioning_ms: 2_000, ..Delays::none() });
    let (group, _) = bench.target_balancer("web", Elb2::APPLICATION);
    let ids = bench.boot(1);
    bench.enroll(&group, &ids).unwrap();
    assert_eq!(bench.brief(&group, &ids[0]), ("initial", "Elb.RegistrationInProgress"));
    assert!(bench.sent(&ids[0]).is_none(), "nothing listens yet");
    bench.pass(2_000);
    assert_eq!(bench.brief(&group, &ids[0]), ("initial", "Elb.InitialHealthChecking"));
}
