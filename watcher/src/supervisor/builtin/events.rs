//! What the built-in supervisor tells without being asked: ends that nobody wanted, and notes on units. Data.

use std::path::PathBuf;
use std::time::Duration;

/// What a listener is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A service ended, or could not be started again, and nobody had asked for a stop.
    Ended(Ended),
    /// It runs again after such an end.
    StartedAgain {
        /// The service.
        service: String,
        /// How it had ended.
        after: String,
    },
    /// The notes on the service's unit files are these now, and were others before.
    Noted {
        /// The service.
        service: String,
        /// What is read and not done, a sentence each, with file and line.
        notes: Vec<String>,
    },
}

/// An end that nobody asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// The service.
    pub service: String,
    /// `exited with status 3`, `was killed by SIGSEGV`, `could not be started: …`.
    pub how: String,
    /// How many such ends in a row, this one among them; a run of ten seconds begins a new row.
    pub times: u32,
    /// What follows.
    pub next: Next,
    /// Where the service complains, when that is a file.
    pub log: Option<PathBuf>,
    /// The last line that this run left in its log; of bounded length, without control characters.
    pub said: Option<String>,
}

/// What follows an end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// It is started again after this long.
    Again(Duration),
    /// It stays down, since its unit says no more than this in `Restart=`; empty: nothing.
    Never(&'static str),
}

impl std::fmt::Display for Next {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Again(pause) => write!(f, "starting again in {}s", rounded(*pause)),
            Self::Never("") => write!(f, "and is not started again: its unit has no Restart="),
            Self::Never(policy) => {
                write!(f, "and is not started again: its unit says Restart={policy}")
            }
        }
    }
}

/// Seconds that people read: two digits after the point at most.
fn rounded(time: Duration) -> f64 {
    (time.as_secs_f64() * 100.0).round() / 100.0
}

/// How a service has ended so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ends {
    /// How its last process ended, asked for or not.
    pub last: Option<String>,
    /// Ends in a row that nobody asked for.
    pub failures: u32,
    /// It is down since this end.
    pub down: Option<Ended>,
    /// In how long it is started again.
    pub next_try: Option<Duration>,
}

/// The last line of some output, cleaned and cut.
pub(super) fn last_line(text: &str) -> Option<String> {
    const LONGEST: usize = 200;
    let clean = |line: &str| -> String {
        line.chars().map(|c| if c.is_control() { ' ' } else { c }).collect::<String>().trim().to_owned()
    };
    let mut line = text.lines().rev().map(clean).find(|line| !line.is_empty())?;
    if line.len() > LONGEST {
        line.truncate(line.floor_char_boundary(LONGEST));
        line.push('…');
    }
    Some(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_is_clean_and_bounded() {
        assert_eq!(last_line("one\n\x1b[31mtwo\tthree\x07\r\n \n").as_deref(), Some("[31mtwo three"));
        assert_eq!(last_line(" \n\n"), None);
        let long = last_line(&"ä".repeat(500)).unwrap();
        assert!(long.len() <= 203 && long.ends_with("ä…"), "{long}");
    }

    #[test]
    fn what_follows_is_a_sentence() {
        assert_eq!(Next::Again(Duration::from_millis(6400)).to_string(), "starting again in 6.4s");
        assert!(Next::Never("").to_string().ends_with("its unit has no Restart="));
        assert!(Next::Never("on-failure").to_string().ends_with("Restart=on-failure"));
    }
}
