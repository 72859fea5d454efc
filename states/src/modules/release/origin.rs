//! Where an artefact comes from: an address with the version in it, a build of Jenkins, a release or a build of GitHub.

use serde_json::Value as Json;

use crate::engine::step::{Call, Failure};
use crate::host::Request;
use crate::modules::args::Args;
use crate::modules::file::source::look_up;
use crate::modules::http::basic;
use crate::python::urls::quote;
use crate::redact;

use super::store::is_version;

/// An answer of an API is no longer than this.
const LIMIT: u64 = 8 << 20;
/// And takes no longer than this.
const TIMEOUT: std::time::Duration = std::time::Duration::from_secs(60);
const GITHUB: &str = "https://api.github.com";
const STANDS_FOR: &str = "{version}";

/// Who keeps the artefact.
#[derive(Clone)]
pub(crate) enum Origin {
    /// An address or path, with `{version}` in it.
    Source(String),
    /// The address of a job, and which of the files of a build.
    Jenkins { job: String, artifact: String },
    /// A file of a release.
    Release { repository: String, asset: String },
    /// A file that a workflow has left behind, as a zip archive.
    Workflow { repository: String, workflow: String, artifact: String },
}

impl Origin {
    /// Where it is asked for.
    fn address(&self) -> &str {
        match self {
            Self::Source(url) | Self::Jenkins { job: url, .. } => url,
            Self::Release { repository, .. } | Self::Workflow { repository, .. } => repository,
        }
    }
}

