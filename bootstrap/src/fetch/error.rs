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
        )
    }

    pub(super) fn secret(kept: &str, cause: String) -> Self {
        Self::Secret { kept: kept.to_owned(), cause }
    }
}
