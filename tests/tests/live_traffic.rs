//! Six instances under steady traffic: every strategy, and versions that are broken in every way, lose no request.
#![allow(clippy::disallowed_methods, clippy::panic, clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::time::Duration;

use mayfly_tests::load::Load;
use mayfly_tests::programs::{run, text};
use mayfly_tests::sandbox::{Cloud, IMAGE, PORT};
use mayfly_tests::wait;

const COUNT: usize = 6;
/// What is sent, and what has to have been sent during each deployment at least.
const PER_SECOND: u32 = 250;
const AT_LEAST: f64 = 200.0;

const STRATEGIES: [&str; 3] = ["blue-green", "{rolling: {batch: 2}}", "{canary: {size: 1, soak: 1s}}"];
/// The whole of the service converges before it is looked at, and then fails.
const BOOM: &str = "\n{% if pillar['greeter'].get('broken') %}\nboom:\n  cmd.run:\n    - name: /bin/false\n\
                    {% endif %}\n\ngreeter-program:";

/// Something that takes its time beside what does not, and that does not outlive its instance; the same answer.
const ANSWER: &str = "answer($client, $head->{text}) if $whole;";
const SLOW_ANSWER: &str = r"if ($whole && $head->{text} =~ m{^GET /slow }) {
        $SIG{CHLD} = 'IGNORE';
        if (!fork) { $SIG{TERM} = 'DEFAULT'; sleep 1; answer($client, 'GET / HTTP/1.1'); exit 0 }
    }
    elsif ($whole) { answer($client, $head->{text}) }";

/// How a version is broken.
#[derive(Debug, Clone, Copy)]
enum Broken {
    /// It is registered, and the balancer never finds it healthy.
    NeverHealthy,
    /// It answers, and a state of it has failed.
    FailsToConverge,
    /// The first wave is well and has replaced what it had to; the second fails.
    InTheSecondWave,
}

struct Live {
    cloud: Cloud,
    balancer: &'static str,
    /// How long a version that is never healthy is waited for: not less than the balancer's check takes.
    patience: &'static str,
    load: Load,
    version: u32,
}

impl Live {
    fn begin(balancer: &'static str, patience: &'static str, create: impl FnOnce(&Cloud) -> String) -> Self {
        let cloud = Cloud::start();
        cloud.repo.edit("greeter/init.sls", "\ngreeter-program:", BOOM);
        cloud.repo.edit("greeter/files/greeter.pl", ANSWER, SLOW_ANSWER);
        cloud.repo.push("let a version be broken, and an answer slow");
        let url = create(&cloud);
        write_spec(&cloud, balancer, "");
        let output = run(&mut cloud.mayfly(&["deploy", "--yes", "--set", "greeter.version=v1"]));
        assert!(output.status.success(), "{}", text(&output.stderr));
        let load = Load::start(&url, PER_SECOND);
        let live = Self { cloud, balancer, patience, load, version: 1 };
        live.assert_serves("the first deployment");
        live
    }

    fn good(&mut self, strategy: &str) {
        let before = self.ids();
        write_spec(&self.cloud, self.balancer, &format!("strategy: {strategy}\n"));
        let version = self.version + 1;
        self.deploy(0, &format!("{strategy}, good"), &[&format!("greeter.version=v{version}")]);
        self.version = version;
        self.assert_serves(strategy);
        assert!(self.ids().is_disjoint(&before), "{strategy}: not all were replaced");
    }

    fn broken(&mut self, strategy: &str, how: Broken) {
        let before = self.ids();
        let (more, setting, cause) = match how {
            // The deployer's own probe is content, so that the balancer gets to see it.
            Broken::NeverHealthy => (
                format!("timeouts: {{running: 60s, probe: 60s, in_service: {}}}\n", self.patience),
                "greeter.health=failing",
                "to be in service",
            ),
            Broken::FailsToConverge => (String::new(), "greeter.broken=yes", "cmd.run /bin/false"),
            Broken::InTheSecondWave => {
                let hook = "{before: deregister-old, shell: 'test $MAYFLY_WAVE -lt 2'}";
                (format!("hooks: [{hook}]\n"), "greeter.any=thing", "exit code 1")
            }
        };
        write_spec(&self.cloud, self.balancer, &format!("strategy: {strategy}\n{more}"));
        let context = format!("{strategy}, {how:?}");
        let said = self.deploy(2, &context, &["greeter.version=broken", setting]);
        assert!(said.contains(cause), "{context}: {said}");
        self.assert_serves(&context);
        match how {
            Broken::NeverHealthy | Broken::FailsToConverge => {
                assert_eq!(self.ids(), before, "{context}: {said}")
            }
            Broken::InTheSecondWave => {
                assert_eq!(self.ids().intersection(&before).count(), COUNT - 2, "{context}: {said}");
            }
        }
    }

