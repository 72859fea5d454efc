//! What the program says of itself: the document behind `/status`, `status.json`, `/ready` and `/metrics`. Pure.

use super::phase::Phase;
use crate::fetch::FormulaTree;
use serde::Serialize;

/// The document. Times are seconds since the epoch.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Status {
    /// The version of this program.
    pub(crate) version: &'static str,
    /// The minion id.
    pub(crate) id: String,
    /// `i-…`.
    pub(crate) instance_id: String,
    /// The grain `role`.
    pub(crate) role: String,
    /// The grain `environment`.
    pub(crate) environment: String,
    /// The deployment that launched the instance.
    pub(crate) deployment: Option<String>,
    /// Where the endpoints answer.
    pub(crate) listen: Option<String>,
    /// One word.
    pub(crate) phase: &'static str,
    /// The last converge succeeded and its services run.
    pub(crate) ready: bool,
    /// Why not.
    pub(crate) reason: Option<String>,
    /// The commit that was asked for last: it is being applied, was, or could not be.
    pub(crate) commit: Option<String>,
    /// The last commit that was applied without a failure.
    pub(crate) good: Option<String>,
    /// The commit whose states were last walked, and whose rules are armed: an older one while the newest cannot be compiled.
    pub(crate) applied: Option<String>,
    /// The commit that the instance is ready with.
    pub(crate) ready_commit: Option<String>,
    /// The step that runs now.
    pub(crate) step: Option<Step>,
    /// The last converge.
    pub(crate) converge: Option<Converge>,
    /// What differs from what was applied, as last looked for.
    pub(crate) drift: Option<Drift>,
    /// The services that the states keep running.
    pub(crate) services: Vec<Service>,
    /// The rules that are armed.
    pub(crate) watches: Vec<serde_json::Value>,
    /// How the watcher fares: kernel watches in use, why some paths are polled, events that the kernel threw away.
    pub(crate) watching: serde_json::Value,
    /// The last restarts, newest last.
    pub(crate) restarts: Vec<Restart>,
    /// The repository.
    pub(crate) remote: Remote,
    /// The formula repositories beside the tree, as last applied.
    pub(crate) formulas: Vec<Formula>,
    /// When the remote is asked next; none while that is done, or when only a signal leads to it.
    pub(crate) next_tick: Option<f64>,
    /// When the converge that failed is tried again.
    pub(crate) retry_at: Option<f64>,
    /// The supervisor in use.
    pub(crate) supervisor: Option<&'static str>,
    /// Why the program on the disk was not started when that was asked for (SIGUSR2).
    pub(crate) upgrade_refused: Option<UpgradeRefused>,
    /// Counters for metrics.
    pub(crate) totals: Totals,
    /// Seconds from the start of the program to each first.
    pub(crate) boot: Boot,
}

/// A program that was not started in the place of this one.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct UpgradeRefused {
    /// When.
    pub(crate) at: f64,
    /// Its path.
    pub(crate) program: String,
    /// Why.
    pub(crate) reason: String,
}

/// The times of the boot.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Boot {
    /// User-data known.
    pub(crate) identified_after: Option<f64>,
    /// First tree at hand.
    pub(crate) fetched_after: Option<f64>,
    /// First converge ended well.
    pub(crate) ready_after: Option<f64>,
}

/// A step that runs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Step {
    /// Which one, from 1.
    pub(crate) index: usize,
    /// Of how many.
    pub(crate) total: usize,
    /// `state.fun`.
    pub(crate) function: String,
    /// The name it works on.
    pub(crate) name: String,
    /// `file:line:column`.
    pub(crate) origin: String,
    /// Since when.
    pub(crate) since: f64,
    /// How many others run beside it.
    pub(crate) beside: usize,
}

/// One converge.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Converge {
    /// What was applied.
    pub(crate) commit: String,
    /// When.
    pub(crate) started: f64,
    /// How long.
    pub(crate) duration_ms: f64,
    /// No step failed.
    pub(crate) ok: bool,
    /// How many steps there were.
    pub(crate) steps: usize,
    /// How many changed something.
    pub(crate) changed: usize,
    /// The steps that failed.
    pub(crate) failed: Vec<FailedStep>,
    /// The tree did not compile.
    pub(crate) error: Option<String>,
    /// Which remote stood in for another, or went back; what was left out of the tree.
    pub(crate) notes: Vec<String>,
}

