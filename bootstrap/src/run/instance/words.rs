//! What the console says of the watcher's events. Pure.

use mayfly_watcher::rule::Action;
use std::path::Path;

/// How a service is after an action that failed.
pub(super) enum Now {
    /// Nobody could tell, or there is none.
    Unknown,
    Runs,
    /// It is tried again in so many seconds, if at all.
    Down(Option<f64>),
}

pub(super) fn acted(action: &Action, service: &str, path: &Path) -> String {
    let path = path.display();
    match action {
        Action::Run(_) if service.is_empty() => format!("{action}: {path} changed"),
        Action::Run(_) => format!("{action} for {service}: {path} changed"),
        _ => format!("{action} {service}: {path} changed"),
    }
}

pub(super) fn refused(service: &str, path: &Path, reason: &str) -> String {
    let kept = if service.is_empty() {
        "nothing is run".to_owned()
    } else {
        format!("{service} is kept as it runs")
    };
    format!("{} changed but the check fails, {kept}: {reason}", path.display())
}

pub(super) fn failed(action: &Action, service: &str, path: &Path, reason: &str, now: &Now) -> String {
    let path = path.display();
    let what = match (action, now) {
        (Action::Run(_), _) => "the command of its rule failed".to_owned(),
        (Action::Restart, Now::Runs) => format!("{service} could not be restarted"),
        (Action::Restart, _) => format!("{service} was restarted and failed"),
        (Action::Reload, _) => format!("{service} could not be reloaded"),
        (Action::Signal(_), _) => format!("{service} could not be signalled"),
    };
    let now = match (action, now) {
        (Action::Run(_), _) | (_, Now::Unknown) => String::new(),
        (_, Now::Runs) => "; it runs on".to_owned(),
        (_, Now::Down(None)) => "; it is down".to_owned(),
        (_, Now::Down(Some(wait))) => format!("; it is down, next try in {}s", wait.max(0.0).ceil()),
    };
    format!("{path} changed, {what}: {reason}{now}")
}

pub(super) fn held(service: &str, rule: &str, path: &Path, wait: f64) -> String {
    let who = if service.is_empty() { format!("the command of {rule:?}") } else { service.to_owned() };
    format!("{} changed, {who} has to wait {}s for it by the rule's rate", path.display(), wait.ceil())
}

pub(super) fn edited(service: &str, paths: &str) -> String {
    if service.is_empty() {
        return format!("{paths} edited by hand, nothing is run");
    }
    format!("{paths} edited by hand, {service} is kept as it runs")
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATH: &str = "/etc/app.conf";

    #[test]
    fn what_failed_is_told_with_what_is_so_now() {
        let line = |action: Action, now: Now| failed(&action, "app", Path::new(PATH), "why", &now);
        let signal = Action::Signal("HUP".into());
        for (told, expected) in [
            (line(Action::Restart, Now::Down(None)), "app was restarted and failed: why; it is down"),
            (
                line(Action::Restart, Now::Down(Some(0.2))),
                "app was restarted and failed: why; it is down, next try in 1s",
            ),
            (line(Action::Restart, Now::Runs), "app could not be restarted: why; it runs on"),
            (line(signal, Now::Runs), "app could not be signalled: why; it runs on"),
            (line(Action::Reload, Now::Unknown), "app could not be reloaded: why"),
            (line(Action::Run(vec!["x".into()]), Now::Down(None)), "the command of its rule failed: why"),
        ] {
            assert_eq!(told, format!("{PATH} changed, {expected}"));
        }
    }

    #[test]
    fn a_rule_without_a_service_names_none() {
        let run = Action::Run(vec!["touch".into(), "/tmp/ran".into()]);
        assert_eq!(acted(&run, "", Path::new(PATH)), "run touch /tmp/ran: /etc/app.conf changed");
        assert_eq!(acted(&run, "app", Path::new(PATH)), "run touch /tmp/ran for app: /etc/app.conf changed");
        for line in [refused("", Path::new(PATH), "x"), held("", "r", Path::new(PATH), 1.0), edited("", PATH)]
        {
            assert!(!line.contains("  ") && !line.contains(",  "), "{line}");
        }
    }
}
