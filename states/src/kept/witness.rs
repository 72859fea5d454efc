//! What a compile looked at: each question to the tree with its answer, in the thread that compiles.

use std::cell::RefCell;
use std::path::{Path, PathBuf};

use indexmap::IndexMap;
use indexmap::map::Entry;
use serde::{Deserialize, Serialize};

use crate::files::raw;

/// Folders that are searched in order, by their number in a record.
type Roots = usize;

/// Something that is asked of the tree.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) enum Question {
    /// In which root is this file?
    Find(Roots, String),
    /// Has a root this directory?
    Directory(Roots, String),
    /// Which files, or which directories, are there?
    Listing(Roots, bool),
    /// Which SLS are there?
    Names(Roots),
    /// What is in the file?
    Content(PathBuf),
}

/// What the tree says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Answer {
    /// The root that has it.
    In(Option<usize>),
    /// Whether it is there.
    Is(bool),
    /// SHA-256 of what is there.
    Sum([u8; 32]),
}

impl Answer {
    /// Of a file's content.
    pub(crate) fn content(bytes: &[u8]) -> Self {
        use sha2::Digest;
        Answer::Sum(sha2::Sha256::digest(bytes).into())
    }

    /// Of names, in their order.
    pub(crate) fn names(all: &[String]) -> Self {
        use sha2::Digest;
        let mut sum = sha2::Sha256::new();
        for name in all {
            sum.update(name.as_bytes());
            // No name has this.
            sum.update([0]);
        }
        Answer::Sum(sum.finalize().into())
    }
}

/// All questions of a compile.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Record {
    roots: Vec<Vec<PathBuf>>,
    #[serde(with = "indexmap::map::serde_seq")]
    asked: IndexMap<Question, Answer>,
    /// It looked at something that may be different the next time.
    #[serde(skip)]
    volatile: bool,
}

impl Record {
    fn roots(&mut self, roots: &[PathBuf]) -> Roots {
        match self.roots.iter().position(|known| known == roots) {
            Some(number) => number,
            None => {
                self.roots.push(roots.to_vec());
                self.roots.len() - 1
            }
        }
    }

    fn take_down(&mut self, question: Question, answer: Answer) {
        match self.asked.entry(question) {
            // The tree was changed meanwhile.
            Entry::Occupied(first) => self.volatile |= *first.get() != answer,
            Entry::Vacant(new) => _ = new.insert(answer),
        }
    }

    /// Whether every question has the answer that it had.
    pub(crate) fn holds(&self) -> bool {
        self.asked.iter().all(|(question, answer)| self.ask(question).as_ref() == Some(answer))
    }

    fn ask(&self, question: &Question) -> Option<Answer> {
        let roots = |number: &Roots| self.roots.get(*number);
        Some(match question {
            Question::Find(at, path) => Answer::In(raw::find(roots(at)?, path).map(|(root, _)| root)),
            Question::Directory(at, path) => Answer::Is(raw::find_dir(roots(at)?, path)),
            Question::Listing(at, directories) => Answer::names(&raw::listing(roots(at)?, *directories)),
            Question::Names(at) => Answer::names(&raw::sls_names(roots(at)?)),
            Question::Content(path) => Answer::content(&raw::bytes(path).ok()?),
        })
    }
}

thread_local! {
    /// Of the compile that runs in this thread.
    static RECORD: RefCell<Option<Record>> = const { RefCell::new(None) };
}

fn with(run: impl FnOnce(&mut Record)) {
    RECORD.with_borrow_mut(|record| record.as_mut().map(run));
}

/// Runs a compile; its record, unless it looked at something that may be different the next time.
pub(crate) fn during<T>(run: impl FnOnce() -> T) -> (T, Option<Record>) {
    RECORD.set(Some(Record::default()));
    let done = run();
    (done, RECORD.take().filter(|record| !record.volatile))
}

/// Takes down what the tree was asked; the question is made with the number of these roots.
pub(crate) fn record(
    roots: &[PathBuf],
    question: impl FnOnce(Roots) -> Question,
    answer: impl FnOnce() -> Answer,
) {
    with(|record| {
        let question = question(record.roots(roots));
        record.take_down(question, answer());
    });
}

/// Takes down what was read.
pub(crate) fn read(path: &Path, bytes: &[u8]) {
    with(|record| record.take_down(Question::Content(path.to_owned()), Answer::content(bytes)));
}

/// The compile at hand looked at something that may be different the next time: it is not kept.
pub(crate) fn volatile() {
    with(|record| record.volatile = true);
}
