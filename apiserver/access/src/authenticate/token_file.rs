//! `--token-auth-file`: lines of `token,user,uid,"group1,group2"`, read once at start.

mod csv;

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::Authenticated;
use crate::user::{Info, User};

pub use csv::CsvError;

#[derive(Debug)]
pub struct TokenFile(HashMap<String, User>);

#[derive(Debug, thiserror::Error)]
pub enum TokenFileError {
    #[error("open the token file {}", .path.display())]
    Open { path: PathBuf, source: std::io::Error },
    #[error(transparent)]
    Csv(#[from] CsvError),
    #[error("token file '{}' must have at least 3 columns (token, user name, user uid), found {found}", .path.display())]
    Columns { path: PathBuf, found: usize },
}

impl TokenFile {
    pub fn read(path: &Path) -> Result<TokenFile, TokenFileError> {
        let text = std::fs::read(path).map_err(|source| TokenFileError::Open { path: path.to_owned(), source })?;
        TokenFile::parse(&String::from_utf8_lossy(&text), path)
    }

    /// The path is for messages. Of lines with the same token the last counts.
    pub fn parse(text: &str, path: &Path) -> Result<TokenFile, TokenFileError> {
        let mut tokens = HashMap::new();
        for (number, record) in csv::Records::new(text).enumerate() {
            let record = record?;
            let [token, name, uid, rest @ ..] = record.as_slice() else {
                return Err(TokenFileError::Columns { path: path.to_owned(), found: record.len() });
            };
            let (file, record) = (path.display(), number + 1);
            if token.is_empty() {
                tracing::warn!("empty token has been found in token file '{file}', record number '{record}'");
                continue;
            }
            let groups = rest.first().map_or_else(Vec::new, |groups| groups.split(',').map(str::to_owned).collect());
            let user = Info { name: name.clone(), uid: uid.clone(), groups, ..Info::default() };
            if tokens.insert(token.clone(), user.into()).is_some() {
                tracing::warn!("duplicate token has been found in token file '{file}', record number '{record}'");
            }
        }
        Ok(TokenFile(tokens))
    }

    pub(super) fn find(&self, token: &str) -> Option<Authenticated> {
        self.0.get(token).cloned().map(Authenticated::new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines() {
        type Line = (&'static str, &'static str, &'static str, &'static [&'static str]);
        let check = |text: &str, expected: Result<&[Line], &str>| {
            let file = TokenFile::parse(text, Path::new("/tokens.csv"));
            let error = file.as_ref().err().map(ToString::to_string);
            assert_eq!(error.as_deref(), expected.err(), "{text:?}");
            let (Ok(file), Ok(expected)) = (file, expected) else { return };
            assert_eq!(file.0.len(), expected.len(), "{text:?}");
            for (token, name, uid, groups) in expected {
                let user = file.find(token).unwrap().user;
                assert_eq!((user.name.as_str(), user.uid.as_str()), (*name, *uid), "{text:?}");
                assert_eq!(user.groups, *groups, "{text:?}");
            }
        };
        check("", Ok(&[]));
        check("t,n,u", Ok(&[("t", "n", "u", &[])]));
        check(
            "t,n,u,g\r\nt2,n2,u2,\"g1,g2\",more\n",
            Ok(&[("t", "n", "u", &["g"]), ("t2", "n2", "u2", &["g1", "g2"])]),
        );
        check("t,n,u,\n", Ok(&[("t", "n", "u", &[""])]));
        check("\n,n,u\n\nt,n,u\nt,m,v\n", Ok(&[("t", "m", "v", &[])]));
        check("t,\"n\"\"x\ny\",u", Ok(&[("t", "n\"x\ny", "u", &[])]));
        let columns = "token file '/tokens.csv' must have at least 3 columns (token, user name, user uid), found";
        check("t", Err(&format!("{columns} 1")));
        check("t,n,u\nt,n", Err(&format!("{columns} 2")));
        check("t,n\"x,u", Err(r#"parse error on line 1, column 4: bare " in non-quoted field"#));
        check("t,n,u\nt,\"n\"x,u", Err(r#"parse error on line 2, column 5: extraneous or missing " in quoted-field"#));
        check(
            "t,\"n\nx",
            Err(r#"record on line 1; parse error on line 2, column 2: extraneous or missing " in quoted-field"#),
        );
    }
}
