//! The key `image`: an id, or the one way out of several to find one.

use super::ImageRef;
use super::node::Value;
use super::table::{Read, Table};

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

fn parameter(table: &Table<'_>, name: String) -> Read<ImageRef> {
    if name.is_empty() || name.chars().any(|c| !c.is_ascii_alphanumeric() && !"/._-:".contains(c)) {
        return Err(table.value("ssm", format!("`{name}` is no name of an SSM parameter")));
    }
    Ok(ImageRef::Parameter(name))
}
