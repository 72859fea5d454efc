//! Why there is no tree.

/// Why there is no tree.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The remote cannot be reached.
    #[error("remote {url} cannot be reached: {cause}")]
    Unreachable {
        /// The repository.
        url: String,
        /// Why, in one line.
        cause: String,
    },
    /// The remote answers and refuses.
    #[error("remote {url} refuses: {cause}")]
    Refused {
        /// The repository.
        url: String,
        /// Why, in one line.
        cause: String,
    },
    /// There is no such branch or tag.
    #[error("remote {url} has no branch or tag {reference:?}")]
    NoReference {
        /// The repository.
        url: String,
        /// What was asked for.
        reference: String,
    },
    /// The commit is nowhere in the remote's history.
    #[error("remote {url} has no commit {commit} on any branch or tag; was it pushed?")]
    NoCommit {
        /// The repository.
        url: String,
        /// What was asked for.
        commit: String,
    },
    /// The commit's files are refused.
    #[error("commit {commit}: {cause}")]
    Tree {
        /// Which commit.
        commit: String,
        /// Which file and why.
        cause: String,
    },
    /// The commit is not signed by who is listed.
    #[error("commit {commit} {cause}")]
    NotSigned {
        /// Which commit.
        commit: String,
        /// Why it does not count.
        cause: String,
    },
    /// A signed commit that is older than the applied one, from somebody who may be replaying it.
    #[error(
        "remote {url} offers {offered}, which is older than {applied} that is applied: going back is for the first \
         remote alone, over https or ssh, or for `states.commit`{because}"
    )]
    StepsBack {
        /// The repository.
        url: String,
        /// The commit and its time.
        offered: String,
        /// The current one and its time.
        applied: String,
        /// Why the first remote was not heard: `; …`.
        because: String,
    },
    /// A submodule cannot be had.
    #[error("submodule {path}: {cause}")]
    Submodule {
        /// Its folder.
        path: String,
        /// Why.
        cause: Box<Error>,
    },
    /// What should let us in cannot be used.
    #[error("{kept}: {cause}")]
    Secret {
        /// Where it is kept.
        kept: String,
        /// Why, and what to do.
        cause: String,
    },
    /// The disk said no.
    #[error("{0}")]
    Disk(#[from] std::io::Error),
    /// The program was asked to stop.
    #[error("stopped")]
    Cancelled,
}

impl Error {
    /// Whether the remote has answered and what was asked of it is the mistake: another tree would hide that.
    pub(crate) fn is_mistake(&self) -> bool {
        matches!(
            self,
            Self::NoReference { .. } | Self::NoCommit { .. } | Self::Tree { .. } | Self::NotSigned { .. }
        )
    }

    /// Whether another address of the same repository may do better.
    pub(super) fn is_of_one_remote(&self) -> bool {
        matches!(
            self,
            Self::Unreachable { .. }
                | Self::Refused { .. }
                | Self::NoReference { .. }
                | Self::NoCommit { .. }
                | Self::Secret { .. }
                | Self::StepsBack { .. }
        )
    }

    /// Of the errors of several remotes the one to tell of: the first, but for one that offers what must not be taken.
    pub(super) fn worse(before: Option<Self>, now: Self) -> Self {
        match before {
            Some(before @ Self::StepsBack { .. }) => before,
            Some(before) if !matches!(now, Self::StepsBack { .. }) => before,
            _ => now,
        }
    }

    pub(super) fn secret(kept: &str, cause: String) -> Self {
        Self::Secret { kept: kept.to_owned(), cause }
    }
}