/// Whether others may read and change what is said on the way: plain HTTP, but not within this machine.
pub(crate) fn is_open(url: &str) -> bool {
    let Some(rest) = url.strip_prefix("http://") else { return false };
    let authority = rest.split(['/', '\\', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    let host = match host.strip_prefix('[') {
        Some(inner) => inner.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    let is_near = host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
    host != "localhost" && !is_near
}

/// The declaration of where from.
#[derive(Clone)]
pub(crate) struct From {
    pub(crate) origin: Origin,
    /// As asked for; `None`: the last one that there is.
    pub(crate) version: Option<String>,
    authorization: Option<String>,
}

/// One artefact of one version.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Artefact {
    pub(crate) version: String,
    pub(crate) url: String,
    /// What its file is called.
    pub(crate) file: String,
    /// What whoever keeps it says of it.
    pub(crate) digest: Option<String>,
}

impl From {
    pub(crate) fn read(args: &Args<'_>, call: &Call<'_>) -> Result<Self, Failure> {
        let version = args.text("version")?.filter(|version| !version.is_empty());
        let authorization = authorization(args, call)?;
        let need = |key: &str, of: &str| -> Result<String, Failure> {
            args.text(key)?.ok_or_else(|| Failure::declaration(format!("`{key}` is needed with `{of}`")))
        };
        let origin = match (args.text("source")?, args.text("jenkins")?, args.text("github")?) {
            (Some(source), None, None) => Origin::Source(source),
            (None, Some(job), None) => Origin::Jenkins {
                job: job.trim_end_matches('/').to_owned(),
                artifact: need("artifact", "jenkins")?,
            },
            (None, None, Some(name)) => {
                let repository = repository(&name, args)?;
                match args.text("workflow")? {
                    Some(workflow) => {
                        let artifact = need("artifact", "workflow")?;
                        Origin::Workflow { repository, workflow, artifact }
                    }
                    None => Origin::Release { repository, asset: need("asset", "github")? },
                }
            }
            _ => {
                return Err(Failure::declaration(
                    "one of source, jenkins, github must say where it comes from",
                ));
            }
        };
        let last = ["latest", "lastSuccessfulBuild"];
        if authorization.is_some() && is_open(origin.address()) {
            return Err(Failure::declaration(
                "a token is not sent over plain http, where it can be read on the way; https is needed",
            ));
        }
        let version = version.filter(|version| !last.contains(&version.as_str()));
        match (&origin, &version) {
            (Origin::Source(_), None) => Err(Failure::declaration(
                "a `source` needs a `version`: only Jenkins and GitHub know which is the last",
            )),
            (_, Some(version)) if !is_version(version) => Err(Failure::declaration(format!(
                "`version: {version}` cannot be the name of a directory: letters, digits and ._+-~ only"
            ))),
            _ => Ok(Self { origin, version, authorization }),
        }
    }

    /// Headers for whoever keeps it.
    pub(crate) fn headers(&self) -> Vec<(String, String)> {
        let mut headers: Vec<_> =
            self.authorization.iter().map(|a| ("Authorization".to_owned(), a.clone())).collect();
        if matches!(self.origin, Origin::Release { .. }) {
            headers.push(("Accept".to_owned(), "application/octet-stream".to_owned()));
        }
        headers
    }

    /// Which artefact that is.
    pub(crate) fn find(&self, call: &Call<'_>) -> Result<Artefact, Failure> {
        match &self.origin {
            Origin::Source(source) => Ok(self.of_source(source)),
            Origin::Jenkins { job, artifact } => self.of_jenkins(job, artifact, call),
            Origin::Release { repository, asset } => self.of_release(repository, asset, call),
            Origin::Workflow { repository, workflow, artifact } => {
                self.of_workflow(repository, workflow, artifact, call)
            }
        }
    }

    fn of_source(&self, source: &str) -> Artefact {
        let version = self.version.clone().unwrap_or_default();
        let url = source.replace(STANDS_FOR, &version);
        let path = if url.contains("://") { crate::modules::file::remote::path_of(&url) } else { &url };
        let file = path.rsplit('/').next().unwrap_or_default().to_owned();
        Artefact { version, url, file, digest: None }
    }

    fn of_jenkins(&self, job: &str, artifact: &str, call: &Call<'_>) -> Result<Artefact, Failure> {
        let build = self.version.as_deref().unwrap_or("lastSuccessfulBuild");
        let tree = "tree=number,result,artifacts[fileName,relativePath],fingerprint[fileName,hash]";
        let answer = self.ask(&format!("{job}/{build}/api/json?{tree}"), call)?;
        let shown = redact::url(job);
        let number = answer["number"].as_u64().map(|n| n.to_string());
        let number = number
            .ok_or_else(|| Failure::machine(format!("{shown} tells no number of its build {build}")))?;
        match answer["result"].as_str() {
            Some("SUCCESS") => {}
            Some(other) => {
                return Err(Failure::machine(format!("build {number} of {shown} is {other}, no success")));
            }
            None => return Err(Failure::machine(format!("build {number} of {shown} has not ended"))),
        }
        let wanted = artifact.replace(STANDS_FOR, &number);
        let fits =
            |entry: &Json| entry["fileName"] == wanted.as_str() || entry["relativePath"] == wanted.as_str();
        let found =
            one(&answer["artifacts"], fits, "fileName", &wanted, &format!("build {number} of {shown}"))?;
        let path = found["relativePath"].as_str().unwrap_or(&wanted);
        let file = path.rsplit('/').next().unwrap_or_default().to_owned();
        let printed = answer["fingerprint"].as_array().into_iter().flatten();
        let digest =
            printed.filter(|print| print["fileName"] == file.as_str()).find_map(|p| p["hash"].as_str());
        Ok(Artefact {
            url: format!("{job}/{number}/artifact/{}", quote(path, "/")),
            digest: digest.map(str::to_owned),
            version: number,
            file,
        })
    }

    fn of_release(&self, repository: &str, asset: &str, call: &Call<'_>) -> Result<Artefact, Failure> {
        let which = match &self.version {
            Some(tag) => format!("tags/{}", quote(tag, "")),
            None => "latest".to_owned(),
        };
        let answer = self.ask(&format!("{repository}/releases/{which}"), call)?;
        let shown = redact::url(repository);
        let tag = answer["tag_name"].as_str().unwrap_or_default().to_owned();
        if !is_version(&tag) {
            return Err(Failure::machine(format!(
                "the tag {tag:?} of {shown} cannot be the name of a directory"
            )));
        }
        let wanted = asset.replace(STANDS_FOR, &tag);
        let bare = asset.replace(STANDS_FOR, tag.trim_start_matches('v'));
        let fits = |entry: &Json| entry["name"] == wanted.as_str() || entry["name"] == bare.as_str();
        let found = one(&answer["assets"], fits, "name", &wanted, &format!("release {tag} of {shown}"))?;
        let id = number(found, "id", &shown)?;
        Ok(Artefact {
            url: format!("{repository}/releases/assets/{id}"),
            file: found["name"].as_str().unwrap_or_default().to_owned(),
            digest: digest(found),
            version: tag,
        })
    }

    fn of_workflow(
        &self,
        repository: &str,
        workflow: &str,
        artifact: &str,
        call: &Call<'_>,
    ) -> Result<Artefact, Failure> {
        let shown = redact::url(repository);
        let workflow = quote(workflow, "");
        let runs = self.ask(
            &format!("{repository}/actions/workflows/{workflow}/runs?status=success&per_page=100"),
            call,
        )?;
        let asked = self.version.as_deref();
        let fits = |run: &&Json| {
            asked.is_none_or(|n| run["run_number"].as_u64().is_some_and(|m| m.to_string() == n))
        };
        let run = runs["workflow_runs"].as_array().into_iter().flatten().find(fits).ok_or_else(|| {
            let which = asked.map_or("no build".to_owned(), |n| format!("no build {n} among its last 100"));
            Failure::machine(format!("{which} of {workflow} of {shown} is a success"))
        })?;
        let (id, version) = (number(run, "id", &shown)?, number(run, "run_number", &shown)?.to_string());
        let files = self.ask(&format!("{repository}/actions/runs/{id}/artifacts?per_page=100"), call)?;
        let wanted = artifact.replace(STANDS_FOR, &version);
        let fits = |entry: &Json| entry["name"] == wanted.as_str() && entry["expired"] != true;
        let found = one(&files["artifacts"], fits, "name", &wanted, &format!("build {version} of {shown}"))?;
        let file = number(found, "id", &shown)?;
        Ok(Artefact {
            url: format!("{repository}/actions/artifacts/{file}/zip"),
            file: format!("{wanted}.zip"),
            digest: digest(found),
            version,
        })
    }

    fn ask(&self, url: &str, call: &Call<'_>) -> Result<Json, Failure> {
        let mut request = Request { limit: LIMIT, timeout: TIMEOUT, ..Request::get(url) };
        request = request.header("Accept", "application/json");
        if let Some(authorization) = &self.authorization {
            request = request.header("Authorization", authorization);
        }
        let mut body = Vec::new();
        let failed = |why: String| Failure::machine(format!("cannot ask {}: {why}", redact::url(url)));
        call.context.host.network().fetch(&request, &mut body).map_err(|e| failed(e.to_string()))?;
        serde_json::from_slice(&body).map_err(|_| failed("the answer is no JSON".to_owned()))
    }
}

/// The address of a repository in GitHub's API.
fn repository(name: &str, args: &Args<'_>) -> Result<String, Failure> {
    let base = args.text("github_url")?.unwrap_or_else(|| GITHUB.to_owned());
    let part = |part: &str| {
        !part.is_empty()
            && !part.starts_with('.')
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
    };
    match name.split_once('/') {
        Some((owner, repository)) if part(owner) && part(repository) => {
            Ok(format!("{}/repos/{name}", base.trim_end_matches('/')))
        }
        _ => Err(Failure::declaration(format!("`github: {name}` must be owner/repository"))),
    }
}

/// Who asks: a user with a password or token, or a token alone. `token_pillar` keeps it out of rendered states.
fn authorization(args: &Args<'_>, call: &Call<'_>) -> Result<Option<String>, Failure> {
    let token = match (args.text("token")?, args.text("token_pillar")?) {
        (Some(_), Some(_)) => {
            return Err(Failure::declaration("only one of token, token_pillar can be given"));
        }
        (None, Some(path)) => {
            let found = look_up(&path, ":", "token_pillar", "pillar", &call.low.pillar)?;
            Some(crate::modules::args::scalar(found).ok_or_else(|| {
                Failure::declaration(format!("token_pillar: what the pillar has at `{path}` is no text"))
            })?)
        }
        (token, None) => token,
    };
    Ok(match (args.text("username")?, token) {
        (Some(user), Some(token)) => Some(basic(&user, &token)),
        (None, Some(token)) => Some(format!("Bearer {token}")),
        (Some(_), None) => return Err(Failure::declaration("`username` needs `token` or `token_pillar`")),
        (None, None) => None,
    })
}

/// The only entry that fits; else what there is.
fn one<'a>(
    entries: &'a Json,
    fits: impl Fn(&Json) -> bool,
    name: &str,
    wanted: &str,
    of: &str,
) -> Result<&'a Json, Failure> {
    let all: Vec<&Json> = entries.as_array().into_iter().flatten().collect();
    let found: Vec<&&Json> = all.iter().filter(|entry| fits(entry)).collect();
    match found.as_slice() {
        [one] => Ok(one),
        [] => {
            let names: Vec<&str> = all.iter().filter_map(|entry| entry[name].as_str()).take(20).collect();
            Err(Failure::machine(format!("{of} has no file {wanted}; it has: {}", names.join(", "))))
        }
        _ => Err(Failure::machine(format!("{of} has several files {wanted}"))),
    }
}

fn number(entry: &Json, key: &str, of: &str) -> Result<u64, Failure> {
    entry[key].as_u64().ok_or_else(|| Failure::machine(format!("{of} tells no `{key}`")))
}

/// GitHub writes `sha256:hex`.
fn digest(entry: &Json) -> Option<String> {
    entry["digest"].as_str().map(|digest| digest.replacen(':', "=", 1))
}
