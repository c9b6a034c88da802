use anyhow::anyhow;

use crate::errors::HintExt;

/// Which names are good.
const GOOD_NAMES: &str = "a name begins with a lower-case letter, has only such letters, digits and `-`, and at most 63: such as `my-service`";

/// Checks the name of a new project, which becomes that of its Deployment and Service.
///
/// # Errors
/// It cannot be one.
pub(crate) fn check_name(name: &str) -> anyhow::Result<()> {
    // A Service's name is an RFC 1035 label: no digit comes first.
    if api::check_dns_label(name).is_err() || name.starts_with(|first: char| first.is_ascii_digit()) {
        return Err(anyhow!("`{name}` cannot be the name of a service")).hint(GOOD_NAMES);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_what_a_service_may_be_called() {
        for good in ["hello", "my-service", "a", "a1", &"a".repeat(63)] {
            assert!(check_name(good).is_ok(), "{good}");
        }
        for bad in ["", "Hello", "my_service", "1st", "-a", "a-", "a.b", "grüße", "a b", "..", &"a".repeat(64)] {
            let said = crate::errors::report(&check_name(bad).unwrap_err());
            assert!(said.contains("such as `my-service`"), "{said}");
        }
    }
}
