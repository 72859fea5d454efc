//! Tests of the decisions, with time as a number.

use super::super::survey::Mark;
use super::*;

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

fn print(content: u8) -> Print {
    Print::from([(PathBuf::from("/etc/web.conf"), Mark::Content([content; 32]))])
}

fn rule(name: &str, service: &str, action: Action) -> Rule {
    Rule { name: name.into(), paths: vec![], service: service.into(), action, debounce: ms(100), check: None }
}

fn board(rules: &[Rule]) -> Board {
    let mut board = Board::default();
    rules.iter().for_each(|rule| board.insert(rule.clone(), print(0)));
    board
}

fn prints(list: &[(&str, u8)]) -> BTreeMap<String, Arc<Print>> {
    list.iter().map(|(name, content)| ((*name).to_owned(), Arc::new(print(*content)))).collect()
}

#[test]
fn a_change_waits_for_quiet_and_gives_one_job() {
    let mut board = board(&[rule("a", "web", Action::Restart)]);
    assert_eq!(board.next_deadline(), None);
    board.touched("a", ms(0));
    board.touched("a", ms(60));
    assert_eq!(board.next_deadline(), Some(ms(160)));
    assert!(board.due(ms(159)).is_empty());
    assert_eq!(board.due(ms(160)), ["web"]);
    let job = board.decide("web", &prints(&[("a", 1)])).unwrap();
    assert_eq!(job.acts[0].members[0].cause, Cause::Changed);
    assert!(board.passed(&job, &prints(&[("a", 1)]), ms(160)));
    board.acted(&job.acts[0], ms(170));
    assert!(board.is_idle());
    board.touched("a", ms(200));
    assert_eq!(board.decide("web", &prints(&[("a", 1)])), None, "a touch without a change");
    assert!(board.is_idle());
}

#[test]
fn what_happens_during_the_action_gives_another_one() {
    let mut board = board(&[rule("a", "web", Action::Restart)]);
    board.touched("a", ms(0));
    let job = board.decide("web", &prints(&[("a", 1)])).unwrap();
    assert!(board.passed(&job, &prints(&[("a", 1)]), ms(100)));
    board.touched("a", ms(150));
    assert_eq!(board.next_deadline(), None, "one job of a service at a time");
    board.acted(&job.acts[0], ms(180));
    assert_eq!(board.next_deadline(), Some(ms(280)));
    assert!(board.decide("web", &prints(&[("a", 2)])).is_some());
}

#[test]
fn content_that_was_not_checked_is_not_acted_on() {
    let mut board = board(&[rule("a", "web", Action::Restart)]);
    board.touched("a", ms(0));
    let job = board.decide("web", &prints(&[("a", 1)])).unwrap();
    assert!(!board.passed(&job, &prints(&[("a", 2)]), ms(500)));
    assert_eq!(board.next_deadline(), Some(ms(600)));
    let job = board.decide("web", &prints(&[("a", 2)])).unwrap();
    board.rebaseline("a", Arc::new(print(2)));
    assert!(!board.passed(&job, &prints(&[("a", 2)]), ms(700)), "restarted by somebody else meanwhile");
}

#[test]
fn a_refused_change_is_tried_again_with_growing_pauses_and_told_once() {
    let mut board = board(&[rule("a", "web", Action::Restart)]);
    board.touched("a", ms(0));
    let job = board.decide("web", &prints(&[("a", 1)])).unwrap();
    assert!(board.refused(job.rules(), ms(100)));
    assert_eq!(board.next_deadline(), Some(ms(1100)));
    let job = board.decide("web", &prints(&[("a", 1)])).unwrap();
    assert!(!board.refused(job.rules(), ms(1100)));
    assert_eq!(board.next_deadline(), Some(ms(3100)));
    board.touched("a", ms(1200));
    assert_eq!(board.next_deadline(), Some(ms(1300)), "an event does not wait");
    assert!(board.entries["a"].failing());
    assert_eq!(board.decide("web", &prints(&[("a", 0)])), None, "put back as it was");
    assert!(!board.entries["a"].failing() && board.is_idle());
}

#[test]
fn rules_of_one_service_wait_for_one_another_and_share_one_restart() {
    let mut checked = rule("b", "web", Action::Reload);
    (checked.debounce, checked.check) = (ms(300), Some(vec!["check".into()]));
    let run = rule("c", "web", Action::Run(vec!["x".into()]));
    let mut board =
        board(&[rule("a", "web", Action::Restart), checked, run, rule("other", "db", Action::Restart)]);
    ["a", "b", "c"].iter().for_each(|name| board.touched(name, ms(0)));
    assert_eq!(board.next_deadline(), Some(ms(300)));
    let job = board.decide("web", &prints(&[("a", 1), ("b", 1), ("c", 1)])).unwrap();
    assert_eq!(job.checks, [["check"]]);
    assert_eq!(
        job.acts.iter().map(|a| (a.action.to_string(), a.members.len())).collect::<Vec<_>>(),
        [("restart".to_owned(), 2), ("run x".to_owned(), 1)]
    );
    board.touched("other", ms(0));
    assert_eq!(board.due(ms(100)), ["db"], "other services do not wait");
}

#[test]
fn paths_that_never_rest_are_acted_on_in_the_end() {
    let mut board = board(&[rule("a", "web", Action::Restart)]);
    for step in 0..400 {
        board.touched("a", ms(step * 90));
    }
    assert_eq!(board.next_deadline(), Some(Duration::from_secs(30)));
}

#[test]
fn a_pause_holds_and_forgets_nothing() {
    let mut board = board(&[rule("a", "web", Action::Restart)]);
    board.set_paused(true);
    board.touched("a", ms(0));
    assert!(board.due(ms(1000)).is_empty() && board.next_deadline().is_none());
    board.set_paused(false);
    assert_eq!(board.due(ms(1000)), ["web"]);
}

#[test]
fn created_and_removed_are_told_apart() {
    assert_eq!(difference(&Print::new(), &print(1)).unwrap().1, Cause::Created);
    assert_eq!(difference(&print(1), &Print::new()).unwrap().1, Cause::Removed);
    assert_eq!(difference(&print(1), &print(1)), None);
}
