//! Which version of a peer was built: its entry in the lock file.

/// Prints the version of `name` for people and for `tools/bench`.
pub(crate) fn print(name: &str, lock: &str) {
    println!("peer\t{name}\t{}", of(name, lock).unwrap_or("unknown"));
}

fn of<'a>(name: &str, lock: &'a str) -> Option<&'a str> {
    let (_, entry) = lock.split_once(&format!("name = \"{name}\"\n"))?;
    entry.strip_prefix("version = \"")?.split('"').next()
}

#[test]
fn the_version_is_that_of_the_lock_file() {
    let lock = "[[package]]\nname = \"statig\"\nversion = \"0.4.1\"\n";
    assert_eq!(of("statig", lock), Some("0.4.1"));
    assert_eq!(of("stat", lock), None);
}
