//! The functions of the deployed binary and those of `template.yaml` are the same: checked when the stack starts.

use billing_bundle::{ALL, named};

use crate::template::Template;

/// A function that only one of the two lists names.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Drift {
    /// It would be deployed, and is not here.
    #[error("{0} is in template.yaml but not in the binary (bundle/src/lib.rs)")]
    NotHere(String),
    /// It is here, and would not be deployed.
    #[error("{0} is in the binary but not in template.yaml")]
    NotDeployed(String),
}

/// Refuses a template that names other functions than the binary has.
pub fn agree_with(template: &Template) -> Result<(), Drift> {
    if let Some(function) = template.functions.iter().find(|it| named(&it.name).is_none()) {
        return Err(Drift::NotHere(function.name.clone()));
    }
    let deployed = |name: &str| template.functions.iter().any(|it| it.name == name);
    match ALL.iter().find(|it| !deployed(it.name)) {
        Some(function) => Err(Drift::NotDeployed(function.name.to_owned())),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_template_and_the_list_name_the_same_functions() {
        let template = Template::project().unwrap();
        agree_with(&template).unwrap();

        let mut fewer = template.clone();
        let gone = fewer.functions.remove(0).name;
        assert_eq!(agree_with(&fewer), Err(Drift::NotDeployed(gone)));

        let mut more = template;
        more.functions[0].name = "send-invoices".into();
        assert_eq!(agree_with(&more), Err(Drift::NotHere("send-invoices".into())));
    }
}
