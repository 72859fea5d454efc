//! Where top files name what they name: looked up once something of it is not there.

use super::file::{Entry, Place, Target};
use crate::error::Error;
use crate::nearest::nearest;
use crate::yaml::Node;

/// The environments of top files, with their targets as they are written.
#[derive(Debug, Default)]
pub(crate) struct Written(Vec<(String, Vec<Target>)>);

impl Written {
    pub(super) fn new(targets: impl Iterator<Item = (String, Vec<Target>)>) -> Self {
        Self(targets.collect())
    }

    /// An error about an SLS of a top file, at the entry that names it.
    pub(crate) fn place(&self, env: &str, sls: &str, error: Error) -> Error {
        match self.entry(env, sls) {
            Some(place) => place.put(error),
            None => error,
        }
    }

    fn entry(&self, env: &str, sls: &str) -> Option<&Place> {
        self.0.iter().find_map(|(section, targets)| {
            targets.iter().flat_map(|target| target.entries.iter().flatten()).find_map(|entry| match entry {
                Entry::Sls(name, place) => (section == env && name == sls).then_some(place),
                Entry::Options(pairs, place) => {
                    let named = |(key, value): &(String, Node)| key == env && value.as_str() == Some(sls);
                    pairs.last().is_some_and(named).then_some(place)
                }
                Entry::Other(..) => None,
            })
        })
    }

    /// An environment that top files name and that is not there, with the one of these that it likely means.
    pub(crate) fn misspelt<'e>(
        &self,
        known: &(impl Iterator<Item = &'e str> + Clone),
    ) -> Option<(&str, &'e str)> {
        self.0.iter().find_map(|(env, _)| {
            let is_known = known.clone().any(|name| name == env);
            if is_known { None } else { Some((env.as_str(), nearest(env, known.clone())?)) }
        })
    }
}
