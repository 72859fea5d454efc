//! Tests of the decisions, with time as a number.

use super::super::entry::difference;
use super::super::survey::Mark;
use super::*;
use crate::rule::Rate;

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

fn print(content: u8) -> Print {
    Print::from([(PathBuf::from("/etc/web.conf"), Mark::Content([content; 32]))])
}

fn rule(name: &str, service: &str, action: Action) -> Rule {
    Rule { name: name.into(), service: service.into(), action, debounce: ms(100), ..Rule::default() }
}

fn board(rules: &[Rule]) -> Board {
    let mut board = Board::default();
    rules.iter().for_each(|rule| board.insert(rule.clone(), print(0), ms(0)));
    board
}

fn prints(list: &[(&str, u8)]) -> BTreeMap<String, Arc<Print>> {
    list.iter().map(|(name, content)| ((*name).to_owned(), Arc::new(print(*content)))).collect()
}

/// What is done for `web` with this content, late enough for everything.
fn wanted(board: &mut Board, prints: &BTreeMap<String, Arc<Print>>) -> Option<Job> {
    board.decide("web", prints, Duration::from_secs(3600)).job
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
    let job = wanted(&mut board, &prints(&[("a", 1)])).unwrap();
    assert_eq!(job.acts[0].members[0].cause, Cause::Changed);
    assert!(board.passed(&job, &prints(&[("a", 1)]), ms(160)));
    board.acted(&job.acts[0], ms(170));
    assert!(board.is_idle());
    board.touched("a", ms(200));
    assert_eq!(wanted(&mut board, &prints(&[("a", 1)])), None, "a touch without a change");
    assert!(board.is_idle());
}

#[test]
fn what_happens_during_the_action_gives_another_one() {
    let mut board = board(&[rule("a", "web", Action::Restart)]);
    board.touched("a", ms(0));
    let job = wanted(&mut board, &prints(&[("a", 1)])).unwrap();
    assert!(board.passed(&job, &prints(&[("a", 1)]), ms(100)));
    board.touched("a", ms(150));
    assert_eq!(board.next_deadline(), None, "one job of a service at a time");
    board.acted(&job.acts[0], ms(180));
    assert_eq!(board.next_deadline(), Some(ms(280)));
    assert!(wanted(&mut board, &prints(&[("a", 2)])).is_some());
}

#[test]
fn content_that_was_not_checked_is_not_acted_on() {
    let mut board = board(&[rule("a", "web", Action::Restart)]);
    board.touched("a", ms(0));
    let job = wanted(&mut board, &prints(&[("a", 1)])).unwrap();
    assert!(!board.passed(&job, &prints(&[("a", 2)]), ms(500)));
    assert_eq!(board.next_deadline(), Some(ms(600)));
    let job = wanted(&mut board, &prints(&[("a", 2)])).unwrap();
    board.rebaseline("a", Arc::new(print(2)), ms(650));
    assert!(!board.passed(&job, &prints(&[("a", 2)]), ms(700)), "restarted by somebody else meanwhile");
}

