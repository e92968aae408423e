//! Walking over a pattern's text.

pub(crate) struct Scanner<'a> {
    rest: &'a str,
}

impl<'a> Scanner<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self { rest: text }
    }

    pub(crate) fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    pub(crate) fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.rest = &self.rest[c.len_utf8()..];
        Some(c)
    }

    pub(crate) fn skip_space(&mut self) {
        self.rest = self.rest.trim_start();
    }

    /// Takes `text` where it comes next.
    pub(crate) fn take(&mut self, text: &str) -> bool {
        self.rest.strip_prefix(text).is_some_and(|rest| {
            self.rest = rest;
            true
        })
    }

    pub(crate) fn take_while(&mut self, wanted: impl Fn(char) -> bool) -> &'a str {
        let end = self.rest.find(|c| !wanted(c)).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at(end);
        self.rest = rest;
        taken
    }

    /// Takes text in double quotes, with backslashes before quotes and backslashes.
    pub(crate) fn quoted(&mut self) -> Result<String, String> {
        let mut text = String::new();
        self.next();
        loop {
            match self.next() {
                None => return Err("Invalid filter pattern: a quote is not closed.".to_owned()),
                Some('"') => return Ok(text),
                Some('\\') if matches!(self.peek(), Some('"' | '\\')) => text.extend(self.next()),
                Some(c) => text.push(c),
            }
        }
    }

    pub(crate) fn is_done(&self) -> bool {
        self.rest.is_empty()
    }
}
