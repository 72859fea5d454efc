//! What the demo found, for people and for programs.

use serde::Serialize;

/// The demo's result; `--output json` prints it as one object.
#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct Summary {
    /// Requests sent through the balancer from the first healthy instance to the end.
    pub(super) requests_total: u64,
    /// Requests that did not get a 200.
    pub(super) requests_failed: u64,
    /// The first few failures, in words.
    pub(super) failures: Vec<String>,
    /// First deployment: from the command to two instances in service.
    pub(super) first_deploy_seconds: f64,
    /// An instance of a stock image: from its launch to ready.
    pub(super) stock_boot_seconds: f64,
    /// The bake of the role.
    pub(super) bake_seconds: f64,
    /// An instance of the baked image: from its launch to ready.
    pub(super) seeded_boot_seconds: f64,
    /// Second deployment: from the command to the old instances terminated.
    pub(super) deploy_seconds: f64,
    /// From the push of the edit to the first of only new answers.
    pub(super) hot_edit_seconds: f64,
    /// What restarted the service after the hot edit, as the instances tell it.
    pub(super) hot_edit_restarted_by: String,
    /// The deployment of a version that never becomes healthy: from the command to its roll-back.
    pub(super) broken_deploy_seconds: f64,
    /// Whether that deployment ended as "failed and rolled back", with the old version serving.
    pub(super) broken_deploy_rolled_back: bool,
    /// Instances that should not be there: after the roll-back, and after everything was taken down.
    pub(super) leftover_instances: usize,
}

impl Summary {
    /// Whether the demo showed what it is there to show.
    pub(super) fn holds(&self) -> bool {
        self.requests_failed == 0 && self.broken_deploy_rolled_back && self.leftover_instances == 0
    }

    /// A table for a terminal.
    pub(super) fn to_text(&self) -> String {
        let rows = [
            ("requests sent", self.requests_total.to_string()),
            ("requests failed", self.requests_failed.to_string()),
            ("first deployment", seconds(self.first_deploy_seconds)),
            ("  stock image to ready", seconds(self.stock_boot_seconds)),
            ("bake of the role", seconds(self.bake_seconds)),
            ("  baked image to ready", seconds(self.seeded_boot_seconds)),
            ("second deployment", seconds(self.deploy_seconds)),
            ("hot edit, push to live", seconds(self.hot_edit_seconds)),
            ("  restarted by", self.hot_edit_restarted_by.clone()),
            ("broken deployment", seconds(self.broken_deploy_seconds)),
            ("  rolled back", if self.broken_deploy_rolled_back { "yes" } else { "NO" }.to_owned()),
            ("instances left over", self.leftover_instances.to_string()),
        ];
        let table = rows.iter().map(|(what, figure)| format!("  {what:<24} {figure}\n"));
        let failures = self.failures.iter().map(|failure| format!("  failed: {failure}\n"));
        table.chain(failures).collect()
    }
}

fn seconds(value: f64) -> String {
    format!("{value:.1} s")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_failed_request_or_leftover_instance_spoils_it() {
        let good = Summary { broken_deploy_rolled_back: true, ..Summary::default() };
        assert!(good.holds());
        assert!(!Summary { requests_failed: 1, ..good.clone() }.holds());
        assert!(!Summary { leftover_instances: 1, ..good.clone() }.holds());
        assert!(!Summary { broken_deploy_rolled_back: false, ..good }.holds());
    }
}
