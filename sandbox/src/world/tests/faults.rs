//! Faults that were asked for, and the call log.
use std::time::Duration;

use super::*;

fn fault(action: &str, skip: u32, times: u32, kind: FaultKind) -> Fault {
    Fault { action: action.to_owned(), skip, times, kind }
}

fn bench(faults: Vec<Fault>) -> Bench {
    Bench::new(Config { delays: Delays::none(), faults, ..Config::default() })
}

fn failure(code: &str) -> FaultKind {
    FaultKind::Error { code: code.to_owned(), status: 500, message: String::new() }
}

#[test]
fn the_nth_call_of_an_action_fails_and_has_no_effect() {
    let mut bench = bench(vec![fault("RunInstances", 1, 2, failure("InternalError"))]);
    let outcomes: Vec<bool> = (0..5).map(|_| bench.launch(run(1, 1)).is_ok()).collect();
    assert_eq!(outcomes, [true, false, false, true, true]);
    assert_eq!(bench.started(), 3);
}

#[test]
fn a_fault_without_end_goes_on_until_others_are_set() {
    let mut bench = bench(vec![fault("*", 0, 0, failure("Unavailable"))]);
    assert!((0..10).all(|_| bench.describe(Describe::default()).is_err()));
    bench.world.configure(Config::default());
    assert!(bench.describe(Describe::default()).is_ok());
}

#[test]
fn a_lost_answer_has_its_effect_and_a_hanging_call_has_none() {
    let kinds = [FaultKind::LostAfterEffect, FaultKind::Hang, FaultKind::Delay { ms: 70 }];
    let mut bench = bench(kinds.into_iter().map(|kind| fault("RunInstances", 0, 1, kind)).collect());
    let request = Request::Ec2(Box::new(Ec2Request::RunInstances(with_token("t"))), false);
    assert_eq!(bench.outcome(&request).fate, Fate::Drop);
    assert_eq!(bench.started(), 1);
    assert_eq!(bench.outcome(&request).fate, Fate::Hang);
    let late = bench.outcome(&request);
    assert_eq!(late.fate, Fate::Answer(Duration::from_millis(70)));
    let Ok(Response::Launched(reservation)) = late.result else { panic!() };
    assert_eq!((reservation.instances.len(), bench.started()), (1, 1), "the retry finds the first launch");
}

#[test]
fn configuration_is_read_from_json_and_unknown_keys_are_refused() {
    let text = r#"{"delays": {"pending_ms": 5}, "capacity": [{"zone": "us-east-1a", "max": 2}],
        "faults": [{"action": "RunInstances", "kind": "error", "code": "InsufficientInstanceCapacity"},
                   {"action": "DescribeInstances", "skip": 2, "times": 0, "kind": "delay", "ms": 100}]}"#;
    let config: Config = serde_json::from_str(text).unwrap();
    assert_eq!(config.delays.pending_ms, 5);
    assert_eq!(config.delays.image_ms, Delays::default().image_ms);
    assert!(matches!(&config.faults[0].kind, FaultKind::Error { status: 500, .. }));
    assert_eq!(config.faults[1].times, 0);
    assert!(serde_json::from_str::<Config>(r#"{"delay": {}}"#).is_err());
    let fault = r#"{"action": "RunInstances", "kind": "delay", "ms": 1, "time": 2}"#;
    assert!(serde_json::from_str::<Fault>(fault).is_err());
}