/// What a dry run of the applied tree would change.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Drift {
    /// When.
    pub(crate) checked: f64,
    /// How many steps would change something.
    pub(crate) count: usize,
    /// How many could not be looked at.
    pub(crate) failed: usize,
    /// Why nothing, or not all, was looked at.
    pub(crate) error: Option<String>,
    /// The first of the steps.
    pub(crate) states: Vec<Drifted>,
}

impl Drift {
    /// After a converge that went well.
    pub(crate) fn mended(self) -> Self {
        Self { checked: self.checked, ..Self::default() }
    }
}

/// A step that would change something.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Drifted {
    /// `state.fun`.
    pub(crate) function: String,
    /// The declaration's id.
    pub(crate) id: String,
    /// The name it works on.
    pub(crate) name: String,
    /// `file:line:column`.
    pub(crate) origin: String,
}

/// A step that failed.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct FailedStep {
    /// `state.fun`.
    pub(crate) function: String,
    /// The declaration's id.
    pub(crate) id: String,
    /// The name it worked on.
    pub(crate) name: String,
    /// `file:line:column`.
    pub(crate) origin: String,
    /// Why.
    pub(crate) comment: String,
}

/// A service and whether it runs.
#[derive(Debug, Clone, Default, Serialize, PartialEq)]
pub(crate) struct Service {
    /// Its name.
    pub(crate) name: String,
    /// `running`, `stopped`, `unknown` or why that is not known.
    pub(crate) state: String,
    /// How its last process ended, asked for or not, where the supervisor tells.
    pub(crate) last_end: Option<String>,
    /// Ends in a row that nobody asked for.
    pub(crate) failures: u32,
    /// When it is started again.
    pub(crate) next_try: Option<f64>,
    /// What to say of an end that nobody asked for.
    #[serde(skip)]
    pub(crate) down: Option<String>,
}

/// A restart (or reload, signal) and what caused it.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Restart {
    /// When.
    pub(crate) at: f64,
    /// Which service.
    pub(crate) service: String,
    /// `restart`, `start`, `reload`, …
    pub(crate) action: String,
    /// `converge <commit>`, the watched path that changed, or how it had ended.
    pub(crate) cause: String,
    /// How often in a row, where the supervisor started it again and again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) times: Option<u64>,
}

/// The repository, as last seen.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Remote {
    /// Its address.
    pub(crate) url: String,
    /// Branch or tag.
    #[serde(rename = "ref")]
    pub(crate) reference: String,
    /// When it was asked last.
    pub(crate) checked: Option<f64>,
    /// It answered.
    pub(crate) ok: bool,
    /// Why not.
    pub(crate) error: Option<String>,
}

/// A formula repository and the commit of it that is (being) applied.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Formula {
    name: String,
    url: String,
    commit: String,
}

impl Formula {
    pub(super) fn of(tree: &FormulaTree) -> Self {
        Self { name: tree.name.clone(), url: tree.url.clone(), commit: tree.commit.clone() }
    }
}

/// What is counted.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Totals {
    /// Converges that ended well.
    pub(crate) converges_ok: u64,
    /// Converges that did not.
    pub(crate) converges_failed: u64,
    /// Questions to the remote that were answered.
    pub(crate) fetches_ok: u64,
    /// Questions that were not.
    pub(crate) fetches_failed: u64,
    /// Restarts by watches.
    pub(crate) watch_restarts: u64,
    /// Restarts by converges.
    pub(crate) converge_restarts: u64,
    /// Starts by the supervisor after an end that nobody asked for.
    pub(crate) supervisor_restarts: u64,
    /// Checks that kept a watch from acting.
    pub(crate) checks_failed: u64,
    /// Actions of watches that failed.
    pub(crate) actions_failed: u64,
    /// Files edited by hand that were put back.
    pub(crate) edits_reverted: u64,
}

const KEPT_RESTARTS: usize = 50;

impl Status {
    /// Notes a restart; old ones go.
    pub(crate) fn add_restart(&mut self, restart: Restart) {
        if self.restarts.len() == KEPT_RESTARTS {
            self.restarts.remove(0);
        }
        self.restarts.push(restart);
    }

