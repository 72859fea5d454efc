//! Systems Manager's one call: a parameter's value.

use super::{Aws, failed, incomplete};
use crate::cloud::Answer;

impl Aws {
    pub(super) async fn get_parameter(&self, name: &str) -> Answer<String> {
        const ACTION: &str = "GetParameter";
        let answer =
            self.ssm.get_parameter().name(name).send().await.map_err(|error| failed(ACTION, &error))?;
        let value = answer.parameter().and_then(|parameter| parameter.value());
        value.map(str::to_owned).ok_or_else(|| incomplete(ACTION, "the parameter's value"))
    }
}
