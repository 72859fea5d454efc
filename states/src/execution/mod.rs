//! The execution functions that look at the machine, for templates: `salt['cmd.run'](…)` and its neighbours.
//!
//! Each file has a table of its functions; what can be called and what is said to exist are one list. Files are read
//! below [`Host::root`], commands run with a deadline and bounded output, and a shell is used only where Salt uses one.
//! Functions that look at the compile alone are in `functions`.

mod accounts;
mod alternatives;
mod asked;
mod cmd;
mod environ;
mod file;
mod hosts;
mod kernel;
mod locale;
mod mounts;
mod network;
mod pkg;
mod random;
mod repos;
mod service;
mod shadow;
mod status;
mod timezone;

use std::sync::Arc;

use crate::decrypt::{Block, Keys};
use crate::host::Host;
use crate::secrets::Secrets;
use crate::session::Functions;
use crate::value::{Map, Value};
use asked::Asked;

/// What a function says: a value, or a sentence about why there is none.
type Answer = Result<Value, String>;
/// A function of the machine.
type Function = fn(&Asked<'_>) -> Answer;
/// The functions of one file.
type Table = &'static [(&'static str, Function)];

const TABLES: &[Table] = &[
    accounts::FUNCTIONS,
    alternatives::FUNCTIONS,
    cmd::FUNCTIONS,
    environ::FUNCTIONS,
    file::FUNCTIONS,
    file::find::FUNCTIONS,
    file::owner::FUNCTIONS,
    file::sum::FUNCTIONS,
    file::text::FUNCTIONS,
    hosts::FUNCTIONS,
    kernel::FUNCTIONS,
    locale::FUNCTIONS,
    mounts::FUNCTIONS,
    network::FUNCTIONS,
    pkg::FUNCTIONS,
    random::FUNCTIONS,
    repos::FUNCTIONS,
    service::FUNCTIONS,
    shadow::FUNCTIONS,
    status::FUNCTIONS,
    timezone::FUNCTIONS,
];

/// The functions of one machine.
pub struct MachineFunctions {
    host: Arc<dyn Host>,
    keys: Keys,
}

impl MachineFunctions {
    /// Functions that ask `host`.
    pub fn new(host: Arc<dyn Host>) -> Self {
        Self { host, keys: Keys::default() }
    }
}

impl Drop for MachineFunctions {
    fn drop(&mut self) {
        self.keys.close(self.host.as_ref());
    }
}

fn find(name: &str) -> Option<Function> {
    TABLES.iter().flat_map(|table| table.iter()).find(|(known, _)| *known == name).map(|(_, f)| *f)
}

impl Functions for MachineFunctions {
    fn call(&self, name: &str, args: &[Value], kwargs: &Map) -> Option<Result<Value, String>> {
        let function = find(name)?;
        Some(function(&Asked { host: self.host.as_ref(), name, args, kwargs }))
    }

    fn names(&self) -> Vec<&'static str> {
        TABLES.iter().flat_map(|table| table.iter()).map(|(name, _)| *name).collect()
    }

    fn has(&self, name: &str) -> bool {
        find(name).is_some()
    }

    fn decrypt(&self, block: &Block<'_>) -> Result<String, String> {
        self.keys.open(block, self.host.as_ref())
    }

    fn secrets(&self) -> Secrets {
        self.keys.secrets()
    }
}

/// A mapping of these pairs.
fn map<K: Into<String>>(pairs: impl IntoIterator<Item = (K, Value)>) -> Value {
    Value::Map(pairs.into_iter().map(|(k, v)| (k.into(), v)).collect())
}

/// A list of these texts.
fn list<S: Into<String>>(all: impl IntoIterator<Item = S>) -> Value {
    Value::List(all.into_iter().map(|s| Value::Str(s.into())).collect())
}

/// A text.
fn string(text: impl Into<String>) -> Value {
    Value::Str(text.into())
}

/// Python's `str()` of a value.
fn str_of(value: &Value) -> String {
    crate::jinja::text(&crate::jinja::Py::from(value))
}

/// A whole number, whatever its type.
fn number<T: TryInto<i64>>(value: T) -> Value {
    Value::Int(value.try_into().unwrap_or(i64::MAX))
}

#[cfg(test)]
pub(crate) mod bench {
    //! A machine in a temporary directory.
    #![allow(clippy::disallowed_methods)]

    use super::*;
    use crate::host::{Machine, NoServices};

    pub(crate) struct Bench {
        pub(crate) root: tempfile::TempDir,
        functions: MachineFunctions,
    }

    impl Bench {
        pub(crate) fn new(files: &[(&str, &str)]) -> Self {
            let root = tempfile::tempdir().unwrap();
            for (path, text) in files {
                let full = root.path().join(path.trim_start_matches('/'));
                std::fs::create_dir_all(full.parent().unwrap()).unwrap();
                std::fs::write(full, text).unwrap();
            }
            let machine = Machine::new(Arc::new(NoServices)).with_root(root.path());
            Self { functions: MachineFunctions::new(Arc::new(machine)), root }
        }

        pub(crate) fn call(&self, name: &str, args: &[&str]) -> Answer {
            self.with(name, args, &[])
        }

        pub(crate) fn with(&self, name: &str, args: &[&str], kwargs: &[(&str, Value)]) -> Answer {
            let args: Vec<Value> = args.iter().map(|a| string(*a)).collect();
            let kwargs = kwargs.iter().map(|(k, v)| ((*k).to_owned(), v.clone())).collect();
            self.functions.call(name, &args, &kwargs).expect("a function of the machine")
        }

        /// As JSON, which is short to write down.
        pub(crate) fn json(&self, name: &str, args: &[&str]) -> String {
            serde_json::to_string(&self.call(name, args).unwrap()).unwrap()
        }
    }
}
