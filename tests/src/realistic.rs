//! A role that takes work, as servers' roles do: packages, accounts, files, commands, and the starter's web service.

use std::path::Path;
use std::process::Command;

use mayfly_ami::stock::Boot;

use crate::programs::{program, run_ok, text};
use crate::repo::Repo;
use crate::sandbox::{Cloud, sum_of, user_data};

const PACKAGES: usize = 8;
const USERS: usize = 12;
const FILES: usize = 150;

/// The starter tree with a role `web` that does more.
pub fn repo(root: &Path, work: &Path) -> Repo {
    let repo = Repo::starter(root, work);
    let files = work.join("server/files");
    std::fs::create_dir_all(&files).expect("a folder");
    (0..PACKAGES).for_each(|n| package(&files, n));
    for n in 0..FILES {
        repo.write(
            &format!("server/files/conf-{n}"),
            &format!("# {{{{ grains['role'] }}}} {n}\n{}", "key = value\n".repeat(40)),
        );
    }
    repo.write("server/init.sls", &states());
    repo.edit(
        "top.sls",
        "  'role:web':\n    - match: grain\n",
        "  'role:web':\n    - match: grain\n    - server\n",
    );
    repo.push("a server's role");
    repo
}

fn states() -> String {
    let mut sls = String::from("packages:\n  pkg.installed:\n    - sources:\n");
    for n in 0..PACKAGES {
        sls += &format!("      - mayfly-sample-{n}: salt://server/files/sample-{n}.deb\n");
    }
    for n in 0..USERS {
        sls += &format!("person-{n}:\n  user.present:\n    - shell: /bin/sh\n    - fullname: Person {n}\n");
    }
    for n in 0..FILES {
        sls += &format!(
            "/etc/server/conf-{n}:\n  file.managed:\n    - source: salt://server/files/conf-{n}\n    - template: jinja\n    - makedirs: True\n    - mode: '0640'\n"
        );
    }
    sls += "/srv/tls/key.pem:\n  cmd.run:\n    - name: mkdir -p /srv/tls && openssl genrsa -out /srv/tls/key.pem 2048\n    - creates: /srv/tls/key.pem\n";
    sls
}

/// A package of a megabyte of text.
fn package(folder: &Path, n: usize) {
    let work = tempfile::tempdir().expect("a folder");
    let (control, data) = (work.path().join("DEBIAN"), work.path().join("usr/share/mayfly-sample"));
    for folder in [&control, &data] {
        std::fs::create_dir_all(folder).expect("a folder");
    }
    let about = format!(
        "Package: mayfly-sample-{n}\nVersion: 1.{n}\nArchitecture: all\nMaintainer: Mayfly <test@mayfly.invalid>\nDescription: a sample\n"
    );
    std::fs::write(control.join("control"), about).expect("a file");
    for part in 0..20 {
        let lines: String =
            (0..1_000).map(|line| format!("{n} {part} {line} a line that is read by nobody\n")).collect();
        std::fs::write(data.join(format!("{n}-{part}")), lines).expect("a file");
    }
    let target = folder.join(format!("sample-{n}.deb"));
    run_ok(
        Command::new("dpkg-deb").args(["--root-owner-group", "-Zgzip", "-b"]).arg(work.path()).arg(target),
    );
}

/// User-data of an instance of a stock image, as a deployment makes it.
pub fn stock_user_data(cloud: &Cloud) -> String {
    let (url, sha256) = (cloud.file_url("mayfly-boot"), sum_of(&program("mayfly-boot")));
    let told = Boot { url, sha256, signed: None }.with_document(&user_data(cloud, ""));
    text(&told.expect("user-data"))
}