    /// One deployment that ends so, in which enough was sent and nothing lost.
    fn deploy(&self, code: i32, context: &str, settings: &[&str]) -> String {
        let begun = self.load.moment();
        let settings = settings.iter().flat_map(|setting| ["--set", *setting]);
        let output = run(self.cloud.mayfly(&["deploy", "--yes"]).args(settings));
        let (sent, seconds) = self.load.since(begun);
        let said = text(&output.stderr);
        let (failed, failures) = self.load.failures();
        println!("{} {context}: {sent} requests in {seconds:.1} s, {failed} failed so far", self.balancer);
        assert_eq!(failed, 0, "{context}: {failures:#?}\n{said}");
        assert_eq!(output.status.code(), Some(code), "{context}: {said}");
        #[allow(clippy::cast_precision_loss)]
        let rate = sent as f64 / seconds;
        assert!(rate >= AT_LEAST, "{context}: {sent} requests in {seconds} s");
        said
    }

    fn ids(&self) -> BTreeSet<String> {
        self.cloud.live().into_iter().map(|instance| instance.id).collect()
    }

    /// Six run, and these six answer, with the version that was deployed last.
    fn assert_serves(&self, context: &str) {
        let ids = self.ids();
        assert_eq!(ids.len(), COUNT, "{context}: {:#?}", self.cloud.live());
        let say = |id: &String| format!("Hello from version v{} on web-{id}\n", self.version);
        let expected: BTreeSet<String> = ids.iter().map(say).collect();
        // Who has slow requests in hand gets fewer for a while.
        let mut seen = BTreeSet::new();
        wait::until("each of them answers", Duration::from_secs(30), || {
            seen.append(&mut self.load.next(20 * COUNT as u64));
            assert!(seen.is_subset(&expected), "{context}: {seen:?}, not {expected:?}");
            if seen == expected { Ok(()) } else { Err(seen.clone()) }
        });
    }

    /// Every strategy, broken in every way that it can be.
    fn live_through(mut self) {
        for strategy in STRATEGIES {
            self.broken(strategy, Broken::NeverHealthy);
            self.broken(strategy, Broken::FailsToConverge);
            if strategy.contains("rolling") {
                self.broken(strategy, Broken::InTheSecondWave);
            }
            self.good(strategy);
        }
        let (failed, failures) = self.load.failures();
        assert_eq!(failed, 0, "{failures:#?}");
    }
}

fn write_spec(cloud: &Cloud, balancer: &str, more: &str) {
    let timeouts = "timeouts: {running: 60s, probe: 60s, in_service: 60s}\n";
    let timeouts = if more.contains("timeouts:") { "" } else { timeouts };
    let text = format!(
        "service: greeter\nrole: web\ncount: {COUNT}\nimage: {IMAGE}\n\
         states: {{url: \"{}\", deploy_url: \"{}\"}}\nload_balancer: {balancer}\n\
         probe: {{port: {PORT}, path: /, address: public, interval: 200ms}}\n{timeouts}{more}",
        cloud.repo_url(),
        cloud.deploy_url()
    );
    std::fs::write(cloud.folder.path().join("mayfly.yaml"), text).unwrap();
}

#[test]
fn behind_a_classic_balancer_no_request_is_lost() {
    let create = |cloud: &Cloud| {
        let url = cloud.create_balancer("greeter");
        cloud.drain_members_for("greeter", 20);
        url
    };
    Live::begin("{classic: greeter}", "6s", create).live_through();
}

#[test]
fn behind_a_target_group_no_request_is_lost() {
    let create = |cloud: &Cloud| {
        let url = cloud.create_target_group("greeter", "application");
        cloud.drain_group_for("greeter", 3);
        url
    };
    Live::begin("{target_group: greeter}", "3s", create).live_through();
}
