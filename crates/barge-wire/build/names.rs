//! AWS's names as Rust's.

const KEYWORDS: &[&str] = &[
    "as", "async", "await", "break", "const", "continue", "dyn", "else", "enum", "extern", "false", "fn", "for", "gen",
    "if", "impl", "in", "let", "loop", "match", "mod", "move", "mut", "pub", "ref", "return", "static", "struct",
    "trait", "true", "type", "unsafe", "use", "where", "while",
];

/// `jobName` → `job_name`, `DBTableName` → `db_table_name`; a keyword becomes a raw identifier.
pub(crate) fn snake(name: &str) -> String {
    let chars: Vec<char> = name.chars().collect();
    let mut out = String::new();
    for (i, c) in chars.iter().enumerate() {
        if !c.is_ascii_alphanumeric() {
            out.push('_');
            continue;
        }
        if c.is_ascii_uppercase() && i > 0 {
            let before = chars[i - 1];
            let next_is_lower = chars.get(i + 1).is_some_and(char::is_ascii_lowercase);
            if before.is_ascii_lowercase() || before.is_ascii_digit() || (before.is_ascii_uppercase() && next_is_lower)
            {
                out.push('_');
            }
        }
        out.push(c.to_ascii_lowercase());
    }
    if KEYWORDS.contains(&out.as_str()) { format!("r#{out}") } else { out }
}

/// `SUBMITTED` → `Submitted`, `python3.9` → `Python39`, `x86_64` → `X8664`.
pub(crate) fn variant(value: &str) -> String {
    let mut out = String::new();
    for word in value.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty()) {
        let all_upper = word.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit());
        let mut chars = word.chars();
        out.extend(chars.next().map(|first| first.to_ascii_uppercase()));
        out.extend(chars.map(|c| if all_upper { c.to_ascii_lowercase() } else { c }));
    }
    match out.chars().next() {
        None => "Empty".to_owned(),
        Some(first) if first.is_ascii_digit() => format!("V{out}"),
        _ if out == "Self" => "SelfValue".to_owned(),
        _ => out,
    }
}

/// `JobDetail` → `JobDetail`; `error` → `Error`: a type's name begins with a capital.
pub(crate) fn type_name(name: &str) -> String {
    let mut chars = name.chars();
    chars.next().map_or_else(String::new, |first| first.to_ascii_uppercase().to_string() + chars.as_str())
}

/// `JobDetail` → `JOB_DETAIL`.
pub(crate) fn constant(name: &str) -> String {
    let plain = snake(name);
    plain.trim_start_matches("r#").to_ascii_uppercase()
}
