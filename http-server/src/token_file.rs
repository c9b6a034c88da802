//! Users of a file, as Kubernetes' static token file has them: in each line `token,user,uid` and, if it belongs to some,
//! `"group1,group2"`.

use std::{collections::HashMap, fs, io, path::Path, sync::Arc};

use crate::{
    User,
    users::{Holder, TokenDigest, digest},
};

/// The largest file, in bytes.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// Why a token file is not read.
#[derive(Debug, thiserror::Error)]
pub enum TokenFileError {
    /// The file could not be read.
    #[error("--token-auth-file: {path} cannot be read: {source}")]
    Unreadable {
        /// Which file.
        path: String,
        /// What the system said.
        source: io::Error,
    },
    /// It is not for this server's user alone.
    #[error("--token-auth-file: others may read {path}, in which tokens are: run `chmod 600 {path}`")]
    Open {
        /// Which file.
        path: String,
    },
    /// A line is none of a user.
    #[error(
        "--token-auth-file: {path}, line {line}: {why}; write `token,user,uid` or `token,user,uid,\"group1,group2\"`"
    )]
    Line {
        /// Which file.
        path: String,
        /// Which line, from 1.
        line: usize,
        /// What is wrong.
        why: String,
    },
}

/// Whose the tokens of a file are.
pub fn read_token_file(file: &Path) -> Result<HashMap<TokenDigest, Holder>, TokenFileError> {
    let path = file.display().to_string();
    let unreadable = |source| TokenFileError::Unreadable { path: path.clone(), source };
    let metadata = fs::metadata(file).map_err(unreadable)?;
    #[cfg(unix)]
    if std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o077 != 0 {
        return Err(TokenFileError::Open { path });
    }
    if !metadata.is_file() || metadata.len() > MAX_FILE_BYTES {
        let why = format!("it is no file of at most {MAX_FILE_BYTES} bytes");
        return Err(unreadable(io::Error::new(io::ErrorKind::InvalidInput, why)));
    }
    parse(&fs::read_to_string(file).map_err(unreadable)?).map_err(|(line, why)| TokenFileError::Line {
        path,
        line,
        why,
    })
}

/// What a file says, or which line is wrong in what.
fn parse(text: &str) -> Result<HashMap<TokenDigest, Holder>, (usize, String)> {
    let mut all = HashMap::new();
    for (at, line) in text.lines().enumerate() {
        let wrong = |why: &str| (at + 1, why.to_owned());
        if line.trim().is_empty() || line.trim_start().starts_with('#') {
            continue;
        }
        let fields = fields(line).ok_or_else(|| wrong("a quote is not closed"))?;
        let (token, name, uid, groups) = match fields.as_slice() {
            [token, name, uid] => (token, name, uid, ""),
            [token, name, uid, groups] => (token, name, uid, groups.as_str()),
            other => return Err(wrong(&format!("it has {} fields", other.len()))),
        };
        if token.is_empty() || name.is_empty() {
            return Err(wrong("the token and the user may not be empty"));
        }
        let groups = groups.split(',').map(str::trim).filter(|group| !group.is_empty());
        let user = User { uid: uid.clone(), ..User::authenticated(name.as_str(), groups) };
        if all.insert(digest(token), Holder { user: Arc::new(user), until: None }).is_some() {
            return Err(wrong("its token is in a line before as well"));
        }
    }
    Ok(all)
}

/// The fields of a line of CSV (RFC 4180), of which no field goes on in the next line.
fn fields(line: &str) -> Option<Vec<String>> {
    let (mut fields, mut field, mut quoted) = (Vec::new(), String::new(), false);
    let mut letters = line.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '"' if quoted && letters.peek() == Some(&'"') => {
                letters.next();
                field.push('"');
            }
            '"' => quoted = !quoted,
            ',' if !quoted => fields.push(std::mem::take(&mut field).trim().to_owned()),
            other => field.push(other),
        }
    }
    fields.push(field.trim().to_owned());
    (!quoted).then_some(fields)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn each_line_is_a_user_with_its_groups() {
        let all = parse("# who\n\nabc,ann,1\n def , bob , 2 ,\"shop,\"\"night\"\" team\"\n").unwrap();
        assert_eq!(all.len(), 2);
        assert_eq!(all[&digest("abc")].user.groups, ["system:authenticated"]);
        let bob = &all[&digest("def")].user;
        assert_eq!((bob.name.as_str(), bob.uid.as_str()), ("bob", "2"));
        assert_eq!(bob.groups, ["shop", "\"night\" team", "system:authenticated"]);
    }

    #[test]
    fn a_line_that_is_wrong_is_named_with_what_to_write() {
        for (text, line, why) in [
            ("a,b,c\nabc,ann\n", 2, "it has 2 fields"),
            ("a,b,c,\"d", 1, "a quote is not closed"),
            (",ann,1", 1, "may not be empty"),
            ("a,b,1\na,c,2", 2, "in a line before"),
        ] {
            let (at, said) = parse(text).unwrap_err();
            assert!(at == line && said.contains(why), "{text}: {at} {said}");
        }
    }

    #[test]
    fn a_file_that_others_may_read_is_refused_with_the_command_that_mends_it() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("tokens.csv");
        fs::write(&file, "abc,ann,1\n").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        let error = read_token_file(&file).unwrap_err().to_string();
        assert!(error.contains("chmod 600"), "{error}");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(read_token_file(&file).unwrap().len(), 1);
    }
}
