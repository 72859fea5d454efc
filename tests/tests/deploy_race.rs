//! Two deployers started together: one wins, and the other says who it is and ends with 4. Every time.
#![allow(clippy::disallowed_methods, clippy::panic, clippy::unwrap_used)]

use std::process::{Child, Stdio};

use mayfly_tests::programs::{run_ok, text};
use mayfly_tests::sandbox::{Cloud, IMAGE};

const ROUNDS: u32 = 50;

#[test]
fn of_two_deployers_started_together_one_wins_and_the_other_names_it() {
    let cloud = Cloud::start();
    let spec = format!(
        "service: greeter\nrole: web\ncount: 1\nimage: {IMAGE}\nprobe: none\nload_balancer: none\n\
         states: {{url: \"{}\", deploy_url: \"{}\"}}\n",
        cloud.repo_url(),
        cloud.deploy_url()
    );
    std::fs::write(cloud.folder.path().join("mayfly.yaml"), spec).unwrap();
    run_ok(&mut cloud.mayfly(&["deploy", "--yes"]));
    for round in 1..=ROUNDS {
        let both = [start(&cloud), start(&cloud)];
        let pids = both.each_ref().map(Child::id);
        let ended = both.map(|child| child.wait_with_output().unwrap());
        let said = ended.each_ref().map(|output| text(&output.stderr));
        let codes = ended.each_ref().map(|output| output.status.code());
        let winner = match codes {
            [Some(0), Some(4)] => 0,
            [Some(4), Some(0)] => 1,
            _ => panic!("round {round}: {codes:?}\n{}\n{}", said[0], said[1]),
        };
        let names = format!("(process {})", pids[winner]);
        assert!(said[1 - winner].contains(&names), "round {round}: no {names} in {}", said[1 - winner]);
        assert_eq!(cloud.live().len(), 1, "round {round}: {:#?}", cloud.live());
    }
}

fn start(cloud: &Cloud) -> Child {
    let mut command = cloud.mayfly(&["deploy", "--yes"]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
}
