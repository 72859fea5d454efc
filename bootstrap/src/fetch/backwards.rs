//! Going back. A commit that was signed once stays signed: whoever can answer for a repository could offer an old one again,
//! with the holes that were mended since. The owner of the first remote may go back, and a force-push there is how that is
//! done; anybody else (a mirror, or who is on the way to a remote without encryption) is held to what is applied.

use super::{Error, Fetched, Fetcher, Link, Want};
use chrono::DateTime;

impl Fetcher {
    /// Whether a tip may follow what is current; the note to make when it is older and is taken all the same. `heard` is why
    /// the remotes before this one did not give it.
    pub(super) fn may_follow(
        &self,
        fetched: &Fetched,
        want: Want<'_>,
        heard: Option<&Error>,
    ) -> Result<Option<String>, Error> {
        let Some((offered, applied)) = self.step_back(&fetched.commit, want) else { return Ok(None) };
        let url = self.url.clone();
        if self.remote == self.source.remote && self.remote.is_private() {
            return Ok(Some(format!("{url} goes back: {offered} is older than {applied} that was applied")));
        }
        let because = heard.map(|error| format!("; {error}")).unwrap_or_default();
        Err(Error::StepsBack { url, offered, applied, because })
    }

    /// The commit that is offered and the current one, told with their times, when the first is older than the second.
    fn step_back(&self, offered: &str, want: Want<'_>) -> Option<(String, String)> {
        // What user-data pins may be as old as it likes; without signatures an age says nothing.
        let Want::Tip(reference) = want else { return None };
        let current = self.store.linked(Link::Current)?;
        if self.source.signed_by.is_empty() || current == offered {
            return None;
        }
        if self.store.reference(&current).is_some_and(|known| known != reference) {
            return None;
        }
        let (new, old) = (self.store.commit_object(offered)?, self.store.commit_object(&current)?);
        // Clocks differ; what was made on top of it is newer whatever they say.
        let on_top = header(&new, "parent ").any(|parent| parent == current);
        let (new, old) = (time(&new), time(&old));
        (!on_top && new < old).then(|| (told(offered, new), told(&current, old)))
    }

    /// Notes which reference a commit was taken for: another one may be older.
    pub(super) fn note_reference(&self, fetched: &Fetched, want: Want<'_>) {
        let (Want::Tip(reference) | Want::Commit { near: reference, .. }) = want;
        if !self.source.signed_by.is_empty() {
            self.store.keep_reference(&fetched.commit, reference);
        }
    }
}

/// The values of a field of a commit's head.
fn header<'a>(commit: &'a [u8], name: &'a str) -> impl Iterator<Item = String> + 'a {
    let lines = commit.split(|byte| *byte == b'\n').take_while(|line| !line.is_empty());
    lines
        .filter_map(|line| line.strip_prefix(name.as_bytes()))
        .map(|v| String::from_utf8_lossy(v).into_owned())
}

/// When a commit was made, in seconds since the epoch; one that does not say is older than any.
fn time(commit: &[u8]) -> i64 {
    let said = header(commit, "committer ").next().unwrap_or_default();
    let time = said.rsplit_once('>').and_then(|(_, rest)| rest.split_whitespace().next()?.parse().ok());
    time.unwrap_or(i64::MIN)
}

fn told(commit: &str, time: i64) -> String {
    let short = commit.get(..12).unwrap_or(commit);
    let time = DateTime::from_timestamp(time, 0).map(|time| time.format("%Y-%m-%dT%H:%M:%SZ").to_string());
    format!("{short} of {}", time.unwrap_or_else(|| "no time".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_says_when_it_was_made_and_on_top_of_what() {
        let commit = b"tree a\nparent b\nparent c\nauthor x <> 5 +0000\ncommitter y <z> 17 +0200\n\ncommitter <> 1\nparent d\n";
        assert_eq!(
            (time(commit), header(commit, "parent ").collect::<Vec<_>>()),
            (17, vec!["b".into(), "c".into()])
        );
        assert_eq!(time(b"tree a\n\ncommitter y <z> 17 +0200\n"), i64::MIN);
        assert_eq!(told("0123456789abcdef", 17), "0123456789ab of 1970-01-01T00:00:17Z");
        assert_eq!(told("x", i64::MIN), "x of no time");
    }
}
