//! The data folder: known by a file that says in which format it is, so that nobody's other files are taken for it.

use std::path::Path;

use anyhow::{Context, Result, bail};

const FILE: &str = "format";
const FORMAT: u32 = 1;

/// Makes the folder, or checks that it is one of this program's.
pub fn open(folder: &Path) -> Result<()> {
    let shown = folder.display();
    std::fs::create_dir_all(folder).with_context(|| unusable(folder))?;
    let file = folder.join(FILE);
    match corten_pki::read_if_exists(&file).with_context(|| unusable(folder))? {
        Some(text) => check(&String::from_utf8_lossy(&text), folder),
        None => {
            let mut entries = std::fs::read_dir(folder).with_context(|| unusable(folder))?;
            if let Some(entry) = entries.next() {
                let name = entry.with_context(|| unusable(folder))?.file_name();
                bail!(
                    "folder {shown} is not a Corten data folder: it holds {}; choose an empty folder with --data-dir",
                    name.display()
                );
            }
            corten_pki::write_atomically(&file, format!("{FORMAT}\n").as_bytes(), 0o644)
                .with_context(|| unusable(folder))
        }
    }
}

fn unusable(folder: &Path) -> String {
    format!(
        "the data folder {} cannot be used; make it a folder that this user may read and write, or choose another \
         with --data-dir",
        folder.display()
    )
}

fn check(text: &str, folder: &Path) -> Result<()> {
    let shown = folder.display();
    match text.trim().parse::<u32>() {
        Ok(format) if format <= FORMAT => Ok(()),
        Ok(format) => bail!(
            "data folder {shown} has format {format}, and this version of Corten knows formats up to {FORMAT}; use the version that wrote it, or a newer one"
        ),
        Err(_) => bail!(
            "folder {shown} is not a Corten data folder: its file {FILE} holds no number; choose an empty folder with --data-dir"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::open;

    #[test]
    fn a_folder_is_known_again_and_others_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        open(folder.path()).unwrap();
        open(folder.path()).unwrap();
        std::fs::write(folder.path().join("format"), "99\n").unwrap();
        assert!(open(folder.path()).unwrap_err().to_string().contains("format 99"));
        let foreign = tempfile::tempdir().unwrap();
        std::fs::write(foreign.path().join("letters.txt"), "dear").unwrap();
        assert!(open(foreign.path()).unwrap_err().to_string().contains("letters.txt"));
    }
}
