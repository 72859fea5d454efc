//! What is read from the machine for its grains, once: files below a root, uname, interfaces, the environment.

use std::path::Path;

use super::distribution::Files;
use super::hardware::Hardware;
use super::network::Network;
use super::own;
use super::process::Process;
use super::read::Root;
use super::system::System;
use super::virtualization::Clues;
use crate::value::Map;

/// Raw facts; [`super::collect`] makes grains of them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Facts {
    /// The files that tell the distribution.
    pub distribution: Files,
    /// Kernel, init and their like.
    pub system: System,
    /// Processors, memory, firmware, disks.
    pub hardware: Hardware,
    /// What lies under the machine.
    pub clues: Clues,
    /// Interfaces, names, resolver.
    pub network: Network,
    /// User, environment, language.
    pub process: Process,
    /// The machine's static grains.
    pub own: Map,
    /// What could not be used of what was read, a line each: to be told, never a reason not to converge.
    pub complaints: Vec<String>,
}

impl Facts {
    /// Reads the machine, with its files below `root` (`/`). What cannot be read is left empty: a grain is a help, never
    /// a reason not to converge. No process is started and nothing is asked of the network.
    pub fn read(root: &Path) -> Self {
        let root = &Root(root);
        let text = |path: &str| root.text(path).unwrap_or_default();
        let system = System::read(root);
        let own = own::read(root);
        Self {
            distribution: Files {
                os_release: root.first(&["etc/os-release", "usr/lib/os-release"]).unwrap_or_default(),
                lsb_release: text("etc/lsb-release"),
                debian_version: text("etc/debian_version"),
                centos_release: text("etc/centos-release"),
            },
            hardware: Hardware::read(root),
            clues: Clues::read(root),
            network: Network::read(root, rustix::system::uname().nodename().to_string_lossy().as_ref()),
            process: Process::read(root),
            complaints: own.as_ref().err().into_iter().cloned().collect(),
            own: own.unwrap_or_default(),
            system,
        }
    }
}