    /// Notes that the supervisor started a service again after such an end. A row of them is one restart in the list, or
    /// it would hold nothing else.
    pub(crate) fn add_start_again(&mut self, service: &str, after: &str, at: f64) {
        self.totals.supervisor_restarts += 1;
        let last = self.restarts.last_mut();
        let row = last.filter(|last| last.times.is_some() && last.service == service && last.cause == after);
        if let Some(last) = row {
            last.at = at;
            last.times = last.times.map(|times| times + 1);
            return;
        }
        let (service, action, cause) = (service.to_owned(), "start".to_owned(), after.to_owned());
        self.add_restart(Restart { at, service, action, cause, times: Some(1) });
    }

    /// Brings phase, readiness and reason in line with `phase` and the services' states.
    pub(crate) fn settle(&mut self, phase: &Phase) {
        let down = self.services.iter().find(|s| s.state != "running");
        let why = |s: &Service| s.down.as_ref().map(|down| format!(" {down}")).unwrap_or_default();
        let down = down.map(|s| format!("service {} is not running: {}{}", s.name, s.state, why(s)));
        self.phase = phase.name();
        self.reason = phase.not_ready().or(down);
        self.ready = self.reason.is_none();
        self.ready_commit = phase.ready().filter(|_| self.ready).map(str::to_owned);
    }

    /// The text of `/ready`: one line when ready, else the reason.
    pub(crate) fn ready_text(&self) -> String {
        match &self.reason {
            None => {
                let commit = self.ready_commit.as_deref().unwrap_or("-");
                format!("ready {} {commit}{}\n", self.id, self.meanwhile())
            }
            Some(reason) => format!("{reason}\n"),
        }
    }

    /// What is being applied while the instance is ready with what it has.
    fn meanwhile(&self) -> String {
        match &self.commit {
            Some(commit) if self.phase == "converging" => format!(" (converging {commit})"),
            _ => String::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stopped_service_is_not_ready() {
        let mut status = Status { id: "web-1".into(), ..Status::default() };
        let ready = Phase::Ready { commit: "c".into() };
        status.settle(&ready);
        assert!(status.ready);
        status.services =
            vec![Service { name: "nginx".into(), state: "stopped".into(), ..Service::default() }];
        status.settle(&ready);
        assert_eq!(status.ready_text(), "service nginx is not running: stopped\n");
        status.services[0].down = Some("(exited with status 3), next try in 5s".into());
        status.settle(&ready);
        let expected = "service nginx is not running: stopped (exited with status 3), next try in 5s\n";
        assert_eq!(status.ready_text(), expected);
        assert!(status.metrics().contains("\nmayfly_services_down 1\n"));
    }

    #[test]
    fn a_row_of_starts_after_ends_is_one_restart() {
        let mut status = Status::default();
        for n in 0..200 {
            status.add_start_again("app", "exited with status 3", f64::from(n));
        }
        status.add_start_again("app", "was killed by SIGKILL", 200.0);
        let seen: Vec<_> = status.restarts.iter().map(|r| (r.cause.as_str(), r.times, r.at)).collect();
        let (exits, kill) =
            (("exited with status 3", Some(200), 199.0), ("was killed by SIGKILL", Some(1), 200.0));
        assert_eq!(seen, [exits, kill]);
        assert!(status.metrics().contains("\nmayfly_restarts_total{cause=\"supervisor\"} 201\n"));
    }

    #[test]
    fn what_is_ready_is_named_while_another_commit_is_applied() {
        let mut status = Status { id: "web-1".into(), commit: Some("new".into()), ..Status::default() };
        status.settle(&Phase::Converging { commit: "new".into(), ready: Some("old".into()) });
        assert_eq!(status.ready_text(), "ready web-1 old (converging new)\n");
        status.settle(&Phase::Converging { commit: "new".into(), ready: None });
        assert_eq!((status.ready_text(), status.ready_commit), ("converging new\n".into(), None));
    }

    #[test]
    fn restarts_are_bounded() {
        let mut status = Status::default();
        for n in 0..200 {
            let restart = Restart {
                at: f64::from(n),
                service: "a".into(),
                action: "restart".into(),
                cause: "x".into(),
                times: None,
            };
            status.add_restart(restart);
        }
        assert_eq!((status.restarts.len(), status.restarts[0].at), (KEPT_RESTARTS, 150.0));
    }
}