#[test]
fn a_refused_change_is_tried_again_with_growing_pauses_and_told_once() {
    let mut board = board(&[rule("a", "web", Action::Restart)]);
    board.touched("a", ms(0));
    let job = wanted(&mut board, &prints(&[("a", 1)])).unwrap();
    assert!(board.refused(job.rules(), ms(100)));
    assert_eq!(board.next_deadline(), Some(ms(1100)));
    let job = wanted(&mut board, &prints(&[("a", 1)])).unwrap();
    assert!(!board.refused(job.rules(), ms(1100)));
    assert_eq!(board.next_deadline(), Some(ms(3100)));
    board.touched("a", ms(1200));
    assert_eq!(board.next_deadline(), Some(ms(1300)), "an event does not wait");
    assert!(board.entries["a"].failing());
    assert_eq!(wanted(&mut board, &prints(&[("a", 0)])), None, "put back as it was");
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
    let job = wanted(&mut board, &prints(&[("a", 1), ("b", 1), ("c", 1)])).unwrap();
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

/// The change of `a` to this content is acted on, from its first event at a time.
fn change(board: &mut Board, content: u8, at: Duration) -> Decision {
    board.touched("a", at);
    let prints = prints(&[("a", content)]);
    let decision = board.decide("web", &prints, at + ms(100));
    if let Some(job) = &decision.job {
        assert!(board.passed(job, &prints, at + ms(100)));
        board.acted(&job.acts[0], at + ms(110));
    }
    decision
}

#[test]
fn a_change_beyond_the_rate_is_held_told_once_and_done_when_there_is_room() {
    let mut limited = rule("a", "web", Action::Restart);
    limited.rate = Some(Rate { actions: 2, window: ms(10_000) });
    let mut board = board(&[limited]);
    assert!(change(&mut board, 1, ms(0)).job.is_some() && change(&mut board, 2, ms(1000)).job.is_some());
    let third = change(&mut board, 3, ms(2000));
    assert_eq!((third.job, third.held[0].until), (None, ms(10_110)), "the first is out of the window then");
    let fourth = change(&mut board, 4, ms(3000));
    assert_eq!((fourth.job, fourth.held.len()), (None, 0), "held still, and told already");
    assert_eq!(board.next_deadline(), Some(ms(10_110)));
    assert_eq!(board.due(ms(10_110)), ["web"]);
    let last = board.decide("web", &prints(&[("a", 4)]), ms(10_110)).job.unwrap();
    assert!(board.passed(&last, &prints(&[("a", 4)]), ms(10_110)));
    board.acted(&last.acts[0], ms(10_120));
    assert!(board.is_idle());
    assert_eq!(
        change(&mut board, 5, ms(10_200)).held[0].until,
        ms(11_110),
        "and the next waits for the second"
    );
    assert!(wanted(&mut board, &prints(&[("a", 4)])).is_none(), "put back while it was held");
    assert!(board.next_deadline().is_none());
}

#[test]
fn a_restart_that_comes_anyway_serves_what_is_held() {
    let mut limited = rule("a", "web", Action::Reload);
    limited.rate = Some(Rate { actions: 1, window: ms(100_000) });
    let mut run = rule("c", "web", Action::Run(vec!["x".into()]));
    run.rate = limited.rate;
    let mut board = board(&[limited, rule("b", "web", Action::Restart), run]);
    let first = prints(&[("a", 1), ("b", 0), ("c", 1)]);
    ["a", "c"].iter().for_each(|name| board.touched(name, ms(0)));
    let job = board.decide("web", &first, ms(100)).job.unwrap();
    assert!(board.passed(&job, &first, ms(100)));
    job.acts.iter().for_each(|act| board.acted(act, ms(110)));
    let second = prints(&[("a", 2), ("b", 2), ("c", 2)]);
    let decision = board.decide("web", &second, ms(1000));
    let job = decision.job.unwrap();
    assert_eq!(job.acts.len(), 1);
    assert_eq!(job.rules().map(|m| m.rule.as_str()).collect::<Vec<_>>(), ["b", "a"]);
    assert_eq!((decision.held.len(), decision.held[0].member.rule.as_str()), (1, "c"));
}

/// A rule whose only file is kept, with what follows an edit.
fn guarded(on_edit: OnEdit) -> Board {
    let mut guarded = rule("a", "web", Action::Restart);
    (guarded.on_edit, guarded.kept) = (on_edit, vec!["/etc/web.conf".into()]);
    board(&[guarded, rule("b", "web", Action::Restart)])
}

fn approve(board: &mut Board, content: u8, at: Duration) {
    board.approve("a", Path::new("/etc/web.conf"), print(content), at);
}

#[test]
fn an_edit_that_is_to_be_put_back_holds_the_service_and_is_told_until_it_is() {
    let mut board = guarded(OnEdit::Revert);
    let told = change(&mut board, 1, ms(0));
    assert_eq!((told.job, told.edits[0].revert), (None, true));
    assert_eq!(board.entries["a"].edited(), [PathBuf::from("/etc/web.conf")]);
    board.touched("b", ms(200));
    let other = board.decide("web", &prints(&[("a", 1), ("b", 1)]), ms(300));
    assert_eq!((other.job, other.edits.len()), (None, 0), "nothing makes the service read the edit");
    assert_eq!(board.next_deadline(), Some(ms(5100)));
    assert_eq!(board.decide("web", &prints(&[("a", 1), ("b", 1)]), ms(5100)).edits.len(), 1, "told again");
    let back = board.decide("web", &prints(&[("a", 0), ("b", 1)]), ms(6000));
    let job = back.job.unwrap();
    assert_eq!(job.rules().map(|m| m.rule.as_str()).collect::<Vec<_>>(), ["b"]);
    assert!(board.entries["a"].edited().is_empty() && board.entries["a"].state == State::Quiet);
}

#[test]
fn what_the_keeper_writes_is_a_change_like_any_other() {
    for on_edit in [OnEdit::Revert, OnEdit::Report] {
        let mut board = guarded(on_edit);
        approve(&mut board, 1, ms(0));
        assert!(change(&mut board, 1, ms(0)).job.is_some(), "{on_edit:?}");
        assert_eq!(change(&mut board, 2, ms(1000)).edits.len(), 1, "{on_edit:?}");
        // Its part of the file is as it should be: the rest is somebody else's to change.
        approve(&mut board, 2, ms(2000));
        assert_eq!(board.next_deadline(), Some(ms(2100)));
        assert!(change(&mut board, 2, ms(2000)).job.is_some(), "{on_edit:?}");
    }
}

#[test]
fn an_edit_that_is_only_reported_is_told_once_and_leaves_the_service_alone() {
    let mut board = guarded(OnEdit::Report);
    let told = change(&mut board, 1, ms(0));
    assert_eq!((told.job, told.edits[0].revert), (None, false));
    let again = change(&mut board, 1, ms(1000));
    assert_eq!((again.job, again.edits.len()), (None, 0));
    assert_eq!(board.entries["a"].edited().len(), 1);
    assert_eq!(change(&mut board, 2, ms(2000)).edits.len(), 1, "another edit");
    let gone = Arc::new(Print::new());
    assert_eq!(board.decide("web", &BTreeMap::from([("a".to_owned(), gone)]), ms(3000)).edits.len(), 1);
    assert_eq!(change(&mut board, 0, ms(4000)).job, None);
    assert!(board.entries["a"].edited().is_empty(), "put back");
}

#[test]
fn a_rule_that_is_written_anew_forgets_no_change() {
    let mut board = board(&[rule("a", "web", Action::Restart)]);
    let mut other = rule("a", "web", Action::Reload);
    other.rate = Some(Rate { actions: 1, window: ms(1000) });
    board.insert(other, print(1), ms(0));
    assert_eq!(board.due(ms(100)), ["web"]);
    let job = wanted(&mut board, &prints(&[("a", 1)])).unwrap();
    assert_eq!(job.acts[0].action, Action::Reload);
}

#[test]
fn content_that_was_there_for_a_moment_of_the_start_is_restarted_for_but_not_for_ever() {
    let mut board = Board { reading: ms(1000), ..board(&[rule("a", "web", Action::Restart)]) };
    assert!(change(&mut board, 1, ms(0)).job.is_some());
    assert!(change(&mut board, 1, ms(500)).job.is_none(), "a touch alters nothing");
    let mut restarts = 0;
    for n in 1..10 {
        board.altered("a", ms(n * 600));
        restarts += u32::from(change(&mut board, 1, ms(n * 600)).job.is_some());
    }
    assert_eq!(restarts, 3, "written over and over with the same content");
    assert!(change(&mut board, 2, ms(10_000)).job.is_some());
    board.altered("a", ms(10_500));
    assert!(change(&mut board, 2, ms(10_500)).job.is_some(), "again after a change");
    board.altered("a", ms(11_800));
    assert!(change(&mut board, 2, ms(11_800)).job.is_none(), "it has read long since");
    assert!(board.is_idle());
}

#[test]
fn after_a_failed_action_the_known_content_is_acted_on_too() {
    let mut board = board(&[rule("a", "web", Action::Restart)]);
    board.touched("a", ms(0));
    let job = wanted(&mut board, &prints(&[("a", 1)])).unwrap();
    assert!(board.passed(&job, &prints(&[("a", 1)]), ms(100)));
    assert!(board.refused(job.rules(), ms(200)));
    assert!(change(&mut board, 0, ms(300)).job.is_some(), "put back, and the service may be down");
    assert!(change(&mut board, 0, ms(900)).job.is_none() && board.is_idle());
}

#[test]
fn an_edit_soon_after_a_start_restarts_nothing_where_it_is_put_back_or_told() {
    for on_edit in [OnEdit::Revert, OnEdit::Report] {
        let rule = Rule { on_edit, ..rule("a", "web", Action::Restart) };
        let mut board = Board { reading: ms(1000), ..board(&[rule]) };
        assert!(change(&mut board, 1, ms(0)).job.is_some());
        board.altered("a", ms(500));
        assert!(change(&mut board, 1, ms(500)).job.is_none() && board.is_idle());
    }
}
