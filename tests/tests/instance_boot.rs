//! What an instance does with a bad tree, bad user-data, or no git host: said on its console and at `/ready`.
#![allow(clippy::disallowed_methods, clippy::panic, clippy::unwrap_used)]

use mayfly_tests::sandbox::{Cloud, user_data};

fn boot(cloud: &Cloud, user_data: &str) -> String {
    cloud.run_instance(&cloud.bare_image(), user_data)
}

#[test]
fn a_broken_tree_is_told_with_file_line_and_column() {
    let cloud = Cloud::start();
    let rows = [
        ("greeter/init.sls", "a:\n\tfile.managed:\n    - name: /etc/a\n", "greeter/init.sls:2"),
        ("greeter/init.sls", "a:\n  file.managd:\n    - name: /etc/a\n", "greeter/init.sls:1"),
        ("greeter/init.sls", "{% if true %}\na:\n  test.nop: []\n", "greeter/init.sls"),
        ("top.sls", "base:\n  '*':\n    - greeter\n   - worker\n", "top.sls:4"),
    ];
    for (file, text, place) in rows {
        cloud.repo.write(file, text);
        cloud.repo.push("break it");
        let id = boot(&cloud, &user_data(&cloud, ""));
        let console = cloud.until_console(&id, "mayfly: failed");
        assert!(console.contains(place), "{place} is not on the console:\n{console}");
        assert!(!console.contains("mayfly: ready"), "{console}");
        let ready = cloud.until_ready_says(&id, 503);
        assert!(ready.contains(place), "{place} is not in /ready: {ready}");
        cloud.terminate(&id);
    }
}

#[test]
fn a_tree_that_is_mended_heals_the_instance() {
    let cloud = Cloud::start();
    cloud.repo.edit("top.sls", "    - greeter\n", "    - greter\n");
    cloud.repo.push("a typo");
    let id = boot(&cloud, &user_data(&cloud, ""));
    assert!(cloud.until_console(&id, "mayfly: failed").contains("greter"));
    cloud.repo.edit("top.sls", "    - greter\n", "    - greeter\n");
    cloud.repo.push("mended");
    cloud.until_ready_says(&id, 200);
}

#[test]
fn bad_user_data_is_told_with_line_and_column() {
    let cloud = Cloud::start();
    let rows = [
        ("#mayfly\nrole: web\nstates: {url: 'http://x/y.git'}\nrolle: web\n", "4:1", "role"),
        ("#mayfly\nrole: web\nstates:\n  ulr: 'http://x/y.git'\n", "4:3", "url"),
        ("#mayfly\nrole: [web\n", "2:7", "expected"),
        ("#mayfly\nrole: ../../etc\nstates: {url: 'http://x/y.git'}\n", "2:7", "role"),
    ];
    for (text, place, word) in rows {
        let id = boot(&cloud, text);
        let console = cloud.until_console(&id, "mayfly: failed");
        assert!(console.contains(place) && console.contains(word), "{text}\n{console}");
        cloud.terminate(&id);
    }
}

#[test]
fn without_its_git_host_a_first_boot_keeps_trying_and_says_so() {
    let cloud = Cloud::start();
    let nowhere = user_data(&cloud, "").replace("/states.git", "/nowhere.git");
    let id = boot(&cloud, &nowhere);
    let console = cloud.until_console(&id, "again");
    assert!(console.contains("nowhere.git"), "{console}");
    assert!(cloud.until_ready_says(&id, 503).contains("nowhere.git"));
}
