//! `iptables.*` with the real iptables, in a network namespace that only the test's thread and its children
//! see.

// Effects: tests touch the machine.
#![allow(clippy::disallowed_methods)]

use std::process::Command;

use crate::bench::{Bench, json, need_root, only, step, words};
use mayfly_states::report::Outcome;

/// Run `body` on a thread whose packet filter is its own.
fn apart<T: Send>(body: impl FnOnce(&Bench) -> T + Send) -> T {
    need_root();
    let inside = || {
        nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET).unwrap();
        body(&Bench::new())
    };
    std::thread::scope(|scope| match scope.spawn(inside).join() {
        Ok(value) => value,
        Err(panic) => std::panic::resume_unwind(panic),
    })
}

fn rules(program: &str) -> Vec<String> {
    let told = Command::new(program).args(["-w", "-S"]).output().unwrap();
    String::from_utf8(told.stdout).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn rules_are_set_in_their_order_kept_and_taken_away() {
    apart(|bench| {
        let web = json!({"chain": "INPUT", "jump": "ACCEPT", "proto": "tcp", "dports": [80, 443], "comment": "the web",
            "match": "state", "connstate": "NEW", "save": true});
        let appended = bench.change(&step("iptables.append", "web", web.clone()));
        assert_eq!(appended.changes.keys().collect::<Vec<_>>(), ["locale"]);
        let ssh = json!({"chain": "INPUT", "jump": "ACCEPT", "proto": "tcp", "dport": 22, "position": 1, "source": "!10.0.0.0/8"});
        bench.change(&step("iptables.insert", "ssh", ssh.clone()));
        let lo = json!({"chain": "INPUT", "if": "lo", "jump": "ACCEPT", "position": -1});
        bench.change(&step("iptables.insert", "lo", lo));
        let input: Vec<String> =
            rules("iptables").into_iter().filter(|l| l.starts_with("-A INPUT")).collect();
        assert_eq!(input.len(), 3);
        assert!(input[0].contains("! -s 10.0.0.0/8") && input[0].contains("--dport 22"), "{input:?}");
        assert!(
            input[2].contains("--dports 80,443") && input[2].contains("--comment \"the web\""),
            "{input:?}"
        );
        assert!(input[1].contains("-i lo"), "before the last: {input:?}");
        let file = "/etc/iptables/rules.v4";
        assert!(bench.read(file).contains("the web") && !bench.read(file).contains("-i lo"));
        let saved = bench.change(&step("iptables.append", "web", web));
        assert_eq!(saved.changes.keys().collect::<Vec<_>>(), ["saved"]);
        assert!(bench.read(file).contains("-i lo"));
        bench.change(&step(
            "iptables.delete",
            "ssh",
            json!({"chain": "INPUT", "jump": "ACCEPT", "proto": "tcp", "dport": 22,
            "source": "!10.0.0.0/8"}),
        ));
        bench.change(&step("iptables.flush", "all", json!({"chain": "INPUT"})));
        assert!(!rules("iptables").iter().any(|l| l.starts_with("-A")), "{:?}", rules("iptables"));
    });
}

#[test]
fn chains_come_and_go_and_have_policies() {
    apart(|bench| {
        bench.change(&step(
            "iptables.set_policy",
            "x",
            json!({"chain": "FORWARD", "policy": "DROP", "family": "ipv6"}),
        ));
        assert!(rules("ip6tables").contains(&"-P FORWARD DROP".to_owned()));
        assert!(rules("iptables").contains(&"-P FORWARD ACCEPT".to_owned()));
        bench.change(&step("iptables.chain_present", "MINE", json!({})));
        bench.change(&step(
            "iptables.append",
            "x",
            json!({"chain": "MINE", "jump": "LOG", "log-prefix": "a b "}),
        ));
        assert!(
            rules("iptables").contains(&"-A MINE -j LOG --log-prefix \"a b \"".to_owned()),
            "{:?}",
            rules("iptables")
        );
        bench.change(&step("iptables.chain_absent", "MINE", json!({})));
    });
}

#[test]
fn what_is_no_rule_is_refused_and_what_the_kernel_refuses_is_told() {
    apart(|bench| {
        let refused = |function: &str, args| bench.refuses(&step(function, "x", args));
        assert!(refused("iptables.append", json!({"jump": "ACCEPT"})).contains("`chain` is needed"));
        assert!(refused("iptables.append", json!({"chain": "INPUT"})).contains("needs more than a chain"));
        assert!(
            refused("iptables.append", json!({"chain": "-F", "jump": "X"})).contains("`chain` cannot be")
        );
        assert!(
            refused("iptables.insert", json!({"chain": "INPUT", "jump": "X"}))
                .contains("`position` is needed")
        );
        let bad = json!({"chain": "INPUT", "jump": "ACCEPT", "proto": "tcp", "dport": "ninety"});
        assert!(refused("iptables.append", bad).contains("ended with exit code 2"));
        let nowhere = [
            step("iptables.append", "x", json!({"chain": "NONE", "jump": "ACCEPT"})),
            step("test.nop", "y", json!({})),
        ];
        let report = bench.run(&nowhere);
        assert_eq!(words(&report), ["failed", "ok"], "{}", report.to_text());
        assert_eq!(only(bench.test(&nowhere[..1])).outcome, Outcome::WouldChange);
    });
}
