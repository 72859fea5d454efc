//! `file.serialize`: a managed file whose content is data.

use crate::engine::step::{Applied, Call, Diff, Failure, StateFn};
use crate::modules::args::Args;
use crate::modules::file::dataset::Dataset;
use crate::modules::file::managed::{self, Managed};
use crate::modules::file::source::Source;

pub(crate) const ARGS: &[&str] = &[
    "dataset",
    "dataset_pillar",
    "serializer",
    "formatter",
    "serializer_opts",
    "merge_if_exists",
    "encoding",
    "user",
    "group",
    "mode",
    "makedirs",
    "dir_mode",
    "create",
    "backup",
    "show_changes",
    "follow_symlinks",
];
pub(crate) const IGNORED: &[&str] = &["deserializer_opts", "encoding_errors", "tmp_dir", "tmp_ext"];

/// `file.serialize`.
pub(crate) struct Serialize;

impl StateFn for Serialize {
    type Want = managed::Want;
    type Observed = managed::Observed;
    type Plan = managed::Plan;

    fn want(args: &Args<'_>, call: &Call<'_>) -> Result<managed::Want, Failure> {
        let dataset = Dataset::read(args, call)?;
        let hidden = args.get("dataset_pillar").is_some();
        managed::Want::read(args, Source::Data(Box::new(dataset)), hidden, call)
    }

    fn observe(want: &managed::Want, call: &Call<'_>) -> Result<managed::Observed, Failure> {
        Managed::observe(want, call)
    }

    fn diff(want: &managed::Want, observed: &managed::Observed) -> Diff<managed::Plan> {
        Managed::diff(want, observed)
    }

    fn apply(want: &managed::Want, plan: managed::Plan, call: &Call<'_>) -> Result<Applied, Failure> {
        Managed::apply(want, plan, call)
    }
}
