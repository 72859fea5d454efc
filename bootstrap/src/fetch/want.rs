//! What to ask a remote for, given what it advertises. Pure.

/// One line of what a remote advertises.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Advertised {
    /// `refs/heads/main`, `refs/tags/v1`, `refs/tags/v1^{}`, `HEAD`.
    pub(super) name: String,
    /// 40 hex digits.
    pub(super) oid: String,
}

/// What the caller is after.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Want<'a> {
    /// Whatever a branch or tag points at now.
    Tip(&'a str),
    /// One commit, looked for on `near` when the remote gives none by name.
    Commit {
        /// 40 hex digits.
        commit: &'a str,
        /// Branch or tag.
        near: &'a str,
    },
}

/// One attempt at getting objects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Attempt {
    /// What is fetched, as git writes it.
    pub(super) refspecs: Vec<String>,
    /// How many commits deep; `None` is all of them.
    pub(super) depth: Option<i32>,
}

/// Where a fetched reference is kept.
const KEPT: &str = "refs/mayfly/tip";
const DEEPER: i32 = 100;

/// The advertised reference that a branch or tag name means: branches first, then tags, as they point (annotated tags
/// peeled). Gives the commit and the full name.
pub(super) fn resolve<'a>(refs: &'a [Advertised], name: &str) -> Option<(&'a str, String)> {
    let full: Vec<String> = match name.starts_with("refs/") || name == "HEAD" {
        true => vec![name.to_owned()],
        false => vec![format!("refs/heads/{name}"), format!("refs/tags/{name}")],
    };
    full.into_iter().find_map(|full| {
        let find = |n: &str| refs.iter().find(|r| r.name == n).map(|r| r.oid.as_str());
        find(&format!("{full}^{{}}")).or_else(|| find(&full)).map(|oid| (oid, full))
    })
}

/// How to get the tip that was resolved: that reference, one commit deep.
pub(super) fn tip_attempt(full_name: &str) -> Attempt {
    Attempt { refspecs: vec![format!("+{full_name}:{KEPT}")], depth: Some(1) }
}

/// How to get one commit, cheapest first: as the tip of any reference; by its name where the remote allows that; from the
/// recent history of `near`; from all history.
pub(super) fn commit_attempts(refs: &[Advertised], commit: &str, near: &str) -> Vec<Attempt> {
    let tip = refs.iter().find(|r| r.oid == commit && r.name.starts_with("refs/"));
    if let Some(tip) = tip {
        return vec![tip_attempt(tip.name.trim_end_matches("^{}"))];
    }
    let mut attempts = vec![Attempt { refspecs: vec![format!("+{commit}:{KEPT}")], depth: Some(1) }];
    if let Some((_, full)) = resolve(refs, near) {
        attempts.push(Attempt { refspecs: vec![format!("+{full}:{KEPT}")], depth: Some(DEEPER) });
    }
    let all = ["+refs/heads/*:refs/mayfly/heads/*", "+refs/tags/*:refs/mayfly/tags/*"];
    attempts.push(Attempt { refspecs: all.map(str::to_owned).to_vec(), depth: None });
    attempts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refs() -> Vec<Advertised> {
        let one = |name: &str, oid: char| Advertised { name: name.into(), oid: oid.to_string().repeat(40) };
        vec![
            one("HEAD", 'a'),
            one("refs/heads/main", 'a'),
            one("refs/heads/v1", 'b'),
            one("refs/tags/v1", 'c'),
            one("refs/tags/v2", 'd'),
            one("refs/tags/v2^{}", 'e'),
        ]
    }

    #[test]
    fn branches_come_before_tags_and_tags_are_peeled() {
        let refs = refs();
        let found = |n| resolve(&refs, n).map(|(oid, full)| (oid[..1].to_owned(), full));
        assert_eq!(found("v1"), Some(("b".into(), "refs/heads/v1".into())));
        assert_eq!(found("v2"), Some(("e".into(), "refs/tags/v2".into())));
        assert_eq!(found("refs/tags/v1"), Some(("c".into(), "refs/tags/v1".into())));
        assert_eq!(found("nowhere"), None);
    }

    #[test]
    fn a_commit_at_a_tip_is_fetched_through_it() {
        let attempts = commit_attempts(&refs(), &"e".repeat(40), "main");
        assert_eq!(attempts, [tip_attempt("refs/tags/v2")]);
    }

    #[test]
    fn any_other_commit_is_sought_by_name_then_deeper() {
        let attempts = commit_attempts(&refs(), &"f".repeat(40), "main");
        let depths: Vec<_> = attempts.iter().map(|a| a.depth).collect();
        assert_eq!(depths, [Some(1), Some(DEEPER), None]);
        assert_eq!(attempts[0].refspecs, [format!("+{}:refs/mayfly/tip", "f".repeat(40))]);
        assert_eq!(commit_attempts(&refs(), &"f".repeat(40), "gone").len(), 2);
    }
}
