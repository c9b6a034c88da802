//! Which objects a user means, as kubectl takes them: `KIND`, `KIND NAME...` or `KIND/NAME...`.

use anyhow::bail;

/// A kind, or several joined by commas, and the names of objects of it; without names, all of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Targets {
    pub(crate) kinds: String,
    pub(crate) names: Vec<String>,
}

/// Reads what a user wrote, in its order. Fails where `KIND/NAME` and words of another form are mixed.
pub(crate) fn targets(words: &[String]) -> anyhow::Result<Vec<Targets>> {
    if !words.iter().any(|word| word.contains('/')) {
        return Ok(words.split_first().map(|(kinds, names)| of(kinds, names.to_vec())).into_iter().collect());
    }
    let mut all: Vec<Targets> = Vec::new();
    for word in words {
        let Some((kind, name)) = word.split_once('/').filter(|(kind, name)| !kind.is_empty() && !name.is_empty())
        else {
            bail!("`{word}` is no KIND/NAME: write each so, or KIND NAME...");
        };
        match all.last_mut().filter(|last| last.kinds == kind) {
            Some(last) => last.names.push(name.to_owned()),
            None => all.push(of(kind, vec![name.to_owned()])),
        }
    }
    Ok(all)
}

fn of(kinds: &str, names: Vec<String>) -> Targets {
    Targets { kinds: kinds.to_owned(), names }
}

/// Checks what a user wrote as `kind/name` or as two words.
pub(crate) fn split_target(words: &[String]) -> anyhow::Result<(String, Option<String>)> {
    match words {
        [one] => Ok(match one.split_once('/') {
            Some((kind, name)) => (kind.to_owned(), Some(name.to_owned())),
            None => (one.clone(), None),
        }),
        [kind, name] if !kind.contains('/') => Ok((kind.clone(), Some(name.clone()))),
        _ => bail!("expected KIND NAME or KIND/NAME, not `{}`", words.join(" ")),
    }
}

/// What to write instead of a name whose kind was left out, or of a kind whose name was, where Deployments are meant.
pub(crate) fn say_which(word: &str) -> String {
    let is_kind = ["deployment", "deployments", "deploy", "replicaset", "replicasets", "rs"].contains(&word);
    if is_kind { format!("say which: {word}/NAME") } else { format!("say what `{word}` is: write deployment/{word}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(words: &[&str]) -> anyhow::Result<Vec<(String, Vec<String>)>> {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        Ok(targets(&words)?.into_iter().map(|it| (it.kinds, it.names)).collect())
    }

    fn some(kinds: &str, names: &[&str]) -> (String, Vec<String>) {
        (kinds.to_owned(), names.iter().map(|name| (*name).to_owned()).collect())
    }

    #[test]
    fn a_kind_is_followed_by_names_or_each_name_has_its_kind() {
        assert_eq!(read(&["pods,svc"]).unwrap(), [some("pods,svc", &[])]);
        assert_eq!(read(&["pods", "a", "b"]).unwrap(), [some("pods", &["a", "b"])]);
        let several = read(&["pod/a", "pod/b", "svc/c", "pod/d"]).unwrap();
        assert_eq!(several, [some("pod", &["a", "b"]), some("svc", &["c"]), some("pod", &["d"])]);
    }

    #[test]
    fn what_mixes_the_two_is_refused_with_the_word() {
        for (words, wrong) in [(&["pods", "pod/a"][..], "`pods`"), (&["pod/a", "b"], "`b`"), (&["pod/"], "`pod/`")] {
            assert!(read(words).unwrap_err().to_string().starts_with(wrong), "{words:?}");
        }
    }

    #[test]
    fn a_name_alone_is_told_from_a_kind_alone() {
        assert_eq!(say_which("hello"), "say what `hello` is: write deployment/hello");
        assert_eq!(say_which("deploy"), "say which: deploy/NAME");
    }
}
