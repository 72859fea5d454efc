//! Hears the built-in supervisor: services that ended go to the console and on the board, notes on units to the console.

use super::hearer::Hearer;
use crate::run::board::epoch;
use crate::run::console::say;
use mayfly_watcher::Listener;
use mayfly_watcher::supervisor::builtin::{Ended, Event, Next};

impl Listener<Event> for Hearer {
    fn event(&self, event: &Event) {
        match event {
            Event::Ended(ended) if is_told(ended) => {
                say(line(ended));
                self.board.note(|_| {});
            }
            Event::Ended(_) => {}
            Event::StartedAgain { service, after } => {
                self.board.remark(|status| status.add_start_again(service, after, epoch()));
            }
            Event::Noted { service, notes } => {
                for note in notes {
                    say(format!("note: service {service}: {note}"));
                }
            }
        }
    }

    fn hide(&self, text: &str) -> String {
        self.without_secrets(text)
    }
}

/// The first, second, fourth, eighth, … of a row; and always when nothing follows.
fn is_told(ended: &Ended) -> bool {
    ended.times.is_power_of_two() || matches!(ended.next, Next::Never(_))
}

fn line(ended: &Ended) -> String {
    let Ended { service, how, times, next, log, said } = ended;
    let row = if *times > 1 { format!(" ({} time in a row)", ordinal(*times)) } else { String::new() };
    let said = said.as_ref().map(|said| format!(": {said}")).unwrap_or_default();
    let log = log.as_ref().map(|log| format!("; see {}", log.display())).unwrap_or_default();
    format!("service {service} {how}, {next}{row}{said}{log}")
}

fn ordinal(n: u32) -> String {
    let suffix = match (n % 100, n % 10) {
        (11..=13, _) => "th",
        (_, 1) => "st",
        (_, 2) => "nd",
        (_, 3) => "rd",
        _ => "th",
    };
    format!("{n}{suffix}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn ended(times: u32, next: Next) -> Ended {
        let (service, how) = ("app".to_owned(), "exited with status 3".to_owned());
        Ended { service, how, times, next, log: Some("/var/log/mayfly/app.log".into()), said: None }
    }

    #[test]
    fn an_end_is_one_line() {
        let second = Ended { said: Some("no port".into()), ..ended(2, Next::Again(Duration::from_secs(1))) };
        assert_eq!(
            line(&second),
            "service app exited with status 3, starting again in 1s (2nd time in a row): no port; see \
             /var/log/mayfly/app.log"
        );
        assert_eq!(
            line(&Ended { log: None, ..ended(1, Next::Never("")) }),
            "service app exited with status 3, and is not started again: its unit has no Restart="
        );
        assert_eq!(
            [1, 2, 3, 4, 11, 12, 21, 112].map(ordinal).join(" "),
            "1st 2nd 3rd 4th 11th 12th 21st 112th"
        );
    }

    #[test]
    fn a_long_row_is_told_ever_more_seldom() {
        let again = |times| ended(times, Next::Again(Duration::from_secs(1)));
        let told: Vec<u32> = (1..=100).filter(|times| is_told(&again(*times))).collect();
        assert_eq!(told, [1, 2, 4, 8, 16, 32, 64]);
        assert!(is_told(&ended(3, Next::Never(""))));
    }
}
