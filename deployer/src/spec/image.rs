//! The keys `image` (an id, or the one way out of several to find one) and `boot`.

use super::ImageRef;
use super::node::Value;
use super::table::{Read, Table};
use mayfly_ami::stock::{Boot, Signed, Then};

pub(super) fn read(top: &Table<'_>) -> Read<ImageRef> {
    let node = top.get("image").ok_or_else(|| top.missing("image"))?;
    if let Value::Text(id) = &node.value {
        if id.starts_with("ami-") {
            return Ok(ImageRef::Id(id.clone()));
        }
        let why = format!("`{id}` is no AMI id; for a name write `{{name: \"{id}\", owner: self}}`");
        return Err(top.value("image", why));
    }
    let table = top.section("image")?.ok_or_else(|| top.missing("image"))?;
    let (name, ssm, baked) = (table.text("name")?, table.text("ssm")?, table.text("baked")?);
    let owner = table.text("owner")?;
    if owner.is_some() && name.is_none() {
        return Err(table.value("owner", "`owner` goes with `name`"));
    }
    match (name, ssm, baked) {
        (Some(name), None, None) => {
            Ok(ImageRef::Newest { name, owner: owner.unwrap_or_else(|| "self".to_owned()) })
        }
        (None, Some(name), None) => parameter(&table, name),
        (None, None, Some(role)) => Ok(ImageRef::Baked(role)),
        (None, None, None) => Err(table.missing("name")),
        _ => Err(top.value("image", "give one of `name`, `ssm` and `baked`")),
    }
}

/// What is wrong with it is said here, and not when user-data is made of it.
pub(super) fn boot(top: &Table<'_>) -> Read<Option<Boot>> {
    if top.is_word("boot", "none") {
        return Ok(None);
    }
    let Some(table) = top.section("boot")? else { return Ok(None) };
    let url = table.text("url")?.ok_or_else(|| table.missing("url"))?;
    let sha256 = table.text("sha256")?.ok_or_else(|| table.missing("sha256"))?.to_ascii_lowercase();
    let signature = table.text("signature")?;
    if signature.is_some() && table.get("public_key").is_none() {
        return Err(table.value("signature", "`signature` goes with `public_key`"));
    }
    let signed = table
        .text("public_key")?
        .map(|key| Signed { url: signature.unwrap_or_else(|| format!("{url}.sig")), key });
    let boot = Boot { url, sha256, signed };
    match boot.script(Then::Run) {
        Ok(_) => Ok(Some(boot)),
        Err(why) => Err(top.value("boot", why.to_string())),
    }
}

fn parameter(table: &Table<'_>, name: String) -> Read<ImageRef> {
    if name.is_empty() || name.chars().any(|c| !c.is_ascii_alphanumeric() && !"/._-:".contains(c)) {
        return Err(table.value("ssm", format!("`{name}` is no name of an SSM parameter")));
    }
    Ok(ImageRef::Parameter(name))
}

#[cfg(test)]
mod tests {
    use crate::spec::Spec;

    fn spec(boot: &str) -> Result<Spec, String> {
        let text = format!(
            "service: web\nimage: ami-1\nprobe: none\nstates: {{url: \"https://x/y.git\"}}\n{boot}environments:\n  staging: {{boot: none}}\n"
        );
        let read = |environment: &str| {
            Spec::parse(&text, "mayfly.yaml", environment, &[]).map_err(|error| error.to_string())
        };
        assert!(read("staging").is_err() || read("staging")?.boot.is_none());
        read("production")
    }

    #[test]
    fn boot_is_read_and_what_could_not_stand_in_a_script_is_refused() {
        let sum = "AB".repeat(32);
        let key = "public_key: ssh-ed25519 AAAAC3";
        let good = spec(&format!("boot: {{url: \"https://x/boot\", sha256: {sum}, {key}}}\n"));
        let boot = good.expect("a spec").boot.expect("boot");
        assert_eq!(boot.sha256, "ab".repeat(32));
        assert_eq!(boot.signed.map(|signed| signed.url), Some("https://x/boot.sig".to_owned()));
        assert_eq!(spec("").expect("a spec").boot, None);
        for (boot, words) in [
            ("boot: {url: \"https://x/boot\", sha256: \"12\"}", "no SHA-256"),
            ("boot: {sha256: \"12\"}", "url"),
            ("boot: {url: \"https://x/'boot\", sha256: \"12\"}", "no http:// or https:// address"),
            (
                "boot: {url: \"https://x/boot\", sha256: \"12\", signature: \"https://x\"}",
                "goes with `public_key`",
            ),
        ] {
            let error = spec(&format!("{boot}\n")).expect_err(boot);
            assert!(error.contains(words), "{words}: {error}");
        }
    }
}
