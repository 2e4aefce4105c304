//! SQL statements as named constants: one text for both engines.
//!
//! Parameters are `$1`, `$2`, ... and appear for the first time in that order, since SQLite numbers them by appearance. A list of
//! items is one JSON parameter read by `json_each(cast($1 as text))`, so that no statement runs once per item. What differs is
//! declared beside the text: `lock` is a row-locking clause, which SQLite, whose one writer locks everything, does not have. A
//! statement that does nothing but lock is none of both engines: it is declared by `locks!`, with its text for PostgreSQL.

/// One SQL statement.
#[derive(Debug)]
pub struct Statement {
    /// Module and constant that declare it.
    pub name: &'static str,
    /// Its text for SQLite.
    pub sqlite: &'static str,
    /// Its text for PostgreSQL.
    pub postgres: &'static str,
}

/// A statement that only takes locks, which PostgreSQL needs and SQLite does not: its one writer locks everything.
#[derive(Debug)]
pub struct LockStatement {
    /// Module and constant that declare it.
    pub name: &'static str,
    /// Its text.
    pub postgres: &'static str,
}

/// Declares a file's statements that only take locks, and `LOCKS`, the list of them that the tests prepare.
macro_rules! locks {
    ($($(#[$doc:meta])* $name:ident = $sql:literal;)+) => {
        $(
            $(#[$doc])*
            pub(crate) const $name: crate::LockStatement =
                crate::LockStatement { name: concat!(module_path!(), "::", stringify!($name)), postgres: $sql };
        )+
        pub(crate) const LOCKS: &[&crate::LockStatement] = &[$(&$name),+];
    };
}
pub(crate) use locks;

/// Declares a file's statements, and `STATEMENTS`, the list of them that the tests prepare.
macro_rules! statements {
    ($($(#[$doc:meta])* $name:ident = $sql:literal $(lock $lock:literal)?;)+) => {
        $(
            $(#[$doc])*
            pub(crate) const $name: crate::Statement = crate::Statement {
                name: concat!(module_path!(), "::", stringify!($name)),
                sqlite: $sql,
                postgres: concat!($sql $(, "\n", $lock)?),
            };
        )+
        pub(crate) const STATEMENTS: &[&crate::Statement] = &[$(&$name),+];
    };
}
pub(crate) use statements;

#[cfg(test)]
mod tests {
    /// SQLite gives `$2` the second place only if it is the second to appear.
    #[test]
    fn parameters_appear_in_order() {
        for statement in crate::statements() {
            let mut highest = 0;
            for (at, _) in statement.sqlite.match_indices('$') {
                let digits: String = statement.sqlite[at + 1..].chars().take_while(char::is_ascii_digit).collect();
                let number: u32 = digits.parse().unwrap_or_else(|_| panic!("{}: a bare $", statement.name));
                assert!(number <= highest + 1, "{}: ${number} appears before ${}", statement.name, highest + 1);
                highest = highest.max(number);
            }
        }
    }

    #[test]
    fn names_are_unique() {
        let names: std::collections::BTreeSet<_> = crate::statements().map(|statement| statement.name).collect();
        assert_eq!(names.len(), crate::statements().count());
    }
}
